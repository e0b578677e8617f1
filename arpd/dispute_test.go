package arpd

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDisputeOfOne(t *testing.T) {
	d := make(disputes)
	judge, frames := d.hear(vip4, strangerHW, at(0))
	if !judge.Equal(at(0.2)) || frames != 0 {
		t.Fatalf("judged at %v, %d frames", judge, frames)
	}
	if len(d.list()) != 0 {
		t.Error("shown before it is certain")
	}
	if j := d.judge(at(0.1)); len(j.defend) != 0 || !j.next.Equal(at(0.2)) {
		t.Errorf("judged too early: %+v", j)
	}
	d.hear(vip4, strangerHW, at(0.15))
	j := d.judge(at(0.2))
	want := judgement{defend: []netip.Addr{vip4}, fresh: []netip.Addr{vip4}, frames: 2}
	if diff := cmp.Diff(want, j, compare, cmp.AllowUnexported(judgement{})); diff != "" {
		t.Errorf("judgement (-want +got):\n%s", diff)
	}
	shown := []Conflict{{IP: vip4, MAC: strangerHW.String(), Kind: "stranger", Since: at(0), Last: at(0.15)}}
	if diff := cmp.Diff(shown, d.list(), compare); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
}

// TestDefendInterval follows RFC 5227, section 2.4: a claim is answered only if
// the one before it is ten seconds old or older.
func TestDefendInterval(t *testing.T) {
	d := make(disputes)
	defended := func(second float64) bool {
		d.hear(vip4, strangerHW, at(second))
		return len(d.judge(at(second+1)).defend) > 0
	}
	for _, step := range []struct {
		at   float64
		want bool
	}{
		{0, true}, {5, false}, {10, false}, {19.9, false}, {29.8, false}, {39.8, true}, {49.8, true}, {50, false},
	} {
		if got := defended(step.at); got != step.want {
			t.Errorf("claim at %gs defended: %v", step.at, got)
		}
	}
	if j := d.judge(at(100)); len(j.defend)+len(j.fresh)+j.frames != 0 || !j.next.IsZero() {
		t.Errorf("judged without a claim: %+v", j)
	}
}

func TestDisputeCountsFrames(t *testing.T) {
	d := make(disputes)
	total := 0
	for range 3 {
		_, n := d.hear(vip4, strangerHW, at(0))
		total += n
	}
	if total != 0 {
		t.Errorf("%d frames counted before it is certain", total)
	}
	if j := d.judge(at(1)); j.frames != 3 {
		t.Errorf("%d frames at the judgement", j.frames)
	}
	if _, n := d.hear(vip4, strangerHW, at(2)); n != 1 {
		t.Errorf("%d frames afterwards", n)
	}
}

func TestDisputesOfMany(t *testing.T) {
	d := make(disputes)
	d.hear(vip6, strangerHW, at(0))
	d.hear(vip4, strangerHW, at(0.1))
	d.hear(vip4, peerHW, at(0.1))
	j := d.judge(at(0.2))
	if diff := cmp.Diff([]netip.Addr{vip6}, j.defend, compare); diff != "" || !j.next.Equal(at(0.3)) {
		t.Errorf("defended (-want +got):\n%s next %v", diff, j.next)
	}
	d.judge(at(0.3))
	want := []Conflict{
		{IP: vip4, MAC: peerHW.String(), Kind: "stranger", Since: at(0.1), Last: at(0.1)},
		{IP: vip6, MAC: strangerHW.String(), Kind: "stranger", Since: at(0), Last: at(0)},
	}
	if diff := cmp.Diff(want, d.list(), compare); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
}

func TestDisputesForget(t *testing.T) {
	type end = func(disputes) bool
	after := func(d time.Duration) end { return func(all disputes) bool { return all.forget(epoch.Add(d)) } }
	gone := func(all disputes) bool { return all.drop(vip4) }
	for name, tc := range map[string]struct {
		told  bool
		end   end
		left  int
		shown bool
	}{
		"still ours":          {true, after(time.Minute), 1, false},
		"given up":            {true, gone, 0, true},
		"given up in time":    {false, gone, 0, false},
		"another is given up": {true, func(all disputes) bool { return all.drop(vip6) }, 1, false},
		"silent for long":     {true, after(disputeMemory + time.Second), 0, true},
		"silent, not so long": {true, after(disputeMemory), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := make(disputes)
			d.hear(vip4, strangerHW, epoch)
			if tc.told {
				d.judge(at(1))
			}
			shown := tc.end(d)
			if len(d) != tc.left || shown != tc.shown {
				t.Errorf("%d left, shown %v", len(d), shown)
			}
		})
	}
}
