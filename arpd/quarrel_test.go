package arpd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestQuarrelPace: a member that claims every tenth of a second is answered
// after the grace and then at growing pauses.
func TestQuarrelPace(t *testing.T) {
	q := make(quarrels)
	var next time.Time
	var got []string
	for i := range 200 {
		now := epoch.Add(time.Duration(i) * 100 * time.Millisecond)
		next = sooner(next, q.hear(vip4, peerHW, now))
		if next.IsZero() || next.After(now) {
			continue
		}
		var defend []netip.Addr
		if defend, next = q.due(now); len(defend) > 0 {
			got = append(got, fmt.Sprintf("%v %s", now.Sub(epoch), defend[0]))
		}
	}
	want := []string{"200ms " + vip4.String(), "700ms " + vip4.String(), "1.7s " + vip4.String(), "3.7s " + vip4.String(), "7.7s " + vip4.String(), "15.7s " + vip4.String()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defences (-want +got):\n%s", diff)
	}
}

// TestQuarrelWithAThird: who claims an address that is defended against another is told soon, also while that one insists.
func TestQuarrelWithAThird(t *testing.T) {
	q := make(quarrels)
	for _, second := range []float64{0, 1, 2} { // after the last one it rests until 4.2 s
		q.hear(vip4, peerHW, at(second))
		if defend, _ := q.due(at(second + 0.2)); len(defend) != 1 {
			t.Fatalf("claim at %gs is not defended", second)
		}
	}
	third := hw{2, 0, 0, 0, 0, 0x33}
	for _, step := range []struct {
		name   string
		at     float64
		mac    hw
		judged float64 // 0: no earlier than was said
	}{
		{"the same one waits", 2.25, peerHW, 4.2},
		{"a third one is told half a second after the last defence", 2.3, third, 2.7},
		{"and is not told twice", 2.4, third, 0},
	} {
		want := time.Time{}
		if step.judged > 0 {
			want = at(step.judged)
		}
		if got := q.hear(vip4, step.mac, at(step.at)); !got.Equal(want) {
			t.Errorf("%s: judged at %v, want %v", step.name, got.Sub(epoch), want.Sub(epoch))
		}
	}
	if defend, _ := q.due(at(2.7)); len(defend) != 1 {
		t.Error("not defended against the third one")
	}
	if got := q.hear(vip4, third, at(3)); !got.Equal(at(6.7)) {
		t.Errorf("the third one is told again after %v", got.Sub(at(2.7)))
	}
}

func TestQuarrelIsShownWhenTheOtherInsists(t *testing.T) {
	q := make(quarrels)
	for i, second := range []float64{0, 1, 3} {
		if len(q.list()) != 0 {
			t.Errorf("shown after %d defences", i)
		}
		q.hear(vip4, peerHW, at(second))
		if defend, _ := q.due(at(second + 0.2)); len(defend) != 1 {
			t.Fatalf("claim at %gs is not defended", second)
		}
	}
	want := []Conflict{{IP: vip4, MAC: peerHW.String(), Kind: "member", Since: at(0), Last: at(3)}}
	if diff := cmp.Diff(want, q.list(), compare); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	if q.forget(at(33)) || len(q) != 1 {
		t.Error("forgotten too early")
	}
	if !q.forget(at(34)) || len(q) != 0 {
		t.Error("not forgotten when the other is silent")
	}
}

// TestQuarrelEndsWhenGivenUp: what is handed over is neither defended nor shown.
func TestQuarrelEndsWhenGivenUp(t *testing.T) {
	q := make(quarrels)
	q.hear(vip4, peerHW, at(0))
	q.hear(vip6, peerHW, at(0.1))
	if shown := q.drop(vip4); shown {
		t.Error("a quarrel that was not shown is said to have been")
	}
	defend, next := q.due(at(0.2))
	if len(defend) != 0 || !next.Equal(at(0.3)) {
		t.Errorf("defended %v, next %v", defend, next)
	}
	if defend, _ = q.due(at(0.3)); !cmp.Equal(defend, []netip.Addr{vip6}, compare) {
		t.Errorf("defended %v", defend)
	}
}
