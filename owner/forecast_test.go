package owner

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestForecast compares forecasts with elections in which endpoints do not matter.
func TestForecast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		e := New(nodes)
		f := e.Forecast()
		for range 10 { // so that some are answered from memory
			v := drawVIP(t, nodes)
			want := e.Elect(VIP{IP: v.IP, Serving: true, Scope: v.Scope}).Owner
			if got := f.Owner(v); got != want {
				t.Fatalf("%v: %q, want %q", v.IP, got, want)
			}
			if v.Scope == nil && want != "" && !slices.Contains(f.Nodes(), want) && !outranked(nodes, want) {
				t.Fatalf("%v: %s owns it and is not named", v.IP, want)
			}
		}
	})
}

// outranked reports whether there is a better tier than that of the node.
func outranked(nodes []Node, name string) bool {
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == name })
	return slices.ContainsFunc(nodes, func(n Node) bool { return n.Unfit == "" && n.Tier < nodes[i].Tier })
}

// TestEqual changes each field of a node: all of them matter to somebody.
func TestEqual(t *testing.T) {
	nodes := func() []Node { return []Node{{Name: "n1", Segments: []netip.Prefix{lan1}}, {Name: "n2"}} }
	if !New(nodes()).Equal(New([]Node{nodes()[1], nodes()[0]})) {
		t.Error("the order of the input matters")
	}
	if New(nodes()).Equal(New(nodes()[:1])) {
		t.Error("one node less does not matter")
	}
	other := Node{Name: "n0", Unfit: "dead", Tier: Going, Segments: []netip.Prefix{lan2}}
	for f := range reflect.TypeFor[Node]().Fields() {
		changed := nodes()
		value := reflect.ValueOf(other).FieldByIndex(f.Index)
		if value.IsZero() {
			t.Errorf("field %s: this test knows no other value", f.Name)
		}
		reflect.ValueOf(&changed[0]).Elem().FieldByIndex(f.Index).Set(value)
		if New(nodes()).Equal(New(changed)) {
			t.Errorf("field %s does not matter", f.Name)
		}
	}
}

func BenchmarkForecast(b *testing.B) {
	for _, n := range []int{3, 50, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			nodes := fleet(n)
			for i := range nodes {
				nodes[i].Segments = []netip.Prefix{lan1, lan2}
			}
			f := New(nodes).Forecast()
			b.ReportAllocs()
			for b.Loop() {
				f.Owner(VIP{IP: ip})
			}
		})
	}
}
