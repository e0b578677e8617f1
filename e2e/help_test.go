package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

func services() v1.ServiceInterface { return shared.Kube.CoreV1().Services(workload.Namespace) }

// create makes a Service for the shared backends and deletes it when the test ends.
func create(t *testing.T, name string, options ...func(*core.Service)) {
	t.Helper()
	saveLogsOnFailure(t)
	if _, err := services().Create(t.Context(), workload.Service(name, backend, options...), meta.CreateOptions{}); err != nil {
		t.Fatalf("create Service %s: %v", name, err)
	}
	t.Cleanup(func() { remove(t, name) })
}

// saveLogsOnFailure saves them while those of the pods concerned still exist.
func saveLogsOnFailure(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := os.Stat(shared.Dir); err != nil || !t.Failed() {
			return // All is well, or the run was interrupted.
		}
		dir := filepath.Join(os.TempDir(), "starling-logs-"+shared.ID+"-"+t.Name())
		if _, err := os.Stat(dir); err == nil {
			return // By another Service of this test.
		}
		_, err := shared.SaveLogs(dir)
		t.Logf("logs: %s %v", dir, err)
	})
}

// remove deletes the Service, which may be gone already.
func remove(t *testing.T, name string) {
	t.Helper()
	err := services().Delete(context.WithoutCancel(t.Context()), name, meta.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Errorf("delete Service %s: %v", name, err)
	}
}

// expose creates a Service and returns its first address.
func expose(t *testing.T, name string, options ...func(*core.Service)) netip.Addr {
	t.Helper()
	create(t, name, options...)
	return addresses(t, name, 1)[0]
}

func addresses(t *testing.T, name string, count int) []netip.Addr {
	t.Helper()
	ips, err := workload.Addresses(t.Context(), shared, name, count)
	if err != nil {
		t.Fatal(err)
	}
	return ips
}

func annotate(key, value string) func(*core.Service) {
	return func(s *core.Service) { s.Annotations = map[string]string{"starling-lb.io/" + key: value} }
}

// watch listens for claims until the test ends.
func watch(t *testing.T) *probe.Watcher {
	t.Helper()
	return watchAt(t, shared.Client)
}

// watchAt is watch on the segment of that host.
func watchAt(t *testing.T, h *cluster.Host) *probe.Watcher {
	t.Helper()
	w, err := probe.Watch(workload.Station(h))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// until waits for a condition.
func until(t *testing.T, limit time.Duration, what string, ok func(context.Context) error) {
	t.Helper()
	if err := cluster.Until(t.Context(), limit, what, ok); err != nil {
		t.Fatal(err)
	}
}

// owner waits until exactly one node answers for the address.
func owner(t *testing.T, w *probe.Watcher, ip netip.Addr) (node *cluster.Node) {
	t.Helper()
	until(t, 10*time.Second, "owner", func(ctx context.Context) (err error) {
		node, err = workload.Owner(ctx, shared, w, ip)
		return err
	})
	return node
}

// silent waits until nobody answers for the address.
func silent(t *testing.T, w *probe.Watcher, ip netip.Addr) {
	t.Helper()
	until(t, 10*time.Second, "silence", func(ctx context.Context) error {
		macs, err := w.Who(ctx, 50*time.Millisecond, ip)
		if err == nil && len(macs) > 0 {
			err = fmt.Errorf("%v answer for %s", macs, ip)
		}
		return err
	})
}

// reach asks the Service once by the protocol and returns the answer, retrying while rules are
// being set up.
func reach(t *testing.T, network string, ip netip.Addr) (line string) {
	t.Helper()
	return reachWithin(t, 10*time.Second, network, ip)
}

func reachWithin(t *testing.T, limit time.Duration, network string, ip netip.Addr) (line string) {
	t.Helper()
	address := net.JoinHostPort(ip.String(), "80")
	until(t, limit, "reach "+network+" "+address, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		line, err = probe.Ask(ctx, shared.Client.Dial, network, address)
		return err
	})
	return line
}

// avoid moves the backends to the other nodes until the test ends.
func avoid(t *testing.T, nodes ...*cluster.Node) {
	t.Helper()
	if err := workload.Avoid(t.Context(), shared, backend, nodes...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := workload.Avoid(context.WithoutCancel(t.Context()), shared, backend); err != nil {
			t.Error(err)
		}
	})
}

// ask starts a client that asks the address every 5 ms and has been answered for a while.
func ask(t *testing.T, network string, ip netip.Addr) *probe.Prober {
	t.Helper()
	p, err := probe.Start(probe.Config{Dial: shared.Client.Dial, Network: network, Address: net.JoinHostPort(ip.String(), "80")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	answered(t, p, 100)
	return p
}

// answered waits until the client has had so many more answers.
func answered(t *testing.T, p *probe.Prober, more int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := p.Await(ctx, more); err != nil {
		t.Fatal(err)
	}
}

// allReady waits until every speaker is ready, and known as such by all others.
func allReady(t *testing.T) {
	t.Helper()
	until(t, cluster.PodTime, "speakers", func(ctx context.Context) error { return everybodyReady(ctx) })
}

// caughtUp waits until Kubernetes is whole again after its API server was away: every node has
// rules for a new Service, and it is reached. kube-proxies look again only after up to a minute,
// and speakers rightly report a node whose kube-proxy does not know a Service yet.
func caughtUp(t *testing.T, ip netip.Addr) {
	t.Helper()
	if err := shared.RestartControllers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := workload.Programmed(t.Context(), shared, ip); err != nil {
		t.Fatal(err)
	}
	reachWithin(t, 90*time.Second, "tcp", ip)
}

func everybodyReady(ctx context.Context) error { return starling.Steady(ctx, shared) }

// missed returns nil when gossip does not bring the one node to the other any more, which says so,
// and that it is alive on the wire.
func missed(ctx context.Context, listener, talker *cluster.Node) error {
	s, err := starling.StatusOf(ctx, shared, listener)
	if err != nil {
		return err
	}
	words := fmt.Sprintf("gossip to %s on 7927 is blocked; %s is alive on the wire", talker.Name, talker.Name)
	for _, m := range s.Members {
		if m.Name == talker.Name && (m.State != "wire" || m.Verdict != words) {
			return fmt.Errorf("%s says that %s is %s: %q", listener.Name, m.Name, m.State, m.Verdict)
		}
	}
	return nil
}

// event waits for an event of that reason about the Service and returns its message.
func event(t *testing.T, service, reason string) (message string) {
	t.Helper()
	until(t, 15*time.Second, "event "+reason+" of "+service, func(ctx context.Context) (err error) {
		message, err = eventOf(ctx, service, reason)
		return err
	})
	return message
}

// eventOf returns the message of the newest event of that reason about the Service, not about an
// earlier one of its name.
func eventOf(ctx context.Context, service, reason string) (message string, err error) {
	s, err := services().Get(ctx, service, meta.GetOptions{})
	if err != nil {
		return "", err
	}
	return newest(ctx, workload.Namespace, string(s.UID), reason)
}

// eventOn is eventOf for a Node, where kubectl describe looks.
func eventOn(ctx context.Context, node, reason string) (message string, err error) {
	return newest(ctx, meta.NamespaceDefault, node, reason)
}

func newest(ctx context.Context, namespace, uid, reason string) (message string, err error) {
	list, err := shared.Kube.CoreV1().Events(namespace).List(ctx, meta.ListOptions{FieldSelector: "involvedObject.uid=" + uid})
	if err != nil {
		return "", err
	}
	var at meta.Time
	others := map[string]bool{}
	for _, e := range list.Items {
		others[e.Reason] = true
		if e.Reason == reason && at.Before(&e.LastTimestamp) {
			at, message = e.LastTimestamp, e.Message
		}
	}
	if at.IsZero() {
		return "", fmt.Errorf("%s has only %s", uid, strings.Join(slices.Sorted(maps.Keys(others)), ", "))
	}
	return message, nil
}
