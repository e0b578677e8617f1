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
				if got, _, _ := h.returning(epoch.Add(l.at), status{fit: l.fit, steady: l.steady, long: l.steady}); got != l.want {
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

// TestHoldOutlivesTheProcess: a speaker that was started again and again is held for longer each
// time; a clock that was set back, and garbage in the file, do no harm.
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
				held, fresh, _ := h.returning(now, status{fit: true, steady: true, long: true})
				if fresh {
					told = append(told, h.Return)
				}
				return held
			}
			if !look(epoch) {
				t.Error("not held at all")
			}
			if got := h.Until.Sub(epoch); got != tt.held {
				t.Errorf("held for %s, want %s", got, tt.held)
			}
			look(epoch.Add(time.Second))
			if diff := cmp.Diff([]Return{{At: epoch, Count: tt.counts, Until: epoch.Add(tt.held)}}, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHoldLengths: the first hold is as long as was asked for, and further ones are never shorter,
// nor longer than a minute because of that.
func TestHoldLengths(t *testing.T) {
	for _, tt := range []struct {
		hold time.Duration
		want []time.Duration
	}{
		{0, []time.Duration{0, 0, 0}},
		{time.Second, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}},
		{45 * time.Second, []time.Duration{45 * time.Second, time.Minute, time.Minute}},
		{time.Minute, []time.Duration{time.Minute, time.Minute}},
		{time.Hour, []time.Duration{time.Hour, time.Hour}},
		{Never, []time.Duration{Never, Never, Never}},
	} {
		times := Times()
		times.Hold = tt.hold
		for count, want := range tt.want {
			h := hold{times: &times, Return: Return{Count: count}}
			if got := h.length(); got != want {
				t.Errorf("%v, return %d: %v, want %v", tt.hold, count, got, want)
			}
		}
	}
}

// TestHoldGoesOn in a process that takes over from one that was held, if the addresses were kept
// for it.
func TestHoldGoesOn(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		name   string
		hold   time.Duration
		last   time.Duration // until then from now
		status status
		want   time.Duration
	}{
		{"kept", hour, 20 * time.Minute, status{fit: true, steady: true, kept: true}, 20 * time.Minute},
		{"kept, and all others have come back", hour, 20 * time.Minute, status{fit: true, steady: true, kept: true}, 20 * time.Minute},
		{"kept, and it was over", hour, -time.Second, status{fit: true, steady: true, long: true, kept: true}, 0},
		{"kept, and there was none", hour, 0, status{fit: true, steady: true, long: true, kept: true}, 0},
		{"kept, and alone", hour, 20 * time.Minute, status{fit: true, kept: true}, 0},
		{"kept, and the clock was set back", hour, 9999 * hour, status{fit: true, steady: true, long: true, kept: true}, hour},
		{"kept, and the flag has changed", 3 * time.Second, Never, status{fit: true, steady: true, long: true, kept: true}, 3 * time.Second},
		{"never", Never, Never, status{fit: true, steady: true, long: true, kept: true}, Never},
		{"not kept", hour, 20 * time.Minute, status{fit: true, steady: true, long: true}, hour},
		{"not kept, and all others have come back", hour, 0, status{fit: true, steady: true}, 3 * time.Second},
		{"not kept, never, and all others have come back", Never, 0, status{fit: true, steady: true}, 3 * time.Second},
		{"not kept, short, and all others have come back", time.Second, 0, status{fit: true, steady: true}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			times := Times()
			times.Hold = tt.hold
			last := Return{}
			if tt.last != 0 {
				last.Until = epoch.Add(tt.last)
			}
			h := newHold(&times, last)
			if held, _, _ := h.returning(epoch, status{steady: true, long: true, kept: tt.status.kept}); held {
				t.Error("held before it is fit")
			}
			held, fresh, _ := h.returning(epoch, tt.status)
			if held != (tt.want > 0) || held && h.Until.Sub(epoch) != tt.want || fresh == tt.status.kept {
				t.Errorf("held %v until %v, fresh %v, want %v", held, h.Until.Sub(epoch), fresh, tt.want)
			}
		})
	}
}

// TestHoldWhileCordoned: a hold that has begun goes on while the node is cordoned, and no other
// begins.
func TestHoldWhileCordoned(t *testing.T) {
	type look struct {
		at     time.Duration
		cordon bool
		steady bool
		want   bool
	}
	const hour = time.Hour
	for _, tt := range []struct {
		name  string
		hold  time.Duration
		last  time.Duration // an earlier process was held for so long from now, and its addresses were kept; 0: none
		looks []look
	}{
		{"cordoned when it returns", 3 * time.Second, 0, []look{{0, true, true, true}, {hour, true, true, true}, {hour + 1, false, true, false}}},
		{"without a hold-down", 0, 0, []look{{0, true, true, true}, {hour, true, true, true}, {hour + 1, false, true, false}}},
		{"cordoned later", 3 * time.Second, 0, []look{{0, false, true, true}, {4 * time.Second, false, true, false}, {hour, true, true, false}}},
		{"uncordoned before it would end", hour, 0, []look{{0, true, true, true}, {time.Minute, false, true, true}, {hour, false, true, false}}},
		{"it was the only one meanwhile", Never, 0, []look{{0, true, true, true}, {1, true, false, false}, {2, true, true, false}, {3, false, true, false}}},
		{"never, goes on from an earlier process", Never, Never, []look{{0, false, true, true}, {1, true, true, true}, {2, false, true, true}}},
		{"goes on from an earlier process", hour, hour, []look{{0, true, true, true}, {2 * hour, true, true, true}, {2*hour + 1, false, true, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			times := Times()
			times.Hold = tt.hold
			last := Return{}
			if tt.last != 0 {
				last.Until = epoch.Add(tt.last)
			}
			h := newHold(&times, last)
			for _, l := range tt.looks {
				s := status{fit: true, steady: l.steady, long: true, kept: tt.last != 0, cordon: l.cordon}
				if got, _, _ := h.returning(epoch.Add(l.at), s); got != l.want {
					t.Errorf("after %v, cordoned %v: held %v until %v", l.at, l.cordon, got, h.Until)
				}
			}
		})
	}
}

// TestHoldEndsByHand: another value than there was when the hold began ends it. What is not known
// yet is no value, and neither is none.
func TestHoldEndsByHand(t *testing.T) {
	type look struct {
		asked  string
		synced bool
		want   bool // held
	}
	for _, tt := range []struct {
		name  string
		last  *Return // of the process before; nil: it comes back
		looks []look
	}{
		{"nobody asks", nil, []look{{"", true, true}, {"", true, true}}},
		{"somebody asks", nil, []look{{"", true, true}, {"a", true, false}, {"a", true, false}}},
		{"somebody asked before", nil, []look{{"a", true, true}, {"a", true, true}, {"b", true, false}}},
		{"that is removed, and back", nil, []look{{"a", true, true}, {"", true, true}, {"a", true, true}}},
		{"it is not known at first", nil, []look{{"", false, true}, {"a", true, true}, {"b", true, false}}},
		{"it is not known later", nil, []look{{"a", true, true}, {"old", false, true}, {"a", true, true}}},
		{"asked as before", &Return{Asked: "a"}, []look{{"a", true, true}, {"b", true, false}}},
		{"asked while no process ran", &Return{Asked: "a"}, []look{{"b", true, false}}},
		{"asked for the first time while no process ran", &Return{}, []look{{"b", true, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			times, last, kept := Times(), Return{}, tt.last != nil
			times.Hold = Never
			if kept {
				last = *tt.last
				last.Until = epoch.Add(Never)
			}
			h := newHold(&times, last)
			for i, l := range tt.looks {
				now := epoch.Add(time.Duration(i) * time.Hour)
				if got, _, over := h.returning(now, status{true, true, true, kept, l.synced, l.asked, false}); got != l.want || over && l.want {
					t.Errorf("look %d: held %v, over %v, want %v", i+1, got, over, l.want)
				}
			}
		})
	}
}
