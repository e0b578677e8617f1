package speaker

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

// bothFamilies are the pools of a dual-stack network.
var bothFamilies = []string{"default=198.18.64.1-198.18.64.10,2001:db8:64::1-2001:db8:64::10"}

// dual makes a dual-stack Service with these endpoints, and returns its two addresses.
func (m *model) dual(name string, local bool, e watcher.Endpoints) (v4, v6 string) {
	m.t.Helper()
	m.create(name, func(s *watcher.Service) {
		s.Families, s.FamilyPolicy, s.Local = []string{"IPv4", "IPv6"}, "RequireDualStack", local
	})
	m.serveBy(name, e)
	m.until(name+" has two addresses", 20*time.Second, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, text := range m.services[watcher.Key{Namespace: "default", Name: name}].Ingress {
			if netip.MustParseAddr(text).Is4() {
				v4 = text
			} else {
				v6 = text
			}
		}
		return v4 != "" && v6 != ""
	})
	return v4, v6
}

// answered waits until an address is answered by these nodes and no other.
func (m *model) answered(ip string, nodes ...string) {
	m.t.Helper()
	m.until(ip+" is answered as it should be", 5*time.Second, func() bool { return slices.Equal(m.owners(ip), nodes) })
}

// TestLocalEndpointsHaveAFamily: each address of a Service is announced where the endpoints of its
// own family are, for nowhere else is anything forwarded to them.
func TestLocalEndpointsHaveAFamily(t *testing.T) {
	lab(t, func(m *model) {
		v4, v6 := m.dual("web", true, watcher.Endpoints{V4: on("n1"), V6: on("n2")})
		m.answered(v4, "n1")
		m.answered(v6, "n2")
		m.serveBy("web", watcher.Endpoints{V4: on("n2"), V6: on("n1")})
		m.answered(v4, "n2")
		m.answered(v6, "n1")
		m.serveBy("web", watcher.Endpoints{V4: on("n2"), V6: watcher.Places{Found: watcher.NotServing}})
		m.answered(v6)
		m.answered(v4, "n2")
		m.serveBy("web", watcher.Endpoints{V6: on("n3")})
		m.answered(v6, "n3")
		m.answered(v4)
	}, bothFamilies...)
}

// TestClusterEndpointsHaveAFamily: an address whose family has no endpoint is announced by nobody,
// wherever there are some of the other family.
func TestClusterEndpointsHaveAFamily(t *testing.T) {
	lab(t, func(m *model) {
		v4, v6 := m.dual("web", false, watcher.Endpoints{V4: on("n1")})
		m.one(v4)
		m.answered(v6)
		m.serveBy("web", watcher.Endpoints{V6: on("n1")})
		m.one(v6)
		m.answered(v4)
		m.serveBy("web", everywhere("n3"))
		m.one(v4)
		m.one(v6)
	}, bothFamilies...)
}

// TestCandidate holds what of a Service's endpoints counts for an address, alone and where Services
// share it.
func TestCandidate(t *testing.T) {
	t.Parallel()
	key := func(name string) lease.Key { return lease.Key{Namespace: "default", Name: name} }
	endpoints := map[watcher.Key]watcher.Endpoints{
		key("split"): {V4: on("n1"), V6: on("n2", "n3")},
		key("four"):  {V4: on("n2")},
		key("six"):   {V4: watcher.Places{Found: watcher.NotServing}, V6: on("n3")},
		key("empty"): {V4: on(), V6: on()},
	}
	s := New(Config{Node: "n1"})
	var all []*lease.Service
	for _, name := range []string{"split", "four", "six", "empty", "none"} {
		all = append(all, &lease.Service{Namespace: "default", Name: name, UID: name, Version: "1", Type: "LoadBalancer", Local: true})
	}
	s.table.Apply(true, all, nil, time.Unix(0, 0))
	v4, v6 := netip.MustParseAddr("198.18.64.1"), netip.MustParseAddr("2001:db8:64::1")
	for _, tt := range []struct {
		name     string
		ip       netip.Addr
		services []string
		serving  bool
		local    [][]string
	}{
		{"IPv4", v4, []string{"split"}, true, [][]string{{"n1"}}},
		{"IPv6", v6, []string{"split"}, true, [][]string{{"n2", "n3"}}},
		{"only the other family", v6, []string{"four"}, false, nil},
		{"only the other family serves", v4, []string{"six"}, false, nil},
		{"shared", v4, []string{"split", "four"}, true, [][]string{{"n1"}, {"n2"}}},
		{"shared with a Service of the other family", v6, []string{"split", "four"}, true, [][]string{{"n2", "n3"}}},
		{"shared with one without any", v4, []string{"empty", "none", "four"}, true, [][]string{{"n2"}}},
		{"empty slices", v4, []string{"empty"}, false, nil},
		{"no slice", v6, []string{"none"}, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := lease.VIP{IP: tt.ip}
			for _, name := range tt.services {
				v.Services = append(v.Services, key(name))
			}
			got := s.candidate(&world{World: report.World{Cluster: watcher.State{Endpoints: endpoints}}}, v)
			want := owner.VIP{IP: tt.ip, Serving: tt.serving, Local: tt.local}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
