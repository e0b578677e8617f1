package watcher

import (
	"maps"
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
		want []string
	}{
		{"none", endpointSlice("s", "a"), nil},
		{"several on one node", endpointSlice("s", "a", "n2", "n1", "n2"), []string{"n1", "n2"}},
		{"one of two serves", endpointSlice("s", "a", "n1-", "n1"), []string{"n1"}},
		{"none serves", endpointSlice("s", "a", "n1-", "n2-"), nil},
		{
			"without a node",
			&discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "s", Labels: map[string]string{discoveryv1.LabelServiceName: "a"}},
				Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"203.0.113.7"}}},
			},
			[]string{""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := slice{key: Key{"d", "s"}, service: Key{"d", "a"}, nodes: tt.want}
			if diff := cmp.Diff(want, fromSlice(tt.in), cmp.AllowUnexported(slice{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEndpointSet(t *testing.T) {
	var told counter
	s := newEndpointSet(told.add)
	one := func(name, service string, nodes ...string) slice {
		return slice{Key{"d", name}, Key{"d", service}, nodes}
	}
	steps := []struct {
		name string
		do   func()
		want map[string][]string
		told int
	}{
		{"a snapshot file", func() { s.load(map[Key]Endpoints{{"d", "old"}: {Nodes: []string{"n9"}}}) }, map[string][]string{"old": {"n9"}}, 0},
		{"the first list", func() { s.replace("1", []slice{one("a-1", "a", "n1"), one("b-1", "b")}) }, map[string][]string{"a": {"n1"}, "b": nil}, 1},
		{"a snapshot file that is late", func() { s.load(map[Key]Endpoints{{"d", "old"}: {}}) }, map[string][]string{"a": {"n1"}, "b": nil}, 0},
		{"a second slice", func() { s.put("2", one("a-2", "a", "n0", "n1", "n3")) }, map[string][]string{"a": {"n0", "n1", "n3"}, "b": nil}, 1},
		{"a slice that changes nothing", func() { s.put("3", one("a-3", "a", "n3")) }, map[string][]string{"a": {"n0", "n1", "n3"}, "b": nil}, 0},
		{"one slice fewer, still covered", func() { s.remove("4", Key{"d", "a-1"}) }, map[string][]string{"a": {"n0", "n1", "n3"}, "b": nil}, 0},
		{"one slice fewer", func() { s.remove("5", Key{"d", "a-2"}) }, map[string][]string{"a": {"n3"}, "b": nil}, 1},
		{"a slice changes its Service", func() { s.put("6", one("a-3", "b", "n3")) }, map[string][]string{"b": {"n3"}}, 1},
		{"unknown slice deleted", func() { s.remove("7", Key{"d", "zz"}) }, map[string][]string{"b": {"n3"}}, 0},
		{"the last slices go", func() { s.remove("8", Key{"d", "b-1"}); s.remove("9", Key{"d", "a-3"}) }, map[string][]string{}, 1},
	}
	for _, st := range steps {
		st.do()
		got := map[string][]string{}
		for k, e := range s.snapshot() {
			got[k.Name] = e.Nodes
		}
		if diff := cmp.Diff(st.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", st.name, diff)
		}
		if n := told.took(); n != st.told {
			t.Errorf("%s: %d signals, want %d", st.name, n, st.told)
		}
	}
}

// TestEndpointSetAgainstOracle compares the merge with one that starts anew each time, and holds that maps handed out
// stay what they were.
func TestEndpointSetAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newEndpointSet(func() {})
		s.replace("0", nil)
		model := map[Key]slice{}
		keys, services, nodes := rapid.SampledFrom([]string{"1", "2", "3", "4"}), rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"", "n1", "n2", "n3"})
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			before := s.snapshot()
			copied := maps.Clone(before)
			k := Key{"d", keys.Draw(t, "key")}
			if rapid.Bool().Draw(t, "remove") {
				delete(model, k)
				s.remove("", k)
			} else {
				next := slice{k, Key{"d", services.Draw(t, "service")}, normal(rapid.SliceOfN(nodes, 0, 3).Draw(t, "nodes"))}
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
			if inA != inB || !slices.Equal(x.Nodes, y.Nodes) {
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, Key.compare)
	return slices.Compact(keys)
}

func naive(all map[Key]slice) map[Key]Endpoints {
	out := map[Key]Endpoints{}
	for _, s := range all {
		e := out[s.service]
		e.Nodes = append(slices.Clone(e.Nodes), s.nodes...)
		slices.Sort(e.Nodes)
		e.Nodes = slices.Compact(e.Nodes)
		out[s.service] = e
	}
	return out
}
