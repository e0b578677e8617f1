package owner

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/starling-lb/starling/health"
)

var (
	lan1 = netip.MustParsePrefix("198.18.0.0/24")
	lan2 = netip.MustParsePrefix("198.18.1.0/24")
	ip   = netip.MustParseAddr("198.18.0.57")
)

// TestElect is the specification of eligibility. For this address n2 outscores
// n3, and n3 outscores n1.
func TestElect(t *testing.T) {
	on := func(p ...netip.Prefix) []netip.Prefix { return p }
	serving := VIP{IP: ip, Serving: true}
	local := func(nodes ...[]string) VIP { return VIP{IP: ip, Serving: true, Local: nodes} }
	scope := func(nodes ...string) VIP {
		return VIP{IP: ip, Serving: true, Scope: &Scope{Rule: "the rule", Nodes: nodes}}
	}
	for _, tt := range []struct {
		name  string
		nodes []Node
		vip   VIP
		want  Result
	}{
		{
			"nobody", nil, serving,
			Result{Code: health.NoReadyNode, Reason: "no node is ready"},
		}, {
			"highest score",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			serving,
			Result{Owner: "n2", Next: "n3", Reason: "highest score of 3 eligible"},
		}, {
			"alone",
			[]Node{{Name: "n1"}},
			serving,
			Result{Owner: "n1", Reason: "the only one eligible"},
		}, {
			"unfit",
			[]Node{{Name: "n1"}, {Name: "n2", Unfit: "not ready"}, {Name: "n3"}},
			serving,
			Result{Owner: "n3", Next: "n1", Reason: "highest score of 2 eligible"},
		}, {
			"all unfit",
			[]Node{{Name: "n1", Unfit: "dead"}, {Name: "n2", Unfit: "not ready"}},
			serving,
			Result{Code: health.NoReadyNode, Reason: "no node is ready"},
		}, {
			"on the segment",
			[]Node{{Name: "n1", Segments: on(lan1)}, {Name: "n2", Segments: on(lan2)}},
			serving,
			Result{Owner: "n1", Reason: "the only one eligible"},
		}, {
			"routed",
			[]Node{{Name: "n1", Segments: on(lan2)}, {Name: "n2", Segments: on(lan2)}},
			serving,
			Result{Owner: "n2", Next: "n1", Reason: "highest score of 2 eligible"},
		}, {
			"only an unfit node is on the segment",
			[]Node{{Name: "n1", Segments: on(lan1), Unfit: "dead"}, {Name: "n2", Segments: on(lan2)}},
			serving,
			Result{Code: health.NoEligibleNode, Reason: "no ready node is on the network of 198.18.0.57"},
		}, {
			"no endpoint",
			[]Node{{Name: "n1"}, {Name: "n2"}},
			VIP{IP: ip},
			Result{Code: health.NoServingEndpoint, Reason: "no serving endpoint"},
		}, {
			"local endpoint",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			local([]string{"n1", "n3"}),
			Result{Owner: "n3", Next: "n1", Reason: "highest score of 2 with a local endpoint"},
		}, {
			"local endpoints of two Services",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			local([]string{"n1", "n3"}, []string{"n1", "n2"}),
			Result{Owner: "n1", Reason: "the only one with a local endpoint"},
		}, {
			"local endpoints nowhere together",
			[]Node{{Name: "n1"}, {Name: "n2"}},
			local([]string{"n1"}, []string{"n2"}),
			Result{Code: health.NoLocalEndpoint, Reason: "no ready node has a local endpoint"},
		}, {
			"best tier wins",
			[]Node{{Name: "n1"}, {Name: "n2", Tier: Draining}, {Name: "n3", Tier: Going}},
			serving,
			Result{Owner: "n1", Next: "n3", Reason: "the only one eligible"},
		}, {
			"a cluster that is about to go as a whole keeps its VIPs",
			[]Node{{Name: "n1", Tier: Going}, {Name: "n2", Tier: Going}},
			serving,
			Result{Owner: "n2", Next: "n1", Reason: "highest score of 2 eligible, all about to go"},
		}, {
			"who has no kube-proxy is behind all others",
			[]Node{{Name: "n1", Tier: Draining}, {Name: "n2", Tier: NoProxy}, {Name: "n3", Tier: NoProxy + Returning}},
			serving,
			Result{Owner: "n1", Next: "n2", Reason: "the only one eligible, all draining"},
		}, {
			"nobody has a kube-proxy any more",
			[]Node{{Name: "n1", Tier: NoProxy}, {Name: "n2", Tier: NoProxy}, {Name: "n3", Tier: NoProxy + Draining}},
			serving,
			Result{Owner: "n2", Next: "n1", Reason: "highest score of 2 eligible, all without kube-proxy or its rules"},
		}, {
			"only a node without kube-proxy has a local endpoint",
			[]Node{{Name: "n1"}, {Name: "n3", Tier: NoProxy}},
			local([]string{"n3"}),
			Result{Owner: "n3", Reason: "the only one with a local endpoint, all without kube-proxy or its rules"},
		}, {
			"and its endpoints may be others by now",
			[]Node{{Name: "n1"}, {Name: "n3", Tier: NoProxy + OutOfTouch}},
			local([]string{"n3"}),
			Result{Code: health.NoLocalEndpoint, Reason: "no ready node has a local endpoint"},
		}, {
			"the best tier has no local endpoint",
			[]Node{{Name: "n1"}, {Name: "n3", Tier: Going}},
			local([]string{"n3"}),
			Result{Owner: "n3", Reason: "the only one with a local endpoint, all about to go"},
		}, {
			"the local endpoint is on a node that is out of touch",
			[]Node{{Name: "n1"}, {Name: "n3", Tier: OutOfTouch}},
			local([]string{"n3"}),
			Result{Code: health.NoLocalEndpoint, Reason: "no ready node has a local endpoint"},
		}, {
			"the nodes that may",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			scope("n1", "n3", "n9"),
			Result{Owner: "n3", Next: "n1", Reason: "highest score of 2 eligible by the rule"},
		}, {
			"no node may",
			[]Node{{Name: "n1"}, {Name: "n2", Unfit: "dead"}},
			scope("n2"),
			Result{Code: health.NoEligibleNode, Reason: "no ready node matches the rule"},
		}, {
			"no entry is for its Services",
			[]Node{{Name: "n1"}},
			VIP{IP: ip, Serving: true, Scope: &Scope{Nobody: "no entry is for it"}},
			Result{Code: health.NoEligibleNode, Reason: "no entry is for it"},
		}, {
			"it is announced in another way",
			[]Node{{Name: "n1", Unfit: "dead"}},
			VIP{IP: ip, Scope: &Scope{Nobody: "by BGP alone", Elsewhere: true}},
			Result{Reason: "by BGP alone", Elsewhere: true},
		}, {
			"those that may are not on the segment",
			[]Node{{Name: "n1", Segments: on(lan1)}, {Name: "n2", Segments: on(lan2)}},
			scope("n2"),
			Result{Code: health.NoEligibleNode, Reason: "no ready node that matches the rule is on the network of 198.18.0.57"},
		}, {
			"those that may have a local endpoint",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			VIP{IP: ip, Serving: true, Local: [][]string{{"n1", "n2"}}, Scope: &Scope{Rule: "the rule", Nodes: []string{"n1", "n3"}}},
			Result{Owner: "n1", Reason: "the only one with a local endpoint by the rule"},
		}, {
			"a lower tier that may wins over a better one that may not",
			[]Node{{Name: "n1"}, {Name: "n2", Tier: Going}},
			scope("n2"),
			Result{Owner: "n2", Reason: "the only one eligible by the rule, all about to go"},
		}, {
			"by weight",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			VIP{IP: ip, Serving: true, Scope: &Scope{Any: true, Weights: map[string]int{"n1": 100}}},
			Result{Owner: "n1", Next: "n2", Reason: "highest score of 3 eligible, by weight"},
		}, {
			"weight 0 is for when there is nobody else",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			VIP{IP: ip, Serving: true, Scope: &Scope{Any: true, Weights: map[string]int{"n2": 0, "n3": 0}}},
			Result{Owner: "n1", Next: "n2", Reason: "highest score of 3 eligible, by weight"},
		}, {
			"weights among the nodes that may",
			[]Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}},
			VIP{IP: ip, Serving: true, Scope: &Scope{Rule: "the rule", Nodes: []string{"n1", "n3"}, Weights: map[string]int{"n1": 50, "n2": 50}}},
			Result{Owner: "n1", Next: "n3", Reason: "highest score of 2 eligible by the rule, by weight"},
		}, {
			"a name that occurs twice counts once",
			[]Node{{Name: "n1"}, {Name: "n1", Unfit: "dead"}},
			serving,
			Result{Owner: "n1", Reason: "the only one eligible"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := gocmp.Diff(tt.want, New(tt.nodes).Elect(tt.vip)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRanking(t *testing.T) {
	e := New([]Node{
		{Name: "n1", Segments: []netip.Prefix{lan1}},
		{Name: "n2", Segments: []netip.Prefix{lan1}, Unfit: "not ready"},
		{Name: "n3", Segments: []netip.Prefix{lan1}},
		{Name: "n4", Segments: []netip.Prefix{lan2}},
		{Name: "n5", Segments: []netip.Prefix{lan1}, Tier: Going},
		{Name: "n6", Segments: []netip.Prefix{lan1}},
		{Name: "n7", Segments: []netip.Prefix{lan1}},
	})
	why := map[string]string{}
	got := e.Ranking(VIP{IP: ip, Serving: true, Local: [][]string{{"n1", "n3", "n5", "n7"}}, Scope: &Scope{Rule: "the rule", Nodes: []string{"n1", "n2", "n3", "n4", "n5", "n6"}}})
	for i, c := range got {
		why[c.Node] = c.Reason
		if c.Score != Score(c.Node, ip) {
			t.Errorf("%s: score %x, want %x", c.Node, c.Score, Score(c.Node, ip))
		}
		if i > 0 && got[i-1].Reason != "" && c.Reason == "" {
			t.Errorf("%s is eligible but stands below %s", c.Node, got[i-1].Node)
		}
	}
	want := map[string]string{"n1": "", "n2": "not ready", "n3": "", "n4": "not on the network of 198.18.0.57", "n5": "about to go", "n6": "no local endpoint", "n7": "does not match the rule"}
	if diff := gocmp.Diff(want, why); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if got[0].Node != "n3" || got[1].Node != "n1" {
		t.Errorf("ranking starts with %s, %s; want n3, n1", got[0].Node, got[1].Node)
	}
}

func TestTierString(t *testing.T) {
	for tier, want := range map[Tier]string{
		Normal: "normal", OutOfTouch: "out of touch with the API server", Going: "about to go", Draining: "draining", Returning: "recently returned", 7: "tier 7",
		NoProxy: "without kube-proxy or its rules", NoProxy + Going: "without kube-proxy or its rules, about to go", 2 * NoProxy: "tier 16",
	} {
		if got := tier.String(); got != want {
			t.Errorf("tier %d: %q, want %q", uint8(tier), got, want)
		}
	}
}

// naive elects by the words of the design, without any cleverness.
func naive(nodes []Node, v VIP) Result {
	pick := func(nodes []Node) string {
		routed := !slices.ContainsFunc(nodes, func(n Node) bool { return onSegment(n.Segments, v.IP) })
		var left []Node
		for _, n := range nodes {
			ok := n.Unfit == "" && v.Serving && (routed || onSegment(n.Segments, v.IP))
			ok = ok && (v.Scope == nil || v.Scope.Any || slices.Contains(v.Scope.Nodes, n.Name))
			for _, l := range v.Local {
				ok = ok && slices.Contains(l, n.Name) && n.Tier != OutOfTouch && n.Tier != NoProxy+OutOfTouch
			}
			if ok {
				left = append(left, n)
			}
		}
		if len(left) == 0 {
			return ""
		}
		best := slices.MinFunc(left, func(a, b Node) int {
			return cmp.Or(cmp.Compare(a.Tier, b.Tier), -exact(Score(a.Name, v.IP), weightIn(v, a), Score(b.Name, v.IP), weightIn(v, b)), cmp.Compare(a.Name, b.Name))
		})
		return best.Name
	}
	r := Result{Owner: pick(nodes)}
	if r.Owner != "" {
		rest := slices.Clone(nodes)
		for i := range rest {
			if rest[i].Name == r.Owner {
				rest[i].Unfit = "gone"
			}
		}
		r.Next = pick(rest)
	}
	return r
}

func drawNodes(t *rapid.T) []Node {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`n[0-9]{1,2}`), 0, 8, rapid.ID).Draw(t, "names")
	var r []Node
	for _, name := range names {
		n := Node{Name: name, Tier: Tier(rapid.IntRange(0, 3).Draw(t, "tier")) + rapid.SampledFrom([]Tier{0, 0, NoProxy}).Draw(t, "proxy")}
		if rapid.IntRange(0, 3).Draw(t, "fit") == 0 {
			n.Unfit = "not ready"
		}
		for _, p := range []netip.Prefix{lan1, lan2} {
			if rapid.Bool().Draw(t, "on") {
				n.Segments = append(n.Segments, p)
			}
		}
		r = append(r, n)
	}
	return r
}

func drawVIP(t *rapid.T, nodes []Node) VIP {
	v := VIP{IP: rapid.SampledFrom([]netip.Addr{ip, netip.MustParseAddr("198.18.1.5"), drawAddr(t)}).Draw(t, "vip"), Serving: rapid.IntRange(0, 4).Draw(t, "serving") > 0}
	for range rapid.IntRange(0, 2).Draw(t, "locals") {
		v.Local = append(v.Local, drawSome(t, nodes))
	}
	if rapid.Bool().Draw(t, "scoped") {
		v.Scope = drawScope(t, "the rule", nodes)
	}
	return v
}

func drawScope(t *rapid.T, rule string, nodes []Node) *Scope {
	s := &Scope{Rule: rule, Nodes: drawSome(t, nodes), Any: rapid.Bool().Draw(t, "any"), Weights: map[string]int{}}
	for _, name := range drawSome(t, nodes) {
		s.Weights[name] = rapid.SampledFrom([]int{0, 0, 1, 2, 7, MostWeight}).Draw(t, "weight")
	}
	return s
}

func weightIn(v VIP, n Node) int {
	if v.Scope != nil {
		if w, named := v.Scope.Weights[n.Name]; named {
			return w
		}
	}
	return DefaultWeight
}

// drawSome draws the sorted names of some nodes.
func drawSome(t *rapid.T, nodes []Node) []string {
	var names []string
	for _, n := range nodes {
		if rapid.Bool().Draw(t, "named") {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

func TestElectAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		v := drawVIP(t, nodes)
		want := naive(nodes, v)
		rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		e := New(nodes)
		got := e.Elect(v)
		if got.Owner != want.Owner || got.Next != want.Next {
			t.Fatalf("elected %q then %q, want %q then %q", got.Owner, got.Next, want.Owner, want.Next)
		}
		if got.Reason == "" {
			t.Fatalf("%q without a reason", got.Owner)
		}
		top := ""
		if r := e.Ranking(v); len(r) > 0 && r[0].Reason == "" {
			top = r[0].Node
		}
		if top != want.Owner {
			t.Fatalf("ranking is led by %q, owner is %q", top, want.Owner)
		}
	})
}

// TestLeaveMovesOnlyItsOwn: when a node goes, only its addresses move, and to
// the node that was named next.
func TestLeaveMovesOnlyItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		v := drawVIP(t, nodes)
		if len(nodes) == 0 {
			return
		}
		before := New(nodes).Elect(v)
		gone := rapid.IntRange(0, len(nodes)-1).Draw(t, "gone")
		name := nodes[gone].Name
		nodes[gone].Unfit = "dead"
		after := New(nodes).Elect(v)
		switch {
		case before.Owner == name && after.Owner != before.Next:
			t.Fatalf("%s went, its address went to %q, announced was %q", name, after.Owner, before.Next)
		case before.Owner != name && after.Owner != before.Owner:
			t.Fatalf("%s went, and an address of %q moved to %q", name, before.Owner, after.Owner)
		}
	})
}

// TestRank: the ranks of the fit nodes are 0..k-1, each once, and unfit nodes
// have none.
func TestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		key := rapid.String().Draw(t, "key")
		e := New(nodes)
		var got []int
		for _, n := range nodes {
			r := e.Rank(n.Name, key)
			if (r == -1) != (n.Unfit != "") {
				t.Fatalf("%+v has rank %d", n, r)
			}
			if r >= 0 {
				got = append(got, r)
			}
		}
		slices.Sort(got)
		for i, r := range got {
			if r != i {
				t.Fatalf("ranks %v", got)
			}
		}
		if e.Rank("unknown", key) != -1 {
			t.Fatal("an unknown node has a rank")
		}
	})
}
