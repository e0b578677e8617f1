package owner

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/starling-lb/starling/health"
)

// TestShift is the specification of what a change of the members does to one address. For it n2
// outscores n3, and n3 outscores n1.
func TestShift(t *testing.T) {
	three := []Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}}
	serving := VIP{IP: ip, Serving: true}
	for _, tt := range []struct {
		name          string
		before, after []Node
		was, now      VIP
		want          Result
	}{
		{
			"nothing", three, three, serving, serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 3 eligible"},
		}, {
			"the owner left", three,
			[]Node{three[0], three[2]},
			serving, serving,
			Result{Owner: "n3", Next: "n1", Reason: "highest score of 2 eligible"},
		}, {
			"the next in line left", three, three[:2], serving, serving,
			Result{Owner: "n2", Next: "n1", Reason: "highest score of 2 eligible"},
		}, {
			"another one left", three, three[1:], serving, serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 2 eligible"},
		}, {
			"the best joined",
			[]Node{three[0], three[2]},
			three, serving, serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 3 eligible"},
		}, {
			"the second best joined", three[:2], three, serving, serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 3 eligible"},
		}, {
			"a worse one joined", three[1:], three, serving, serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 3 eligible"},
		}, {
			"the second one joined", three[:1], three[:2], serving, serving,
			Result{Owner: "n2", Next: "n1", Reason: "highest score of 2 eligible"},
		}, {
			"the last one left", three[:1], nil, serving, serving,
			Result{Code: health.NoReadyNode, Reason: "no node is ready"},
		}, {
			"the first endpoint came", three, three,
			VIP{IP: ip},
			serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 3 eligible"},
		}, {
			"there was no such address", three, three,
			VIP{},
			serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 3 eligible"},
		}, {
			"its nodes became fewer", three, three,
			VIP{IP: ip, Serving: true, Scope: &Scope{Rule: "the rule", Nodes: []string{"n1", "n2", "n3"}}},
			VIP{IP: ip, Serving: true, Scope: &Scope{Rule: "the rule", Nodes: []string{"n1", "n3"}}},
			Result{Owner: "n3", Next: "n1", Reason: "highest score of 2 eligible by the rule"},
		}, {
			"a local endpoint moved", three, three,
			VIP{IP: ip, Serving: true, Local: [][]string{{"n2"}}},
			VIP{IP: ip, Serving: true, Local: [][]string{{"n3"}}},
			Result{Owner: "n3", Reason: "the only one with a local endpoint"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, to := New(tt.before).Ranker(), New(tt.after).Ranker()
			if diff := gocmp.Diff(tt.want, to.Since(from).Elect(tt.now, tt.was, from.Elect(tt.was))); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// TestShiftAgainstNaive brings many addresses through a history of the members, their rules and
// their endpoints. After each change every result is that of an election by the words of the
// design, with the reason of one anew.
func TestShiftAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		vips := drawVIPs(t, nodes)
		ranker, results := New(nodes).Ranker(), make([]Result, len(vips))
		for i, v := range vips {
			results[i] = ranker.Elect(v)
		}
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			nodes = change(t, nodes)
			before := vips
			vips = changeVIPs(t, vips, nodes)
			next := New(nodes).Ranker()
			shift := next.Since(ranker)
			for i, v := range vips {
				results[i] = shift.Elect(v, before[i], results[i])
				if want := naive(nodes, v); results[i].Owner != want.Owner || results[i].Next != want.Next {
					t.Fatalf("%+v: elected %q then %q, want %q then %q", v, results[i].Owner, results[i].Next, want.Owner, want.Next)
				}
				if want := New(nodes).Elect(v); results[i] != want {
					t.Fatalf("%+v: %+v, an election anew says %+v", v, results[i], want)
				}
			}
			ranker = next
		}
	})
}

// drawVIPs draws some that are alike and some with rules and endpoints of their own.
func drawVIPs(t *rapid.T, nodes []Node) []VIP {
	scope := drawScope(t, "the shared rule", nodes)
	var vips []VIP
	for i := range 6 {
		at := netip.AddrFrom4([4]byte{198, 18, byte(i % 3), byte(i)})
		vips = append(vips, VIP{IP: at, Serving: true}, VIP{IP: at, Serving: true, Scope: scope}, drawVIP(t, nodes),
			VIP{IP: at, Serving: true, Scope: scope, Local: [][]string{drawSome(t, nodes)}})
	}
	return vips
}

// change lets one node leave, join, or become another.
func change(t *rapid.T, nodes []Node) []Node {
	nodes = slices.Clone(nodes)
	drawn := drawNodes(t)
	if len(drawn) == 0 {
		return nodes[min(1, len(nodes)):]
	}
	if drawn = drawn[:1]; len(nodes) > 0 && rapid.Bool().Draw(t, "known") {
		drawn[0].Name = rapid.SampledFrom(nodes).Draw(t, "name").Name
	}
	for _, n := range nodes {
		if n.Name != drawn[0].Name {
			drawn = append(drawn, n)
		}
	}
	rand.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return drawn
}

// changeVIPs draws the shared rule and one of the addresses anew, or none.
func changeVIPs(t *rapid.T, vips []VIP, nodes []Node) []VIP {
	vips = slices.Clone(vips)
	if rapid.Bool().Draw(t, "other rule") {
		scope := drawScope(t, "the shared rule", nodes)
		for i := range vips {
			if vips[i].Scope != nil && vips[i].Scope.Rule == scope.Rule {
				vips[i].Scope = scope
			}
		}
	}
	if rapid.Bool().Draw(t, "other address") {
		vips[rapid.IntRange(0, len(vips)-1).Draw(t, "which")] = drawVIP(t, nodes)
	}
	return vips
}

// TestShiftLooksAtWhatChanged: a node that nobody is interested in changes, and the groups of both
// rankers are compared once; after that no address is elected anew.
func TestShiftLooksAtWhatChanged(t *testing.T) {
	nodes := fleet(50)
	from := New(nodes).Ranker()
	vips := many(200)
	results := make([]Result, len(vips))
	for i, v := range vips {
		results[i] = from.Elect(v)
	}
	gone := nodes[7].Name
	shift := New(slices.Delete(slices.Clone(nodes), 7, 8)).Ranker().Since(from)
	moved, concerned := 0, 0
	for i, v := range vips {
		if results[i].Owner == gone || results[i].Next == gone {
			concerned++
		}
		if now := shift.Elect(v, v, results[i]); now.Owner != results[i].Owner || now.Next != results[i].Next {
			moved++
		}
	}
	if moved != concerned || moved == 0 {
		t.Errorf("%d results changed, %d named the node that left", moved, concerned)
	}
	if len(shift.differences) != 1 {
		t.Errorf("%d comparisons of groups, want 1", len(shift.differences))
	}
	if diff := gocmp.Diff([]string{gone}, shift.changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

// many are addresses in a row on one network.
func many(count int) []VIP {
	vips := make([]VIP, count)
	for i := range vips {
		vips[i] = VIP{IP: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), Serving: true}
	}
	return vips
}

// BenchmarkElection is what 10,000 addresses cost among 1,000 members: all elected at once, after
// one member joined and after one left. Half of the addresses have local endpoints in the rows that
// say so.
func BenchmarkElection(b *testing.B) {
	lan := netip.MustParsePrefix("198.18.0.0/16")
	nodes := fleet(1000)
	for i := range nodes {
		nodes[i].Segments = []netip.Prefix{lan}
	}
	all, fewer := New(nodes), New(slices.Delete(slices.Clone(nodes), 500, 501))
	for _, local := range []bool{false, true} {
		vips, suffix := many(10000), ""
		if local {
			suffix = ", half with 3 local endpoints"
			for i := range vips[:len(vips)/2] {
				vips[i].Local = [][]string{localEndpoints(i)}
			}
		}
		b.Run("all at once"+suffix, func(b *testing.B) {
			for b.Loop() {
				electAll(all.Ranker(), vips)
			}
		})
		for what, change := range map[string][2]*Nodes{"join": {fewer, all}, "leave": {all, fewer}} {
			b.Run("one "+what+suffix, func(b *testing.B) {
				from := change[0].Ranker()
				results := electAll(from, vips)
				for b.Loop() {
					shift := change[1].Ranker().Since(from)
					for i, v := range vips {
						shift.Elect(v, v, results[i])
					}
				}
			})
		}
	}
}

func electAll(p *Ranker, vips []VIP) []Result {
	results := make([]Result, len(vips))
	for i, v := range vips {
		results[i] = p.Elect(v)
	}
	return results
}

// localEndpoints are three nodes of the fleet, sorted.
func localEndpoints(i int) []string {
	names := []string{fmt.Sprintf("node-%d", i%1000+1), fmt.Sprintf("node-%d", (i+300)%1000+1), fmt.Sprintf("node-%d", (i+700)%1000+1)}
	slices.Sort(names)
	return names
}
