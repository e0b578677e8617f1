package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubewatch "k8s.io/apimachinery/pkg/watch"

	"github.com/starling-lb/starling/e2e/chaos"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	// skewFile names the commit of the other release.
	skewFile = "testdata/skew.txt"
	// skewVariable is for how long faults are made while both releases are in one mesh, as 10m;
	// make skew sets it.
	skewVariable = "STARLING_E2E_SKEW"
	// skewFaults are made without it.
	skewFaults = 3
	// mostEvents is how many Events of speakers the change of one speaker may bring.
	mostEvents = 8
)

// otherRelease is the commit that is named as the other release.
func otherRelease(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(skewFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// older builds the speakers of the other release and brings their image to the nodes.
func older(t *testing.T) {
	t.Helper()
	archive, err := starling.MakeOlder(t.Context(), t.TempDir(), otherRelease(t))
	if errors.Is(err, starling.ErrNoHistory) {
		t.Skipf("cannot test two releases in one mesh; the golden files of the rooms hold the wire alone: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Import(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
}

// use has the nodes' speakers replaced one by one by those of an image, and waits for each.
func use(t *testing.T, image string, nodes ...*cluster.Node) {
	t.Helper()
	if err := useImage(t.Context(), image, nodes...); err != nil {
		t.Fatal(err)
	}
}

func useImage(ctx context.Context, image string, nodes ...*cluster.Node) error {
	patch := fmt.Sprintf(`{"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}, "template": {"spec": {"containers": [{"name": "starling", "image": %q}]}}}}`, image)
	if out, err := shared.Kubectl(ctx, "", "-n", starling.Namespace, "patch", "daemonset", starling.Name, "--patch", patch); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	sets := shared.Kube.AppsV1().DaemonSets(starling.Namespace)
	err := cluster.Until(ctx, cluster.PodTime, "a controller that knows the image", func(ctx context.Context) error {
		set, err := sets.Get(ctx, starling.Name, meta.GetOptions{})
		if err == nil && set.Status.ObservedGeneration < set.Generation {
			err = fmt.Errorf("it has seen generation %d of %d", set.Status.ObservedGeneration, set.Generation)
		}
		return err
	})
	if err != nil {
		return err
	}
	pods := shared.Kube.CoreV1().Pods(starling.Namespace)
	for _, n := range nodes {
		old, err := starling.PodOn(ctx, shared, n)
		if err != nil {
			return err
		}
		if err := pods.Delete(ctx, old, meta.DeleteOptions{}); err != nil {
			return err
		}
		err = cluster.Until(ctx, cluster.PodTime, "speaker of "+n.Name+" of the other release", func(ctx context.Context) error {
			name, err := starling.PodOn(ctx, shared, n)
			if err != nil || name == old {
				return cmp.Or(err, fmt.Errorf("%s is there still", old))
			}
			pod, err := pods.Get(ctx, name, meta.GetOptions{})
			if err != nil || pod.Spec.Containers[0].Image != image {
				return cmp.Or(err, fmt.Errorf("it runs %s", pod.Spec.Containers[0].Image))
			}
			return starling.Joined(ctx, shared)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// replacedBy changes the speakers of some nodes under clients: nobody notices, no address moves, no
// Service is written to, and the Events are few.
func replacedBy(t *testing.T, what, image string, s *watched, more map[string]netip.Addr, nodes ...*cluster.Node) {
	t.Helper()
	changes, err := services().Watch(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Stop()
	held, err := probe.Hold(t.Context(), probe.Config{Dial: shared.Client.Dial, Address: net.JoinHostPort(s.ip.String(), "80")}, 60)
	if err != nil {
		t.Fatal(err)
	}
	s.client = ask(t, "udp", s.ip)
	watched, stop := context.WithCancel(t.Context())
	double := make(chan time.Duration, 1)
	go func() { double <- chaos.Doubles(watched, s.watcher, s.ip) }()
	before, begun := events(t), time.Now()
	use(t, image, nodes...)
	took := time.Since(begun).Round(time.Second)
	stop()
	told := events(t) - before
	s.unmoved(t, begun)
	for name, ip := range more {
		if now := addresses(t, name, 1)[0]; now != ip {
			t.Errorf("%s: %s had %s and has %s", what, name, ip, now)
		}
	}
	written := 0
	for more := true; more; {
		select {
		case c := <-changes.ResultChan():
			if c.Type == kubewatch.Modified {
				written++
			}
		default:
			more = false
		}
	}
	report, longest := held.Stop(), <-double
	t.Logf("%s of %d speakers in %v: %s, two answers for %v, %d Events, %d writes to Services", what, len(nodes), took, report, longest, told, written)
	if report.Cut > 0 {
		t.Errorf("%s: %d of %d connections were cut", what, report.Cut, report.Connections)
	}
	if longest > 0 {
		t.Errorf("%s: two nodes answered for %v", what, longest)
	}
	if told > mostEvents*len(nodes) {
		t.Errorf("%s: %d Events", what, told)
	}
	if written > 0 {
		t.Errorf("%s: %d writes to Services", what, written)
	}
	s.undisturbed(t, what)
}

// events counts what speakers have said in Events, each time that they said it.
func events(t *testing.T) (n int) {
	t.Helper()
	list, err := shared.Kube.CoreV1().Events(meta.NamespaceAll).List(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.Source.Component == starling.Name {
			n += max(int(e.Count), 1)
		}
	}
	return n
}

// TestSkew: speakers of another release and of this tree in one mesh serve as one, also under
// faults, and a rolling downgrade and upgrade are noticed by nobody.
func TestSkew(t *testing.T) {
	saveLogsOnFailure(t)
	older(t)
	set, err := shared.Kube.AppsV1().DaemonSets(starling.Namespace).Get(t.Context(), starling.Name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	present, nodes := set.Spec.Template.Spec.Containers[0].Image, shared.Nodes[:2]
	limit, whole := time.ParseDuration(os.Getenv(skewVariable))
	if whole == nil {
		nodes = shared.Nodes
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		var behind []*cluster.Node
		for _, n := range shared.Nodes {
			name, err := starling.PodOn(ctx, shared, n)
			pod, err2 := shared.Kube.CoreV1().Pods(starling.Namespace).Get(ctx, name, meta.GetOptions{})
			if err != nil || err2 != nil || pod.Spec.Containers[0].Image != present {
				behind = append(behind, n)
			}
		}
		err := useImage(ctx, present, behind...)
		_, err2 := shared.Kubectl(ctx, "", "-n", starling.Namespace, "patch", "daemonset", starling.Name, "--type=merge", "--patch", `{"spec": {"updateStrategy": {"type": "RollingUpdate"}}}`)
		if err := errors.Join(err, err2); err != nil {
			t.Error(err)
		}
	})
	saveLogsOnFailure(t) // again: before these pods are replaced
	allReady(t)
	s := &watched{watcher: watch(t), ip: expose(t, "skew", func(s *core.Service) { s.Spec.PublishNotReadyAddresses = true })}
	s.owner = owner(t, s.watcher, s.ip)
	if err := workload.Programmed(t.Context(), shared, s.ip); err != nil {
		t.Fatal(err)
	}
	more := map[string]netip.Addr{}
	for i := range 6 {
		name := fmt.Sprintf("skew-%d", i)
		more[name] = expose(t, name)
	}
	replacedBy(t, "downgrade", starling.OlderImage, s, more, nodes...)
	if whole == nil {
		use(t, present, nodes[2]) // two of the other release and one of this
	}
	skewed(t, s, limit)
	if whole == nil {
		use(t, starling.OlderImage, nodes[2])
	}
	for name, ip := range more {
		if now := addresses(t, name, 1)[0]; now != ip {
			t.Errorf("%s had %s and has %s after the faults", name, ip, now)
		}
	}
	s.owner = owner(t, s.watcher, s.ip)
	replacedBy(t, "upgrade", present, s, more, nodes...)
}

// skewed makes faults for a while, or a few of them: the address is answered soon, by one node.
func skewed(t *testing.T, s *watched, limit time.Duration) {
	t.Helper()
	seed, end := uint64(time.Now().UnixNano()), time.Now().Add(limit)
	t.Logf("seeds from %d", seed)
	for faults := 0; faults == 0 || time.Now().Before(end); seed++ {
		r := chaos.Runner{Cluster: shared, Watcher: s.watcher, IP: s.ip}
		err := r.Run(t.Context(), chaos.Plan(seed, len(shared.Nodes), skewFaults), func(o chaos.Outcome) {
			faults++
			t.Logf("%-36s %4d ms without answer, %4d ms with two", o.Fault, o.Gap.Milliseconds(), o.Double.Milliseconds())
			bearable(t, o)
		})
		if err != nil {
			t.Fatal(err)
		}
		if t.Failed() { // the logs are of pods that the upgrade replaces
			t.FailNow()
		}
		allReady(t)
		settled(t, s.watcher, s.ip)
	}
	caughtUp(t, expose(t, "after-skew"))
}
