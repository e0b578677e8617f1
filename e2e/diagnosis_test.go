package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// named is within what time every place tells of a fault.
const named = 10 * time.Second

// diagnosis is what people are told of a fault, in each of the places where they look.
type diagnosis struct {
	code   string        // of the condition, on the page of every node
	words  string        // what is the case: on the page of every node, and by status
	todo   string        // what to do, beside the words
	doctor []string      // what doctor finds; nil: the words
	harm   bool          // whether that is a failure for doctor
	alert  []string      // name, and parts of its line: what is the case, and what to do; nil: it waits until this lasts
	event  []string      // reason and parts of the message: what is the case, and what to do
	about  string        // the Service that the event is on; "": the node
	node   *cluster.Node // that the event is on
	except *cluster.Node // whose page is not looked at, because nobody reaches it
}

// TestFaultsAreNamed causes what goes wrong in practice and looks where people look: whether within
// ten seconds each place names the fault, with what to do about it. The faults that leave words
// behind for a while come last.
func TestFaultsAreNamed(t *testing.T) {
	d := newDesk(t)
	victim, other := shared.Nodes[0], shared.Nodes[1]
	for _, fault := range []struct {
		name  string
		cause func(*testing.T) diagnosis
	}{
		{"pool full", poolFull},
		{"overlapping pool", overlappingPool},
		{"stranger", strangersAddress},
		{"kube-proxy ended", kubeProxyEnded},
		{"gossip port blocked", func(t *testing.T) diagnosis { return portBlocked(t, victim) }},
		{"wrong key", func(t *testing.T) diagnosis { return wrongKey(t, victim, other) }},
		{"node cut", nodeCut},
	} {
		allReady(t)
		t.Run(fault.name, func(t *testing.T) {
			saveLogsOnFailure(t)
			d.finds(t, fault.cause(t))
		})
	}
	allReady(t)
}

// TestNodeWithoutSpeaker takes a node out of those that the DaemonSet selects: every place says so,
// as information, and nothing is wrong.
func TestNodeWithoutSpeaker(t *testing.T) {
	saveLogsOnFailure(t)
	v := newViewer(t)
	allReady(t)
	n, others := shared.Nodes[2], shared.Nodes[:2]
	system := func(ctx context.Context, name string) {
		patch := fmt.Sprintf(`{"metadata": {"labels": {%q: %q}}}`, core.LabelOSStable, name)
		if _, err := shared.Kube.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, []byte(patch), meta.PatchOptions{}); err != nil {
			t.Error(err)
		}
	}
	system(t.Context(), "none")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		system(ctx, "linux")
		if err := cluster.Until(ctx, cluster.PodTime, "all speakers", everybodyReady); err != nil {
			t.Error(err)
		}
	})
	until(t, cluster.PodTime, "end of the speaker of "+n.Name, func(context.Context) error {
		pids, err := n.Pids(starling.Name)
		if err == nil && len(pids) > 0 {
			err = fmt.Errorf("it is there: %v", pids)
		}
		return err
	})
	words := n.Name + " runs no speaker (the DaemonSet does not select it)"
	until(t, 30*time.Second, "the status", func(ctx context.Context) error {
		code, out, err := v.run(ctx, "status")
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("exit code %d:\n%s", code, out)
		}
		return contains(out, "information", words)
	})
	until(t, named, "doctor", func(ctx context.Context) error {
		code, out, err := v.run(ctx, "doctor")
		if err != nil {
			return err
		}
		if code != 0 || strings.Contains(out, "blocked") || strings.Contains(out, "nobody listens") {
			return fmt.Errorf("exit code %d:\n%s", code, out)
		}
		return contains(out, "info", words)
	})
	for _, other := range others {
		until(t, named, "page of "+other.Name, func(ctx context.Context) error {
			page, err := starling.PageOf(ctx, shared, other)
			if err != nil {
				return err
			}
			return contains(starling.Visible(page), words)
		})
		s, err := starling.StatusOf(t.Context(), shared, other)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Problems) > 0 || !s.Ready {
			t.Errorf("%s: ready %v, problems %q", other.Name, s.Ready, s.Problems)
		}
	}
}

// poolFull has one Service more than there are addresses.
func poolFull(t *testing.T) diagnosis {
	for _, name := range []string{"full-a", "full-b"} {
		expose(t, name, annotate("address-pool", tiny))
	}
	create(t, "full-c", annotate("address-pool", tiny))
	return diagnosis{
		code:  "pool-full",
		words: fmt.Sprintf("1 wait for an address of pool %q (default/full-c)", tiny),
		todo:  "add addresses to the pool",
		harm:  true,
		alert: []string{"StarlingServicesWaiting", "Services wait for an address of pool " + tiny, "Add a range to the pool"},
		event: []string{"AllocationFailed", tiny, "add addresses to the pool"},
		about: "full-c",
	}
}

// overlappingPool hands out what the nodes themselves have.
func overlappingPool(t *testing.T) diagnosis {
	n := shared.Nodes[0]
	more := append(pools(), starling.Pool{Name: "nodes", Ranges: []string{n.IP4.String() + "-" + n.IP4.String()}})
	text, err := yaml.Marshal(map[string]any{"pools": asValues(more)})
	if err != nil {
		t.Fatal(err)
	}
	configure(t, string(text))
	return diagnosis{
		code:  "pool-overlaps-nodes",
		words: fmt.Sprintf("pool \"nodes\" contains 1 addresses of nodes, such as %s of %s", n.IP4, n.Name),
		todo:  "exclude them",
		alert: []string{"StarlingPoolOverlapsNodes", "Pool nodes contains 1 addresses of nodes", "Exclude the nodes' addresses"},
		event: []string{"PoolOverlapsNodes", n.IP4.String() + " of " + n.Name, "exclude them"},
		node:  n,
	}
}

// strangersAddress lets another machine have the address of a Service and say so, as one does that
// was given it by DHCP. The Service asks for that very address, so it is not moved off it.
func strangersAddress(t *testing.T) diagnosis {
	ip := expose(t, "taken", annotate("loadBalancerIPs", "198.18.64.200"))
	w := watch(t)
	announcer := owner(t, w, ip)
	if err := w.Claim(ip); err != nil {
		t.Fatal(err)
	}
	mac := shared.Client.MAC.String()
	return diagnosis{
		code:  "address-taken",
		words: fmt.Sprintf("%s also answers for %s on the network of node %s", mac, ip, announcer.Name),
		todo:  "find the machine with this hardware address",
		harm:  true,
		alert: []string{"StarlingTwoAnswers", "answered for by somebody else as well (address-taken)", "Find that machine"},
		event: []string{"AddressConflict", mac, "find the machine"},
		about: "taken",
	}
}

// forwardsWithin is how long a node may have addresses after its kube-proxy has ended.
const forwardsWithin = 3 * time.Second

// kubeProxyEnded ends kube-proxy of the node that announces an address: it moves in time, new
// Services are reached by way of other nodes, and a speaker that is started there announces
// nothing, until kube-proxy is back.
func kubeProxyEnded(t *testing.T) diagnosis {
	w := watch(t)
	ip := expose(t, "forwarded")
	n := owner(t, w, ip)
	if err := n.End(t.Context(), "kube-proxy", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	t.Cleanup(func() {
		if err := n.Again("kube-proxy"); err != nil {
			t.Fatal(err)
		}
		err := cluster.Until(context.WithoutCancel(t.Context()), 30*time.Second, "the address to return", func(ctx context.Context) error { return announces(ctx, w, ip, n, true) })
		if err != nil {
			t.Error(err)
		}
	})
	until(t, forwardsWithin, "another announcer", func(ctx context.Context) error { return announces(ctx, w, ip, n, false) })
	t.Logf("announced by another node %v after the end of kube-proxy", time.Since(ended).Round(10*time.Millisecond))
	for i := range 4 {
		fresh := expose(t, fmt.Sprintf("forwarded-%d", i))
		if got := owner(t, w, fresh); got == n {
			t.Errorf("the new address %s is announced by %s, which has no kube-proxy", fresh, n.Name)
		}
		reach(t, "tcp", fresh)
	}
	restartSpeaker(t, n)
	settled(t, w, ip)
	if got := owner(t, w, ip); got == n {
		t.Errorf("%s is announced by %s, which has no kube-proxy, after its speaker was started anew", ip, n.Name)
	}
	return diagnosis{
		code:  "kube-proxy-missing",
		words: fmt.Sprintf("kube-proxy of %s does not run", n.Name),
		todo:  "see why kube-proxy does not run there",
		harm:  true,
		event: []string{"KubeProxyMissing", fmt.Sprintf("kube-proxy of %s does not run", n.Name), "other nodes announce before it", "see why kube-proxy does not run"},
		node:  n,
	}
}

// announces returns nil if the node announces the address, or does not, as wanted.
func announces(ctx context.Context, w *probe.Watcher, ip netip.Addr, n *cluster.Node, wanted bool) error {
	got, err := workload.Owner(ctx, shared, w, ip)
	if err == nil && (got == n) != wanted {
		err = fmt.Errorf("announced by %s", got.Name)
	}
	return err
}

// restartSpeaker deletes the speaker's pod of a node and waits until the next one is ready.
func restartSpeaker(t *testing.T, n *cluster.Node) {
	t.Helper()
	pod, err := starling.PodOn(t.Context(), shared, n)
	if err != nil {
		t.Fatal(err)
	}
	pods := shared.Kube.CoreV1().Pods(starling.Namespace)
	if err := pods.Delete(t.Context(), pod, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, cluster.PodTime, "another pod", func(ctx context.Context) error {
		next, err := starling.PodOn(ctx, shared, n)
		if err == nil && next == pod {
			err = errors.New("it is the one of before")
		}
		return err
	})
	allReady(t)
}

// portBlocked is a firewall on one node.
func portBlocked(t *testing.T, n *cluster.Node) diagnosis {
	if err := n.Block(t.Context(), 7927); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Unblock(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	d := diagnosis{
		code:  "gossip-blocked",
		words: fmt.Sprintf("gossip to %[1]s on 7927 is blocked; %[1]s is alive on the wire", n.Name),
		todo:  "open the gossip port (7927, tcp and udp)",
		harm:  true,
		alert: []string{"StarlingGossipBlocked", "Gossip between speakers is blocked", "Open TCP and UDP port 7927"},
		event: []string{"GossipBlocked", "gossip", "open the gossip port"}, // datagrams are missed first
		node:  n,
	}
	for _, proto := range []string{"tcp", "udp"} {
		d.doctor = append(d.doctor, fmt.Sprintf("gossip port of %s (%s:7927 %s) is blocked", n.Name, n.IP4, proto))
	}
	d.doctor = append(d.doctor, "most likely the port is blocked on this node, "+n.Name)
	return d
}

// wrongKey has a speaker with another key knock at one node.
func wrongKey(t *testing.T, on, seed *cluster.Node) diagnosis {
	impostor(t, on, seed)
	return diagnosis{
		code:  "gossip-key-mismatch",
		words: fmt.Sprintf("peer %s uses another gossip key", on.IP4),
		todo:  "compare the keys with `starling key status`",
		harm:  true,
		alert: []string{"StarlingKeyMismatch", on.IP4.String() + " uses another gossip key", "starling key status"},
		event: []string{"GossipKeyMismatch", on.IP4.String() + " uses another gossip key", "starling key status"},
		node:  on,
	}
}

// nodeCut takes the cable from the node that announces an address.
func nodeCut(t *testing.T) diagnosis {
	ip := expose(t, "lost")
	announcer := owner(t, watch(t), ip)
	cut(t, announcer)
	return diagnosis{
		code:   "node-lost",
		words:  "neither gossip nor the wire reaches " + announcer.Name,
		todo:   "see whether the node is up, its link, and its speaker",
		doctor: []string{fmt.Sprintf("the speaker of %s did not answer", announcer.Name), fmt.Sprintf("%s (%s:7927 tcp) is unreachable", announcer.Name, announcer.IP4)},
		harm:   true,
		alert:  []string{"StarlingMemberLost", "1 nodes died", "Look at the node"},
		event:  []string{"SpeakerLost", "neither gossip nor the wire reaches " + announcer.Name, "see whether the node is up"},
		node:   announcer,
		except: announcer,
	}
}

// desk is what somebody has who looks after the cluster: kubectl, and the alerts.
type desk struct {
	viewer
	alerts string // The command that evaluates them.
}

func newDesk(t *testing.T) desk {
	t.Helper()
	d := desk{viewer: newViewer(t), alerts: filepath.Join(t.TempDir(), "alerts")}
	if out, err := exec.CommandContext(t.Context(), "go", "-C", "../checks", "build", "-o", d.alerts, "./cmd/alerts").CombinedOutput(); err != nil {
		t.Fatalf("build what evaluates alerts: %v\n%s", err, out)
	}
	return d
}

// finds looks into all places at a time until each of them tells of the fault.
func (d desk) finds(t *testing.T, want diagnosis) {
	t.Helper()
	begun := time.Now()
	places := d.places(want)
	took := make(map[string]time.Duration, len(places))
	var looking sync.WaitGroup
	var mu sync.Mutex // Guards took.
	for place, look := range places {
		looking.Go(func() {
			if err := cluster.Until(t.Context(), named, place, look); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took[place] = time.Since(begun).Round(10 * time.Millisecond)
		})
	}
	looking.Wait()
	t.Logf("%q is reported after: %v", want.words, took)
}

// places are where people look.
func (d desk) places(want diagnosis) map[string]func(context.Context) error {
	doctor := want.doctor
	if doctor == nil {
		doctor = []string{want.words}
	}
	code := 0
	if want.harm {
		code = 3
	}
	all := map[string]func(context.Context) error{
		"status": func(ctx context.Context) error { return d.says(ctx, 0, []string{"status"}, want.words, want.todo) },
		// It waits for the silent ones, and the first look may have been before the fault showed:
		// so not as long as it would.
		"doctor": func(ctx context.Context) error {
			return d.says(ctx, code, []string{"doctor", "--timeout", "3s"}, doctor...)
		},
	}
	if want.alert != nil {
		all["alerts"] = func(ctx context.Context) error { return d.fires(ctx, want) }
	}
	for _, n := range shared.Nodes {
		if n != want.except {
			all["page of "+n.Name] = func(ctx context.Context) error {
				page, err := starling.PageOf(ctx, shared, n)
				if err != nil {
					return err
				}
				_, head, _ := strings.Cut(page, `<section id="head"`)
				head, _, _ = strings.Cut(head, "</section>")
				if err := contains(head, `data-code="`+want.code+`"`); err != nil {
					return err
				}
				return contains(starling.Visible(head), want.words, strings.ReplaceAll(want.todo, "`", ""))
			}
		}
	}
	all["event"] = func(ctx context.Context) error {
		message, err := want.message(ctx)
		if err != nil {
			return err
		}
		return contains(message, want.event[1:]...)
	}
	return all
}

// message is what the newest event says on the Service or the Node that the fault is about.
func (want diagnosis) message(ctx context.Context) (string, error) {
	if want.node == nil {
		return eventOf(ctx, want.about, want.event[0])
	}
	return eventOn(ctx, want.node.Name, want.event[0])
}

// says runs a command of kubectl starling.
func (d desk) says(ctx context.Context, code int, args []string, words ...string) error {
	got, out, err := d.run(ctx, args...)
	if err != nil {
		return err
	}
	if got != code {
		return fmt.Errorf("exit code %d, want %d:\n%s", got, code, out)
	}
	return contains(out, words...)
}

// fires evaluates the shipped alerts on the metrics of all nodes that can be reached.
func (d desk) fires(ctx context.Context, want diagnosis) error {
	dir, err := os.MkdirTemp("", "starling-metrics-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args := []string{"../manifests/monitoring/prometheusrule.yaml"}
	for _, n := range shared.Nodes {
		if n == want.except {
			continue
		}
		metrics, err := starling.MetricsOf(ctx, shared, n)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, n.Name)
		if err := os.WriteFile(file, []byte(metrics), 0o600); err != nil {
			return err
		}
		args = append(args, file)
	}
	out, err := exec.CommandContext(ctx, d.alerts, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, want.alert[0]+"\t") && contains(line, want.alert[1:]...) == nil {
			return nil
		}
	}
	return fmt.Errorf("no alert %q, but:\n%s", want.alert, out)
}

// contains returns an error unless all of the words are in the text.
func contains(text string, words ...string) error {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return fmt.Errorf("%q is missing in:\n%s", w, text)
		}
	}
	return nil
}

// impostor runs a speaker with a key of its own on a node until the test ends, and lets it look for
// another one. It knows the cluster from what the node's own speaker keeps: the API server is at no
// address that the node reaches. It has no interface to announce on.
func impostor(t *testing.T, on, seed *cluster.Node) {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "snapshot file on "+on.Name, func(ctx context.Context) error {
		_, err := on.Run(ctx, "cp", "/var/lib/starling/cluster.jsonl", dir)
		return err
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := on.Run(ctx, product.Binary, "run", "--node-name", "impostor", "--kubeconfig", shared.Kubeconfig, "--gossip-key-file", key, "--state-dir", dir,
			"--gossip-addr", on.IP4.String()+":7930", "--status-addr", "127.0.0.1:7931", "--interface", "none0", "--join", seed.IP4.String()+":7927",
			"--pool", "none=203.0.113.0/30", "--lb-class", "example.com/none")
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err == nil {
			t.Error("the impostor ended before the test")
		}
	})
}
