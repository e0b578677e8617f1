package speaker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

// member is how one node sees another.
func (m *model) member(by, name string) api.Member {
	for _, seen := range m.speakers[by].speaker.Snapshot().Members {
		if seen.Name == name {
			return seen
		}
	}
	return api.Member{}
}

// proxyIs changes kube-proxy of a node.
func (m *model) proxyIs(name string, h proxy.Health) {
	s := proxy.State{Health: h}
	switch h {
	case proxy.Absent:
		s.Reason = "nobody listens at http://127.0.0.1:10256"
	case proxy.Unhealthy:
		s.Reason = "/livez answers 503"
	}
	m.set(name, func(b *node) {
		b.proxy = s
		poke(b.proxied)
	})
}

// TestKubeProxyEnds: a node whose kube-proxy is gone leaves its addresses to others within 3 s and
// gets no new ones, says so in all places, and gets its addresses back some seconds after
// kube-proxy has programmed its rules again.
func TestKubeProxyEnds(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		top := m.one(ip)
		m.proxyIs(top, proxy.Absent)
		gap, _ := m.during(ip, func() {
			m.until("another node answers", proxy.Grace+100*time.Millisecond, func() bool { return len(m.owners(ip)) == 1 && m.owners(ip)[0] != top })
		})
		if gap > 0 {
			t.Errorf("nobody answered for %s", gap)
		}
		for i := range 6 {
			name := fmt.Sprint("new-", i)
			m.create(name, nil, "n1", "n2", "n3")
			if got := m.one(m.bound(name)); got == top {
				t.Errorf("%s is announced by %s, which has no kube-proxy", name, top)
			}
		}
		m.pass(faultFor + time.Second)
		snap := m.speakers[top].speaker.Snapshot()
		words := "kube-proxy of " + top + " does not run, and new Services and endpoints are not reached by way of this node: other nodes announce before it"
		if want := words + " (nobody listens at http://127.0.0.1:10256)"; !snap.Ready || !slices.Equal(snap.Problems, []string{want}) {
			t.Errorf("ready %v, problems %q, want %q", snap.Ready, snap.Problems, want)
		}
		if !slices.ContainsFunc(snap.Conditions, func(c health.Condition) bool {
			return c.Code == health.KubeProxyMissing && c.Subject == health.Node(top)
		}) {
			t.Errorf("conditions %+v", snap.Conditions)
		}
		if got := m.told(report.KubeProxyMissing); len(got) > reporters || !slices.Equal(slices.Compact(got), []string{top + ": " + words + ": " + health.KubeProxyMissing.Rule().Advice}) {
			t.Errorf("events %q", got)
		}
		for _, name := range []string{"n1", "n2", "n3"} {
			want := 0.0
			if name == top {
				want = 1
			}
			if got := values(t, m.speakers[name].registry)["starling_kube_proxy_missing"]; got != want {
				t.Errorf("%s: metric %v, want %v", name, got, want)
			}
			seen := m.member(name, top)
			if seen.Health != "no kube-proxy" || !seen.NoProxy || seen.Tier != "without kube-proxy or its rules" || seen.Announces != 0 || (seen.Verdict == "") != (name == top) {
				t.Errorf("%s sees %+v", name, seen)
			}
		}
		m.pass(10 * time.Minute)
		if got := m.one(ip); got == top {
			t.Errorf("%s took the address back without a kube-proxy", top)
		}
		m.proxyIs(top, proxy.Unhealthy)
		m.pass(time.Minute)
		if got := m.one(ip); got == top {
			t.Errorf("%s took the address back before its kube-proxy was healthy", top)
		}
		m.proxyIs(top, proxy.Healthy)
		m.pass(2 * time.Second)
		if got := m.one(ip); got == top {
			t.Errorf("%s took the address back at once", top)
		}
		m.until("the address returns", 5*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{top}) })
		if snap := m.speakers[top].speaker.Snapshot(); len(snap.Problems) > 0 || values(t, m.speakers[top].registry)["starling_kube_proxy_missing"] != 0 {
			t.Errorf("still told: %q", snap.Problems)
		}
	}, "default=198.18.64.0/24")
}

// TestKubeProxyRestarts: what is over within Grace moves nothing and is not told.
func TestKubeProxyRestarts(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		top := m.one(ip)
		for range 3 {
			m.proxyIs(top, proxy.Absent)
			m.pass(proxy.Grace - 100*time.Millisecond)
			m.proxyIs(top, proxy.Unhealthy)
			m.pass(time.Second)
			m.proxyIs(top, proxy.Healthy)
			m.pass(time.Second)
			if got := m.one(ip); got != top {
				t.Fatalf("%s answers, want %s", got, top)
			}
		}
		if got := append(m.told(report.KubeProxyMissing), m.told(NodeAssigned)...); len(got) > 0 {
			t.Errorf("events %q", got)
		}
	}, tenAddresses)
}

// TestKubeProxyEndsEverywhere: where it ends on all nodes together, nothing moves; each tells it.
func TestKubeProxyEndsEverywhere(t *testing.T) {
	long(t)
	lab(t, func(m *model) {
		var ips, before []string
		for i := range 9 {
			name := fmt.Sprint("web-", i)
			m.create(name, nil, "n1", "n2", "n3")
			ips = append(ips, m.bound(name))
			before = append(before, m.one(ips[i]))
		}
		for _, name := range []string{"n1", "n2", "n3"} {
			m.proxyIs(name, proxy.Absent)
			m.pass(proxy.Grace / 4)
		}
		for range 10 {
			m.pass(time.Minute)
			for i, ip := range ips {
				if got := m.one(ip); got != before[i] {
					t.Fatalf("%s answers for %s, want %s", got, ip, before[i])
				}
			}
		}
		if got := m.told(report.KubeProxyMissing); len(got) != 3 || strings.Contains(strings.Join(got, " "), "before it") {
			t.Errorf("events %q", got)
		}
		// A speaker that starts now has never seen a kube-proxy, in a cluster that has none.
		m.leaves("n1")
		m.start("n1", func(b *node) { b.proxy = proxy.State{Health: proxy.Absent, Reason: "nobody listens"} })
		m.pass(time.Minute)
		if seen := m.member("n2", "n1"); seen.Tier != "normal" {
			t.Errorf("n2 sees %+v", seen)
		}
		if snap := m.speakers["n1"].speaker.Snapshot(); len(snap.Problems) > 0 {
			t.Errorf("problems %q", snap.Problems)
		}
	}, tenAddresses)
}

// TestBootingNodeWithoutKubeProxy: a node whose kube-proxy is not up goes behind all others for as
// long as that lasts, and is there when nobody else is. Once kube-proxy is up it takes its share,
// and keeps it when kube-proxy falls ill.
func TestBootingNodeWithoutKubeProxy(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		top := m.one(ip)
		m.speakers[top].stop()
		m.until("the address moves", 10*time.Second, func() bool { return !slices.Contains(m.owners(ip), top) })
		m.pass(10 * time.Second)
		m.start(top, func(b *node) {
			b.proxy = proxy.State{Health: proxy.Absent, Reason: "nobody listens at http://127.0.0.1:10256"}
		})
		for range 30 {
			m.pass(20 * time.Second)
			if got := m.one(ip); got == top {
				t.Fatalf("%s took the address without a kube-proxy", top)
			}
		}
		for _, name := range m.others(top) {
			m.setNode(name, func(n *watcher.Node) { n.NetworkUnavailable = true })
		}
		m.until("the last one answers", 5*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{top}) })
		for _, name := range m.others(top) {
			m.setNode(name, func(n *watcher.Node) { n.NetworkUnavailable = false })
		}
		m.until("others answer", 5*time.Second, func() bool { return !slices.Contains(m.owners(ip), top) })
		m.proxyIs(top, proxy.Healthy)
		m.until("the address returns", 20*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{top}) })
		m.proxyIs(top, proxy.Unhealthy)
		m.pass(time.Minute)
		snap := m.speakers[top].speaker.Snapshot()
		if got := m.one(ip); got != top || !snap.Ready || len(snap.Problems) != 1 || !strings.Contains(snap.Problems[0], "/livez answers 503") {
			t.Errorf("%s answers, %s is ready: %v, problems %q", got, top, snap.Ready, snap.Problems)
		}
	}, tenAddresses)
}

// TestBootingNodeWaitsForIllKubeProxy: one that is there and not healthy has not programmed its
// rules yet.
func TestBootingNodeWaitsForIllKubeProxy(t *testing.T) {
	lab(t, func(m *model) {
		m.leaves("n2")
		m.start("n2", func(b *node) { b.proxy = proxy.State{Health: proxy.Unhealthy, Reason: "/livez answers 503"} })
		m.pass(10 * time.Minute)
		snap := m.speakers["n2"].speaker.Snapshot()
		if snap.Ready || len(snap.Reasons) != 1 || !strings.Contains(snap.Reasons[0], "/livez answers 503") {
			t.Errorf("ready %v, %q", snap.Ready, snap.Reasons)
		}
	}, tenAddresses)
}

// TestLocalWithoutKubeProxy: a node without kube-proxy still announces what only it has endpoints
// for, since its kernel forwards to those that it knows.
func TestLocalWithoutKubeProxy(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", func(s *watcher.Service) { s.Local = true }, "n1")
		ip := m.bound("web")
		m.answered(ip, "n1")
		m.proxyIs("n1", proxy.Absent)
		m.pass(time.Minute)
		m.answered(ip, "n1")
		m.serve("web", "n1", "n2")
		m.answered(ip, "n2")
	}, tenAddresses)
}

// TestKubeProxyEndsWhileGossipIsBlocked: the wire tells it, too.
func TestKubeProxyEndsWhileGossipIsBlocked(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		top := m.one(ip)
		between([]string{top}, m.others(top), m.block)
		m.pass(10 * time.Second)
		m.answered(ip, top)
		m.proxyIs(top, proxy.Absent)
		m.until("another node answers", proxy.Grace+time.Second, func() bool { return len(m.owners(ip)) == 1 && m.owners(ip)[0] != top })
		if seen := m.member(m.others(top)[0], top); seen.State != string(mesh.OnWire) || seen.Tier != "without kube-proxy or its rules" {
			t.Errorf("seen as %+v", seen)
		}
		m.pass(time.Minute)
		if got := m.one(ip); got == top {
			t.Errorf("%s took the address back without a kube-proxy", top)
		}
	}, tenAddresses)
}

// TestOthersForward: who is dead has no kube-proxy, whatever it said, and this node's own is none
// of another.
func TestOthersForward(t *testing.T) {
	t.Parallel()
	for _, others := range []bool{true, false} {
		w := &world{World: report.World{Self: "n1", Members: []mesh.Member{
			{Name: "n1", State: mesh.Alive, Meta: mesh.Meta{Proxy: true}},
			{Name: "n2", State: mesh.Alive, Meta: mesh.Meta{Proxy: others}},
			{Name: "n3", State: mesh.Dead, Meta: mesh.Meta{Proxy: true}},
		}}}
		if got := w.othersForward(); got != others {
			t.Errorf("others have one: %v, want %v", got, others)
		}
	}
}
