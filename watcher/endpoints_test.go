package watcher

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

func TestServing(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name string
		in   discoveryv1.EndpointConditions
		want bool
	}{
		{"nothing known", discoveryv1.EndpointConditions{}, true},
		{"serving", discoveryv1.EndpointConditions{Serving: &yes}, true},
		{"not serving", discoveryv1.EndpointConditions{Serving: &no}, false},
		{"ready alone", discoveryv1.EndpointConditions{Ready: &yes}, true},
		{"not ready alone", discoveryv1.EndpointConditions{Ready: &no}, false},
		{"published though not ready", discoveryv1.EndpointConditions{Ready: &yes, Serving: &no}, true},
		{"neither", discoveryv1.EndpointConditions{Ready: &no, Serving: &no}, false},
		{"terminating and still serving", discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := serving(tt.in); got != tt.want {
				t.Errorf("serving %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFromSlice(t *testing.T) {
	tests := []struct {
		name string
		in   *discoveryv1.EndpointSlice
		want Places
	}{
		{"none", endpointSlice("s", "a"), Places{nil, NoEndpoint}},
		{"several on one node", endpointSlice("s", "a", "n2", "n1", "n2"), Places{[]string{"n1", "n2"}, Serving}},
		{"one of two serves", endpointSlice("s", "a", "n1-", "n1"), Places{[]string{"n1"}, Serving}},
		{"none serves", endpointSlice("s", "a", "n1-", "n2-"), Places{nil, NotServing}},
		{
			"without a node",
			&discoveryv1.EndpointSlice{
				ObjectMeta:  metav1.ObjectMeta{Namespace: "d", Name: "s", Labels: map[string]string{discoveryv1.LabelServiceName: "a"}},
				AddressType: discoveryv1.AddressTypeIPv4,
				Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"203.0.113.7"}}},
			},
			Places{[]string{""}, Serving},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := slice{Key{Namespace: "d", Name: "s"}, Key{Namespace: "d", Name: "a"}, discoveryv1.AddressTypeIPv4, tt.want}
			if diff := cmp.Diff(want, fromSlice(tt.in), cmp.AllowUnexported(slice{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEndpointSet(t *testing.T) {
	var told counter
	s := newEndpointSet(told.add)
	const four, six, host = discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN
	one := func(family discoveryv1.AddressType, name, service string, nodes ...string) slice {
		return slice{Key{Namespace: "d", Name: name}, Key{Namespace: "d", Name: service}, family, found(nodes)}
	}
	v4 := func(nodes ...string) Endpoints { return Endpoints{V4: found(nodes)} }
	both := func(v4, v6 Places) Endpoints { return Endpoints{v4, v6} }
	steps := []struct {
		name string
		do   func()
		want map[string]Endpoints
		told int
	}{
		{"a snapshot file", func() { s.load(map[Key]Endpoints{{Namespace: "d", Name: "old"}: v4("n9")}) }, map[string]Endpoints{"old": v4("n9")}, 0},
		{"the first list", func() { s.replace("1", []slice{one(four, "a-1", "a", "n1"), one(four, "b-1", "b")}) }, map[string]Endpoints{"a": v4("n1"), "b": v4()}, 1},
		{"a snapshot file that is late", func() { s.load(map[Key]Endpoints{{Namespace: "d", Name: "old"}: {}}) }, map[string]Endpoints{"a": v4("n1"), "b": v4()}, 0},
		{"a second slice", func() { s.put("2", one(four, "a-2", "a", "n0", "n1", "n3")) }, map[string]Endpoints{"a": v4("n0", "n1", "n3"), "b": v4()}, 1},
		{"a slice that changes nothing", func() { s.put("3", one(four, "a-3", "a", "n3")) }, map[string]Endpoints{"a": v4("n0", "n1", "n3"), "b": v4()}, 0},
		{"one slice fewer, still covered", func() { s.remove("4", Key{Namespace: "d", Name: "a-1"}) }, map[string]Endpoints{"a": v4("n0", "n1", "n3"), "b": v4()}, 0},
		{"one slice fewer", func() { s.remove("5", Key{Namespace: "d", Name: "a-2"}) }, map[string]Endpoints{"a": v4("n3"), "b": v4()}, 1},
		{
			"the other family", func() { s.put("6", one(six, "a-6", "a", "n2")) },
			map[string]Endpoints{"a": both(found([]string{"n3"}), found([]string{"n2"})), "b": v4()},
			1,
		},
		{
			"an empty slice of it", func() { s.put("7", one(six, "b-6", "b")) },
			map[string]Endpoints{"a": both(found([]string{"n3"}), found([]string{"n2"})), "b": both(found(nil), found(nil))},
			1,
		},
		{
			"host names, which nobody forwards to", func() { s.put("8", one(host, "b-h", "b", "n1")) },
			map[string]Endpoints{"a": both(found([]string{"n3"}), found([]string{"n2"})), "b": both(found(nil), found(nil))},
			0,
		},
		{
			"one of a Service alone", func() { s.put("9", one(host, "c-h", "c", "n1")) },
			map[string]Endpoints{"a": both(found([]string{"n3"}), found([]string{"n2"})), "b": both(found(nil), found(nil)), "c": {}},
			1,
		},
		{
			"the first family goes", func() {
				s.remove("10", Key{Namespace: "d", Name: "a-3"})
				s.remove("11", Key{Namespace: "d", Name: "c-h"})
				s.remove("12", Key{Namespace: "d", Name: "b-h"})
			},
			map[string]Endpoints{"a": {V6: found([]string{"n2"})}, "b": both(found(nil), found(nil))},
			2,
		},
		{"a slice changes its Service", func() { s.put("13", one(six, "a-6", "b", "n3")) }, map[string]Endpoints{"b": both(found(nil), found([]string{"n3"}))}, 1},
		{"unknown slice deleted", func() { s.remove("14", Key{Namespace: "d", Name: "zz"}) }, map[string]Endpoints{"b": both(found(nil), found([]string{"n3"}))}, 0},
		{"the last slices go", func() {
			s.remove("15", Key{Namespace: "d", Name: "b-1"})
			s.remove("16", Key{Namespace: "d", Name: "b-6"})
			s.remove("17", Key{Namespace: "d", Name: "a-6"})
		}, map[string]Endpoints{}, 2},
	}
	for _, st := range steps {
		st.do()
		got := map[string]Endpoints{}
		for k, e := range s.snapshot() {
			got[k.Name] = e
		}
		if diff := cmp.Diff(st.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", st.name, diff)
		}
		if n := told.took(); n != st.told {
			t.Errorf("%s: %d signals, want %d", st.name, n, st.told)
		}
	}
}

// found are the endpoints of a family that has EndpointSlices, all of them serving.
func found(nodes []string) Places {
	if len(nodes) == 0 {
		return Places{Found: NoEndpoint}
	}
	return Places{nodes, Serving}
}

func TestOf(t *testing.T) {
	e := Endpoints{V4: found([]string{"n1"}), V6: found([]string{"n2"})}
	for ip, want := range map[string]string{"198.18.64.1": "n1", "2001:db8::1": "n2", "::ffff:198.18.64.1": "n1"} {
		if got := e.Of(netip.MustParseAddr(ip)).Nodes; !slices.Equal(got, []string{want}) {
			t.Errorf("of %s: %v, want %s", ip, got, want)
		}
	}
}

// TestEndpointSetAgainstOracle compares the merge with one that starts anew each time, and holds
// that maps handed out stay what they were.
func TestEndpointSetAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newEndpointSet(func() {})
		s.replace("0", nil)
		model := map[Key]slice{}
		families := rapid.SampledFrom([]discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN})
		keys, services, nodes := rapid.SampledFrom([]string{"1", "2", "3", "4"}), rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"", "n1", "n2", "n3"})
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			before := s.snapshot()
			copied := maps.Clone(before)
			k := Key{Namespace: "d", Name: keys.Draw(t, "key")}
			if rapid.Bool().Draw(t, "remove") {
				delete(model, k)
				s.remove("", k)
			} else {
				next := slice{k, Key{Namespace: "d", Name: services.Draw(t, "service")}, families.Draw(t, "family"), Places{Found: rapid.SampledFrom([]Found{NoEndpoint, NotServing}).Draw(t, "found")}}
				if on := normal(rapid.SliceOfN(nodes, 0, 3).Draw(t, "nodes")); len(on) > 0 {
					next.Places = found(on)
				}
				model[k] = next
				s.put("", next)
			}
			if diff := cmp.Diff(copied, before); diff != "" {
				t.Fatalf("a snapshot changed (-before +after):\n%s", diff)
			}
			want := naive(model)
			if diff := cmp.Diff(want, s.snapshot(), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(differ(copied, want), s.drain(), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("drained (-want +got):\n%s", diff)
			}
		}
	})
}

// differ names the Services that do not have the same endpoints in both, sorted.
func differ(a, b map[Key]Endpoints) []Key {
	var keys []Key
	for _, both := range []map[Key]Endpoints{a, b} {
		for k := range both {
			x, inA := a[k]
			y, inB := b[k]
			if inA != inB || !x.equal(y) {
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, Key.Compare)
	return slices.Compact(keys)
}

func naive(all map[Key]slice) map[Key]Endpoints {
	out := map[Key]Endpoints{}
	for _, s := range all {
		e := out[s.service]
		var p *Places
		switch s.family {
		case discoveryv1.AddressTypeIPv4:
			p = &e.V4
		case discoveryv1.AddressTypeIPv6:
			p = &e.V6
		default:
			p = &Places{}
		}
		p.Nodes = append(slices.Clone(p.Nodes), s.Nodes...)
		slices.Sort(p.Nodes)
		p.Nodes = slices.Compact(p.Nodes)
		p.Found = max(p.Found, s.Found)
		out[s.service] = e
	}
	return out
}
