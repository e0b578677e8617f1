package arpd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestQuarrelPace: a member that claims every tenth of a second is answered
// after the grace and then at pauses that grow to 0.8 s.
func TestQuarrelPace(t *testing.T) {
	q := make(quarrels)
	var next time.Time
	var got []string
	for i := range 40 {
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
	want := []string{"200ms " + vip4.String(), "700ms " + vip4.String(), "1.5s " + vip4.String(), "2.3s " + vip4.String(), "3.1s " + vip4.String(), "3.9s " + vip4.String()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defences (-want +got):\n%s", diff)
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
