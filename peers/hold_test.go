package peers

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCutOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		others []State
		was    bool
		want   bool
	}{
		{"the first of all", nil, false, false},
		{"among others", []State{Alive, Alive}, false, false},
		{"one of two is dead: it may be either", []State{Dead}, false, false},
		{"both others are", []State{Dead, Dead}, false, true},
		{"they left", []State{Left, Left, Left}, false, false},
		{"most are dead", []State{Dead, Dead, Alive}, false, false},
		{"the wire reaches one", []State{Dead, Dead, Wire}, false, false},
		{"the dead are forgotten", nil, true, true},
		{"somebody is heard again", []State{Dead, Dead, Alive}, true, false},
		{"on the wire", []State{Wire, Dead}, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var list []Peer
			for i, state := range tt.others {
				list = append(list, Peer{Name: fmt.Sprint("n", i+2), State: state})
			}
			if got := cutOff(list, tt.was, Times().CutOff); got != tt.want {
				t.Errorf("cut off: %v", got)
			}
		})
	}
}

func TestHold(t *testing.T) {
	type look struct {
		at          time.Duration
		fit, steady bool
		want        bool
	}
	for _, tt := range []struct {
		name  string
		looks []look
	}{
		{"not fit", []look{{0, false, true, false}}},
		{"the first of all", []look{{0, true, false, false}, {time.Second, true, true, false}}},
		{"one more", []look{{0, true, true, true}, {Times().Hold - 1, true, true, true}, {Times().Hold, true, true, false}}},
		{"the others vanish", []look{{0, true, true, true}, {time.Second, true, false, false}, {2 * time.Second, true, true, false}}},
		{"back", []look{{0, true, false, false}, {time.Hour, false, true, false}, {time.Hour + 1, true, true, true}, {time.Hour + 1 + Times().Hold, true, true, false}}},
		{"flapping", []look{
			{0, true, true, true},
			{4 * time.Second, false, true, false},
			{5 * time.Second, true, true, true},
			{10 * time.Second, true, true, true},
			{11 * time.Second, true, true, false},
			{12 * time.Second, false, true, false},
			{13 * time.Second, true, true, true},
			{24 * time.Second, true, true, true},
			{25 * time.Second, true, true, false},
		}},
		{"flapping in earlier times", []look{
			{0, true, true, true},
			{4 * time.Second, false, true, false},
			{5*time.Second + Times().HoldMemory, true, true, true},
			{8*time.Second + Times().HoldMemory, true, true, false},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := hold{times: new(Times())}
			for _, l := range tt.looks {
				if got, _ := h.returning(epoch.Add(l.at), l.fit, l.steady, false); got != l.want {
					t.Errorf("after %s: returning %v, want %v", l.at, got, l.want)
				}
			}
		})
	}
	h := hold{times: new(Times()), Return: Return{Count: 99}}
	if got := h.length(); got != Times().MaxHold {
		t.Errorf("held for %s after many returns", got)
	}
}

// TestHoldOutlivesTheProcess: a speaker that was started again and again is held for longer each time; a clock that
// was set back, and garbage in the file, do no harm.
func TestHoldOutlivesTheProcess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		last   Return
		counts int
		held   time.Duration
	}{
		{"first start", Return{}, 0, Times().Hold},
		{"second", Return{At: epoch.Add(-time.Minute)}, 1, 2 * Times().Hold},
		{"third", Return{At: epoch.Add(-time.Minute), Count: 1}, 2, 4 * Times().Hold},
		{"long ago", Return{At: epoch.Add(-Times().HoldMemory - 1), Count: 7}, 0, Times().Hold},
		{"in the future", Return{At: epoch.Add(time.Hour), Count: 7}, 0, Times().Hold},
		{"negative", Return{At: epoch.Add(-time.Minute), Count: -5}, -4, Times().Hold},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told []Return
			h := hold{times: new(Times()), Return: tt.last}
			look := func(now time.Time) bool {
				held, fresh := h.returning(now, true, true, false)
				if fresh {
					told = append(told, h.Return)
				}
				return held
			}
			if !look(epoch) {
				t.Error("not held at all")
			}
			if got := h.until.Sub(epoch); got != tt.held {
				t.Errorf("held for %s, want %s", got, tt.held)
			}
			look(epoch.Add(time.Second))
			if diff := cmp.Diff([]Return{{At: epoch, Count: tt.counts}}, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}
