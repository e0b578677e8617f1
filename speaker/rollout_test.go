package speaker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// TestOlderConfiguration: a configuration spreads, and one speaker is still behind, or ahead.
// Whoever knows a pool serves from it at once, with as many writes as if all agreed, and nobody
// undoes what others do.
func TestOlderConfiguration(t *testing.T) {
	pool := func(name, ranges string, edits ...func(*lease.Pool)) lease.Pool {
		p := lease.Pool{Name: name, Ranges: strings.Split(ranges, ",")}
		for _, edit := range edits {
			edit(&p)
		}
		return p
	}
	first := func(p *lease.Pool) { p.Priority = new(0) }
	lab1 := pool("lab", "198.18.65.0/24,2001:db8::/120")
	old := pool("default", "198.18.64.1-198.18.64.20")
	asks := func(s *watcher.Service) { s.Annotations = [][2]string{{"starling-lb.io/address-pool", "lab"}} }
	six := func(s *watcher.Service) { s.Families = []string{"IPv6"} }
	dual := func(s *watcher.Service) {
		s.Families, s.FamilyPolicy = []string{"IPv4", "IPv6"}, "RequireDualStack"
	}
	i := 0
	for _, tt := range []struct {
		name     string
		old, new []lease.Pool
		edit     func(*watcher.Service)
	}{
		{"the first pool", nil, []lease.Pool{lab1}, nil},
		{"one more pool, which comes last", []lease.Pool{old}, []lease.Pool{old, lab1}, nil},
		{"one more pool, which comes first", []lease.Pool{old}, []lease.Pool{pool("lab", "198.18.65.0/24", first), old}, nil},
		{"one more pool, which is asked for", []lease.Pool{old}, []lease.Pool{old, lab1}, asks},
		{"one more pool, with IPv6", []lease.Pool{old}, []lease.Pool{old, lab1}, six},
		{"one more pool, with both families", []lease.Pool{old}, []lease.Pool{old, lab1}, dual},
		{"another pool", []lease.Pool{old}, []lease.Pool{lab1}, nil},
		{"another name", []lease.Pool{old}, []lease.Pool{pool("renamed", "198.18.64.1-198.18.64.20")}, nil},
		{"a larger pool", []lease.Pool{pool("default", "198.18.64.1-198.18.64.2")}, []lease.Pool{old}, nil},
		{"another pool of the name", []lease.Pool{old}, []lease.Pool{pool("default", "198.18.65.0/24")}, nil},
		{"a pool that serves the namespace now", []lease.Pool{pool("lab", "198.18.65.0/24", func(p *lease.Pool) { p.Namespaces = []string{"other"} })}, []lease.Pool{pool("lab", "198.18.65.0/24")}, nil},
	} {
		for _, odd := range []string{"n1", "n2", "n3"} {
			for _, ahead := range []bool{false, true} {
				i++
				t.Run(fmt.Sprintf("%s, %s ahead: %v", tt.name, odd, ahead), func(t *testing.T) {
					variant(t, i)
					lab(t, func(m *model) {
						one, rest := compiled(t, tt.old...), compiled(t, tt.new...)
						if ahead {
							one, rest = rest, one
						}
						m.configure(rest)
						m.configure(one, odd)
						m.pass(time.Minute)
						begun := time.Now()
						var names []string
						for i := range 12 {
							names = append(names, fmt.Sprint("s", i))
							m.create(names[i], tt.edit, "n1", "n2", "n3")
						}
						held := map[string]string{}
						for _, name := range names {
							held[name] = m.bound(name)
						}
						if took := time.Since(begun); took > 500*time.Millisecond {
							t.Errorf("all have an address after %v", took)
						}
						m.pass(time.Minute)
						for _, name := range names {
							if now := m.ip(name); now != held[name] {
								t.Errorf("%s had %s and has %s", name, held[name], now)
							}
						}
						if m.writes != 24 || m.refused > 0 {
							t.Errorf("%d writes, and %d refused ones", m.writes, m.refused)
						}
						if got := m.told(lease.AllocationFailed); len(got) > 0 {
							t.Errorf("events %q", got)
						}
					}, tenAddresses)
				})
			}
		}
	}
}

// TestConfigurationSpreads: Services are made while a configuration reaches one speaker after the
// other, in every order, and gossip tells late of it. What is bound stays, for both configurations
// have its pool or none has it that is used.
func TestConfigurationSpreads(t *testing.T) {
	old := []lease.Pool{{Name: "default", Ranges: []string{"198.18.64.1-198.18.64.4"}}}
	larger := []lease.Pool{{Name: "lab", Ranges: []string{"198.18.65.0/24"}, Priority: new(0)}, old[0]}
	i := 0
	for _, order := range [][]string{{"n1", "n2", "n3"}, {"n1", "n3", "n2"}, {"n2", "n1", "n3"}, {"n2", "n3", "n1"}, {"n3", "n1", "n2"}, {"n3", "n2", "n1"}} {
		for _, late := range [][2]time.Duration{{time.Millisecond, 0}, {50 * time.Millisecond, 0}, {2 * time.Millisecond, 300 * time.Millisecond}} {
			i++
			t.Run(fmt.Sprint(order, late), func(t *testing.T) {
				variant(t, i)
				lab(t, func(m *model) {
					m.configure(compiled(t, old...))
					m.pass(time.Minute)
					m.mu.Lock()
					m.latency, m.rumor = late[0], late[1]
					m.mu.Unlock()
					var names []string
					for i := range 30 {
						if i%10 == 5 {
							m.configure(compiled(t, larger...), order[i/10])
						}
						names = append(names, fmt.Sprint("s", i))
						m.create(names[i], nil, "n1", "n2", "n3")
						m.pass(40 * time.Millisecond)
					}
					held := map[string]string{}
					for _, name := range names {
						held[name] = m.bound(name)
					}
					m.pass(time.Minute)
					for _, name := range names {
						if now := m.ip(name); now != held[name] {
							t.Errorf("%s had %s and has %s", name, held[name], now)
						}
					}
					t.Logf("%d writes, %d refused", m.writes, m.refused)
					if m.writes > 60 {
						t.Errorf("%d writes, want two for each Service", m.writes)
					}
				}, tenAddresses)
			})
		}
	}
}

// claimed is an edit that puts a claim of a node on a Service.
func claimed(by string) func(*watcher.Service) {
	return func(s *watcher.Service) {
		s.Annotations = [][2]string{{"starling-lb.io/lease", `{"v":1,"by":"cluster","holder":"` + by + `","ips":[{"ip":"198.18.65.1","pool":"lab","state":"claimed"}]}`}}
	}
}

// TestClaimOfAPoolThatIsGone: nobody knows a claimed address any more. The claim is given up, and
// the Service served from what there is.
func TestClaimOfAPoolThatIsGone(t *testing.T) {
	for _, tt := range []struct {
		holder string
		within time.Duration
	}{
		{"n1", 4 * time.Second}, {"n9", 4 * time.Second}, {"", time.Second},
	} {
		t.Run(tt.holder, func(t *testing.T) {
			lab(t, func(m *model) {
				begun := time.Now()
				m.create("web", claimed(tt.holder), "n1")
				if ip := m.bound("web"); ip != "198.18.64.1" || time.Since(begun) > tt.within {
					t.Errorf("%s after %v", ip, time.Since(begun))
				}
			}, tenAddresses)
		})
	}
}

// TestWriterOfAClaimIsAway: the only speaker that knows a pool has claimed from it, and cannot go
// on. If it is dead, the others soon serve the Service from what they know; if it only seems to be
// slow they give it time.
func TestWriterOfAClaimIsAway(t *testing.T) {
	for _, tt := range []struct {
		name        string
		away        func(m *model)
		least, most time.Duration
	}{
		{"dead", func(m *model) { m.dies("n3", 500*time.Millisecond) }, time.Second, 4 * time.Second},
		{"left", func(m *model) { m.leaves("n3") }, time.Second, 4 * time.Second},
		{"hung", func(m *model) { m.set("n3", func(b *node) { b.lag = time.Hour }) }, 29 * time.Second, 35 * time.Second},
		{"slow", func(m *model) { m.set("n3", func(b *node) { b.lag = 20 * time.Second }) }, 20 * time.Second, 25 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.configure(compiled(t, lease.Pool{Name: "lab", Ranges: []string{"198.18.65.1-198.18.65.10"}}), "n3")
				m.pass(time.Minute)
				tt.away(m)
				begun := time.Now()
				m.create("web", claimed("n3"), "n1", "n2")
				ip := m.bound("web")
				want := "198.18.64.1"
				if tt.name == "slow" {
					want = "198.18.65.1"
				}
				if took := time.Since(begun); ip != want || took < tt.least || took > tt.most {
					t.Errorf("%s after %v, want %s", ip, took, want)
				}
				m.pass(2 * time.Minute)
				if now := m.ip("web"); now != ip {
					t.Errorf("%s has become %s", ip, now)
				}
			}, tenAddresses)
		})
	}
}

// TestAdoptionWhileConfigurationsDiffer: an address that another implementation gave is in a pool
// that only one speaker knows. That one adopts it, and the others do not replace it before.
func TestAdoptionWhileConfigurationsDiffer(t *testing.T) {
	for _, ahead := range []string{"n1", "n2", "n3"} {
		for _, ip := range []string{"198.18.65.7", "203.0.113.7"} {
			lab(t, func(m *model) {
				m.configure(compiled(t, lease.Pool{Name: "lab", Ranges: []string{"198.18.65.1-198.18.65.10"}}), ahead)
				m.pass(time.Minute)
				m.create("web", func(s *watcher.Service) { s.Ingress = []string{ip} }, "n1", "n2")
				m.pass(10 * time.Second)
				if got := m.ip("web"); (got == ip) != strings.HasPrefix(ip, "198.18.65.") || m.writes > 2 {
					t.Errorf("%s ahead: %s has become %s by %d writes", ahead, ip, got, m.writes)
				}
			}, tenAddresses)
		}
	}
}
