package elect

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/probe"
)

var (
	lan   = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	vip   = netip.MustParseAddr("198.18.64.1")
)

func macOf(i int) string { return fmt.Sprintf("02:00:00:00:00:%02x", i) }

// lookAt is what n1 of three nodes knows after some time.
func lookAt(after time.Duration) Look {
	l := Look{
		Now: began.Add(after), Self: "n1", Networks: lan, Names: map[string]string{}, Heard: map[netip.Addr]string{}, Answers: map[probe.Question]probe.Answer{},
		Candidate: func(ip netip.Addr) (owner.VIP, bool) { return owner.VIP{IP: ip, Serving: true}, true },
	}
	var nodes []owner.Node
	for i := 1; i <= 3; i++ {
		name := fmt.Sprint("n", i)
		l.Names[macOf(i)] = name
		l.Members = append(l.Members, mesh.Member{Name: name, State: mesh.Alive, Meta: mesh.Meta{Ready: true, Segments: lan, MACs: []string{macOf(i)}}})
		nodes = append(nodes, owner.Node{Name: name, Segments: lan})
	}
	l.Candidates = owner.New(nodes)
	return l
}

// of is what was asked of a node, and what it replied.
func (l *Look) of(i int, ip netip.Addr, there, silent bool) {
	speaker := probe.Answer{Asked: began, Silent: !there}
	if there {
		speaker.Last = l.Now
	}
	l.Answers[probe.Question{MAC: macOf(i)}] = speaker
	l.Answers[probe.Question{IP: ip, MAC: macOf(i)}] = probe.Answer{Asked: began, Silent: silent}
}

// ranked are the nodes in the order in which they are elected for an address, as numbers.
func ranked(ip netip.Addr) (order []int) {
	for _, c := range lookAt(0).Candidates.Ranking(owner.VIP{IP: ip, Serving: true}) {
		order = append(order, int(c.Node[1]-'0'))
	}
	return order
}

// vipOf is an address that the nodes are elected for in this order.
func vipOf(t *testing.T, order ...int) netip.Addr {
	t.Helper()
	for ip, i := vip, 0; i < 1000; ip, i = ip.Next(), i+1 {
		if cmp.Equal(ranked(ip), order) {
			return ip
		}
	}
	t.Fatalf("no address has the order %v", order)
	return netip.Addr{}
}

// TestElectedIsAsked: not at once, and only if nobody was heard.
func TestElectedIsAsked(t *testing.T) {
	t.Parallel()
	ip := vipOf(t, 2, 1, 3)
	asked := []probe.Question{{MAC: macOf(2)}, {IP: ip, MAC: macOf(2)}}
	for name, tt := range map[string]struct {
		after time.Duration
		edit  func(*Look)
		want  []probe.Question
		open  bool
	}{
		"before it is due":              {299 * time.Millisecond, func(*Look) {}, nil, true},
		"when it is due":                {300 * time.Millisecond, func(*Look) {}, asked, true},
		"heard":                         {300 * time.Millisecond, func(l *Look) { l.Heard[ip] = macOf(2) }, nil, false},
		"another one heard":             {300 * time.Millisecond, func(l *Look) { l.Heard[ip] = macOf(3) }, asked, true},
		"a stranger heard":              {300 * time.Millisecond, func(l *Look) { l.Heard[ip] = macOf(9) }, asked, true},
		"the elected node went":         {300 * time.Millisecond, func(l *Look) { l.Members[1].State = mesh.Dead }, nil, true},
		"it is on no network of this":   {300 * time.Millisecond, func(l *Look) { l.Members[1].Meta.Segments = nil }, nil, true},
		"this node is on no network":    {300 * time.Millisecond, func(l *Look) { l.Networks = nil }, nil, false},
		"a node that went was heard":    {300 * time.Millisecond, func(l *Look) { l.Members[2].State, l.Heard[ip] = mesh.Dead, macOf(3) }, asked, true},
		"one hands it over, and is out": {300 * time.Millisecond, func(l *Look) { l.Candidates, l.Heard[ip] = without(3), macOf(3) }, append(slices.Clone(asked), probe.Question{MAC: macOf(3)}, probe.Question{IP: ip, MAC: macOf(3)}), true},
		"it says that it has it": {300 * time.Millisecond, func(l *Look) {
			l.Answers[asked[1]] = probe.Answer{Asked: began, Last: began.Add(time.Millisecond)}
		}, asked, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRefusals(Times())
			if due := r.Elected(ip, "n2", "", "n1", began); !due.Equal(began.Add(300 * time.Millisecond)) {
				t.Errorf("due %v", due)
			}
			l := lookAt(tt.after)
			tt.edit(&l)
			changed, ask, again := r.Step(l)
			if diff := cmp.Diff(tt.want, ask, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
			if open := r.open[ip] != nil; len(changed) > 0 || open != tt.open || again.IsZero() != (tt.after != 299*time.Millisecond) {
				t.Errorf("changed %v, open %v, again %v", changed, open, again)
			}
		})
	}
}

// without are the candidates, one of which is not fit.
func without(out int) *owner.Nodes {
	var nodes []owner.Node
	for _, n := range lookAt(0).Candidates.Nodes() {
		if n.Name == fmt.Sprint("n", out) {
			n.Unfit = "not ready"
		}
		nodes = append(nodes, n)
	}
	return owner.New(nodes)
}

// TestOursBefore: a claim that was heard before this node had the address says nothing, but the
// elected node does.
func TestOursBefore(t *testing.T) {
	t.Parallel()
	ip := vipOf(t, 2, 1, 3)
	r := NewRefusals(Times())
	r.Elected(ip, "n2", "n1", "n1", began)
	l := lookAt(time.Second)
	l.Heard[ip] = macOf(2)
	l.of(2, ip, true, false)
	if r.Step(l); r.open[ip] == nil || r.Elsewhere(ip) {
		t.Errorf("an old claim counts: %+v", r.open[ip])
	}
	l.Answers[probe.Question{IP: ip, MAC: macOf(2)}] = probe.Answer{Asked: began, Last: l.Now}
	if r.Step(l); r.open[ip] != nil {
		t.Error("a reply does not count")
	}
}

// TestRefused: who comes next takes what the elected node refuses, and says why.
func TestRefused(t *testing.T) {
	t.Parallel()
	first, last := vipOf(t, 2, 1, 3), vipOf(t, 2, 3, 1)
	for name, tt := range map[string]struct {
		ip    netip.Addr
		edit  func(*Look)
		taken bool
	}{
		"its speaker is there, and has it not": {first, func(l *Look) { l.of(2, first, true, true) }, true},
		"nothing is heard of it":               {first, func(l *Look) { l.of(2, first, false, true) }, false},
		"it is asked":                          {first, func(l *Look) { l.of(2, first, true, false) }, false},
		"another one comes next":               {last, func(l *Look) { l.of(2, last, true, true) }, false},
		"another one comes next, and went":     {last, func(l *Look) { l.of(2, last, true, true); l.Members[2].State = mesh.Dead }, true},
		"this node is out of touch": {first, func(l *Look) {
			l.of(2, first, true, true)
			l.OutOfTouch = true
		}, false},
		"both are out of touch": {first, func(l *Look) {
			l.of(2, first, true, true)
			l.OutOfTouch, l.Members[1].Meta.APIAge = true, time.Minute
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRefusals(Times())
			r.Elected(tt.ip, "n2", "", "n1", began)
			l := lookAt(350 * time.Millisecond)
			tt.edit(&l)
			changed, _, _ := r.Step(l)
			if changed[tt.ip] != tt.taken || r.Taken(tt.ip) != tt.taken {
				t.Fatalf("changed %v, taken %v, want %v", changed, r.Taken(tt.ip), tt.taken)
			}
			elected := owner.Result{Owner: "n2"}
			got := r.Result(tt.ip, elected)
			if !tt.taken && got != elected {
				t.Errorf("result %+v", got)
			}
			if why := "n2 is elected and does not answer for it, as a node that does not know the Service"; tt.taken && (got.Owner != "n1" || got.Reason != why) {
				t.Errorf("result %+v", got)
			}
			l.Heard[tt.ip] = macOf(2)
			if r.Step(l); r.Taken(tt.ip) != tt.taken {
				t.Error("given up before the elected node has said so itself")
			}
			l.Answers[probe.Question{IP: tt.ip, MAC: macOf(2)}] = probe.Answer{Asked: began, Last: l.Now}
			if changed, _, _ := r.Step(l); changed[tt.ip] != tt.taken || r.Taken(tt.ip) {
				t.Errorf("the elected node is heard: changed %v, taken %v", changed, r.Taken(tt.ip))
			}
		})
	}
}

// TestNextRefuses: each of those that come before this node is asked, one after the other.
func TestNextRefuses(t *testing.T) {
	t.Parallel()
	ip := vipOf(t, 2, 3, 1)
	r := NewRefusals(Times())
	r.Elected(ip, "n2", "", "n1", began)
	l := lookAt(350 * time.Millisecond)
	l.of(2, ip, true, true)
	if _, _, again := r.Step(l); !again.Equal(began.Add(450 * time.Millisecond)) {
		t.Errorf("again at %v", again)
	}
	l.Now = began.Add(500 * time.Millisecond)
	l.of(3, ip, true, true)
	r.Step(l)
	if got, want := r.Result(ip, owner.Result{}).Reason, "n2 and n3 come first and do not answer for it, as nodes that do not know the Service"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

// TestManyAreAsked: some after the other, and those that say nothing at all keep nobody waiting.
func TestManyAreAsked(t *testing.T) {
	t.Parallel()
	r := NewRefusals(Times())
	l := lookAt(time.Second)
	ip := vip
	for range 2 * asksAtOnce {
		r.Elected(ip, "n2", "", "n1", began)
		ip = ip.Next()
	}
	_, ask, _ := r.Step(l)
	if len(ask) != 2*asksAtOnce {
		t.Errorf("%d questions, want two for each of %d addresses", len(ask), asksAtOnce)
	}
	for _, q := range ask {
		l.of(2, q.IP, false, true)
	}
	if _, ask, _ = r.Step(l); len(ask) != 4*asksAtOnce {
		t.Errorf("%d questions when the first have no reply, want %d", len(ask), 4*asksAtOnce)
	}
}
