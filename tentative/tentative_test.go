package tentative

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/probe"
)

var (
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ip    = netip.MustParseAddr("198.18.64.1")
	near  = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}
	far   = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
)

const (
	lasts = 200 * time.Millisecond
	mac2  = "02:00:00:00:00:02"
)

// at is a turn of n1, some time after the beginning, in a cluster of n1 and n2.
func at(t *testing.T, after time.Duration) Turn {
	t.Helper()
	pools, err := lease.NewPools([]lease.Pool{{Name: "lan", Ranges: []string{"198.18.64.0/24"}}})
	if err != nil {
		t.Fatal(err)
	}
	return Turn{
		Now: began.Add(after), Self: "n1", Networks: near, Pools: pools, Names: map[string]string{mac2: "n2"},
		Members: []mesh.Member{{Name: "n1", State: mesh.Alive}, {Name: "n2", State: mesh.Alive, Meta: mesh.Meta{Segments: near, MACs: []string{mac2}}}},
		Probed:  map[netip.Addr]claims.Probed{}, Answers: map[probe.Question]probe.Answer{},
		Bound: func(netip.Addr) bool { return false },
	}
}

// TestRested: the table of the package comment.
func TestRested(t *testing.T) {
	t.Parallel()
	silent := func(x *Turn) { x.Probed[ip] = claims.Probed{Begun: began.Add(time.Millisecond), Known: true} }
	replied := func(x *Turn) {
		x.Answers[probe.Question{MAC: mac2}] = probe.Answer{Last: began.Add(2 * time.Millisecond)}
	}
	for _, tt := range []struct {
		name      string
		announcer string
		do        []func(*Turn)
		free      bool
		asked     bool
	}{
		{"silent, this node", "n1", []func(*Turn){silent}, true, false},
		{"silent, nobody", "", []func(*Turn){silent}, true, false},
		{"silent, its speaker answers", "n2", []func(*Turn){silent, replied}, true, true},
		{"silent, its speaker has not answered", "n2", []func(*Turn){silent}, false, true},
		{"probed before it was released", "n1", []func(*Turn){func(x *Turn) { x.Probed[ip] = claims.Probed{Begun: began.Add(-time.Second), Known: true} }}, false, false},
		{"answered", "n1", []func(*Turn){func(x *Turn) {
			x.Probed[ip] = claims.Probed{Begun: began.Add(time.Millisecond), Known: true, MAC: mac2}
		}}, false, false},
		{"not probed yet", "n1", nil, false, false},
		{"not on a network", "n1", []func(*Turn){silent, func(x *Turn) { x.Networks = far }}, false, false},
		{"the announcer is on another network", "n2", []func(*Turn){silent, replied, func(x *Turn) { x.Members[1].Meta.Segments = far }}, false, false},
		{"the announcer is dead", "n2", []func(*Turn){silent, replied, func(x *Turn) { x.Members[1].State = mesh.Dead }}, false, false},
		{"the announcer is not known", "n3", []func(*Turn){silent, replied}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := New(lasts)
			a.Leave(ip, tt.announcer, began)
			turn := at(t, time.Second)
			for _, do := range tt.do {
				do(&turn)
			}
			var v lease.View
			a.Terms(turn, &v)
			until := v.Rested(ip, began)
			if free := !until.After(turn.Now); free != tt.free {
				t.Errorf("rests until %v, now is %v", until, turn.Now)
			}
			if end := began.Add(lease.Rest); until.After(end) {
				t.Errorf("rests until %v, at most until %v", until, end)
			}
			if asked := len(a.Ask) > 0; asked != tt.asked {
				t.Errorf("asks %v", a.Ask)
			}
		})
	}
}

// TestProof: when an address that was picked counts as known.
func TestProof(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		rank int
		do   func(*Turn)
		want time.Duration // after now; 0: it is known
	}{
		{"this node picks", 0, func(*Turn) {}, look},
		{"another one picks", 1, func(*Turn) {}, lasts + slack},
		{"tried out", 0, func(x *Turn) { x.Probed[ip] = claims.Probed{Known: true} }, 0},
		{"a member may be about to let go of it", 0, func(x *Turn) { x.Probed[ip] = claims.Probed{MAC: mac2} }, look},
		{"a Service has it", 0, func(x *Turn) { x.Bound = func(netip.Addr) bool { return true } }, 0},
		{"on another network", 0, func(x *Turn) { x.Networks = far }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			turn := at(t, 0)
			tt.do(&turn)
			v := lease.View{Rank: func(string) int { return tt.rank }}
			New(lasts).Terms(turn, &v)
			var want time.Time
			if tt.want > 0 {
				want = turn.Now.Add(tt.want)
			}
			if got := v.Proof(ip); !got.Equal(want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// TestUsed: who has an address is said in words, if that is known.
func TestUsed(t *testing.T) {
	t.Parallel()
	for want, probed := range map[string]claims.Probed{
		"": {MAC: mac2}, "node n2 (MAC " + mac2 + ") answers for it": {MAC: mac2, Known: true},
		"a station with the MAC 02:00:00:00:00:09 answers for it": {MAC: "02:00:00:00:00:09", Known: true},
	} {
		turn := at(t, 0)
		turn.Probed[ip] = probed
		var v lease.View
		New(lasts).Terms(turn, &v)
		if got := v.Used(ip); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestWanted: the wire has a new list for a picked address at once, for some new ones ahead after a
// while, and the same one else.
func TestWanted(t *testing.T) {
	t.Parallel()
	var ahead []netip.Addr
	for next := ip.Next(); len(ahead) < 16; next = next.Next() {
		ahead = append(ahead, next)
	}
	a := New(lasts)
	wanted := func(after time.Duration, next []netip.Addr) []netip.Addr {
		t.Helper()
		got, some := a.Wanted(at(t, after), func() []netip.Addr { return next })
		if !some {
			t.Fatal("nothing is probed")
		}
		return got
	}
	same := func(what string, got, want []netip.Addr) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	first := wanted(0, ahead[:15])
	same("at first", first, ahead[:15])
	same("one more, soon", wanted(rest/2, ahead), first)
	same("one more, later", wanted(rest, ahead), ahead)
	a.pick(ip, began.Add(rest), true)
	same("picked", wanted(rest, ahead), append(slices.Clone(ahead), ip))
	a.pick(ip.Prev(), began.Add(rest), false)
	same("picked by another node", wanted(3*rest, ahead), append(slices.Clone(ahead), ip))
	same("forgotten", wanted(rest+lasts+slack+memory+time.Second, nil), nil)
	if got, some := New(0).Wanted(at(t, 0), nil); some {
		t.Errorf("%v are probed though addresses are used without that", got)
	}
}
