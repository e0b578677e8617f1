package speaker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/proxy"
)

// TestForwarding is the specification of what a node waits for before it is ready for the first time.
func TestForwarding(t *testing.T) {
	const words = "http://127.0.0.1:10256 says so"
	other := func(state mesh.State, has bool) []mesh.Member {
		return []mesh.Member{{Name: "n1", State: mesh.Alive, Meta: mesh.Meta{Proxy: true}}, {Name: "n2", State: state, Meta: mesh.Meta{Proxy: has}}}
	}
	for _, tt := range []struct {
		name   string
		health proxy.Health
		gossip []mesh.Member
		after  time.Duration // since the start
		want   string        // how the reason begins, "" if nothing is waited for
	}{
		{"not asked", proxy.Unknown, nil, 0, "asking whether"},
		{"healthy", proxy.Healthy, other(mesh.Alive, true), 0, ""},
		{"not healthy", proxy.Unhealthy, other(mesh.Alive, false), 0, "waiting for kube-proxy of this node: " + words},
		{"not healthy for long", proxy.Unhealthy, nil, time.Hour, "waiting for kube-proxy"},
		{"alone and absent", proxy.Absent, nil, 0, ""},
		{"absent everywhere", proxy.Absent, other(mesh.Alive, false), 0, ""},
		{"absent here only", proxy.Absent, other(mesh.Alive, true), 0, "waiting for kube-proxy of this node, as others have one: " + words},
		{"absent here only, still", proxy.Absent, other(mesh.Alive, true), proxyLimit - 1, "waiting for kube-proxy"},
		{"absent here only, for long", proxy.Absent, other(mesh.Alive, true), proxyLimit, ""},
		{"the other one is dead", proxy.Absent, other(mesh.Dead, true), 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begun := time.Unix(1000, 0)
			f := forwarding{begun: begun}
			w := &world{now: begun.Add(tt.after), gossip: tt.gossip, proxy: proxy.State{Health: tt.health, Reason: words}}
			got := f.lacks(w, "n1")
			if !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("waits for %q, want %q", got, tt.want)
			}
			if f.known != (tt.want == "") {
				t.Errorf("known: %v", f.known)
			}
		})
	}
}

// TestBootingNodeWaitsForKubeProxy: a node whose kube-proxy is not up gets no address; once it is, it takes its share, and
// keeps it when kube-proxy falls ill.
func TestBootingNodeWaitsForKubeProxy(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		m.speakers[owner].stop()
		m.until("the address moves", 10*time.Second, func() bool { return !slices.Contains(m.owners(ip), owner) })
		m.pass(10 * time.Second)
		down := proxy.State{Health: proxy.Absent, Reason: "nobody listens at http://127.0.0.1:10256"}
		m.start(owner, func(b *node) { b.proxy = down })
		m.pass(20 * time.Second)
		snap := m.speakers[owner].speaker.Snapshot()
		if got := m.one(ip); got == owner || snap.Ready || len(snap.Reasons) != 1 || !strings.Contains(snap.Reasons[0], "kube-proxy") {
			t.Fatalf("%s answers, %s is ready: %v, %q", got, owner, snap.Ready, snap.Reasons)
		}
		up := func(s proxy.State) {
			m.set(owner, func(b *node) {
				b.proxy = s
				poke(b.proxied)
			})
		}
		up(proxy.State{Health: proxy.Healthy})
		m.until("the address returns", 20*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{owner}) })
		up(proxy.State{Health: proxy.Unhealthy, Reason: "/livez answers 503"})
		m.pass(time.Minute)
		snap = m.speakers[owner].speaker.Snapshot()
		if got := m.one(ip); got != owner || !snap.Ready || len(snap.Problems) != 1 || !strings.Contains(snap.Problems[0], "/livez answers 503") {
			t.Errorf("%s answers, %s is ready: %v, problems %q", got, owner, snap.Ready, snap.Problems)
		}
	}, tenAddresses)
}
