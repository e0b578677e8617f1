package speaker

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// dawn is when each bubble of synctest begins.
func dawn() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// now is the time by the clock of a node.
func (b *node) now() time.Time {
	return b.m.rules.read(time.Now(), time.Duration(b.ahead.Load()))
}

// stamp is a time that the node read off its clock before that jumped.
func (b *node) stamp(t time.Time) time.Time { return b.m.rules.read(t, 0) }

// jump sets the wall clock of a node forward or back.
func (m *model) jump(name string, by time.Duration) { m.speakers[name].ahead.Add(int64(by)) }

// read is what a clock shows that is ahead.
func (r rules) read(t time.Time, ahead time.Duration) time.Time {
	if t.IsZero() || r.wall {
		return t.Add(ahead)
	}
	return reading(t, ahead)
}

// reading is a moment in a bubble as time.Now would give it outside of one: with a wall clock that
// is ahead, and with a monotonic one. No function of package time makes such a value, so this
// writes its memory.
func reading(t time.Time, ahead time.Duration) time.Time {
	const monotonic = 1 << 63
	wall := t.Add(ahead)
	seconds := wall.Unix() - time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	memory := struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}{monotonic | uint64(seconds)<<30 | uint64(wall.Nanosecond()), int64(t.Sub(dawn())) + 1, t.Location()}
	return *(*time.Time)(unsafe.Pointer(&memory))
}

// TestReading: the readings of a clock that jumps are as those of a real one.
func TestReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := reading(time.Now(), 0)
		time.Sleep(1500 * time.Millisecond)
		for _, ahead := range []time.Duration{0, 90 * time.Minute, -90 * time.Minute, -time.Millisecond} {
			second := reading(time.Now(), ahead)
			if d := second.Sub(first); d != 1500*time.Millisecond || !second.After(first) {
				t.Errorf("%s ahead: %s later", ahead, d)
			}
			if d := second.Round(0).Sub(first.Round(0)); d != 1500*time.Millisecond+ahead {
				t.Errorf("%s ahead: %s later by the wall clock", ahead, d)
			}
			if want := time.Now().Add(ahead); !second.Round(0).Equal(want) || second.Format(time.RFC3339Nano) != want.Format(time.RFC3339Nano) {
				t.Errorf("%s ahead: it is %s, want %s", ahead, second, want)
			}
		}
	})
}
