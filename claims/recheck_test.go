package claims

import (
	"net/netip"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// half makes random times as long as they are on average.
func half(d time.Duration) time.Duration { return d / 2 }

// at is a moment, in seconds after the epoch.
func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

// rechecking is what says which own address to ask for, each that is held for long after so much
// time.
func rechecking(every time.Duration) *rechecks {
	c := Standard("n2")
	c.Recheck.Every, c.Random = every, half
	return newRechecks(&c)
}

// askTimes runs r from one time to another and returns which addresses it asks for when, in
// seconds.
func askTimes(r *rechecks, from, to float64) map[netip.Addr][]float64 {
	out := map[netip.Addr][]float64{}
	for now := at(from); !now.After(at(to)); {
		ip, rest, wake := r.next(now)
		if ip.IsValid() {
			out[ip] = append(out[ip], now.Sub(epoch).Seconds())
			now = now.Add(rest)
			continue
		}
		if wake.IsZero() {
			break
		}
		now = wake
	}
	return out
}

func TestRecheckRhythm(t *testing.T) {
	for _, tc := range []struct {
		name     string
		every    time.Duration
		from, to float64
		want     []float64
	}{
		{"gained", time.Minute, 0, 35, []float64{0, 0.25, 0.5, 10.5, 20.5, 30.5}},
		{"held for long", time.Minute, 580, 740, []float64{580.5, 590.5, 600.5, 660.5, 720.5}},
		{"by a short period", 3 * time.Second, 0, 7, []float64{0, 0.25, 0.5, 3.5, 6.5}},
		{"never", -1, 0, 1000, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rechecking(tc.every)
			r.gain(addresses[0], epoch)
			var got []float64
			for _, s := range askTimes(r, 0, tc.to)[addresses[0]] {
				if s >= tc.from {
					got = append(got, s)
				}
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRecheckOfAnAddressThatComesBack: it is as new as the first time, and not asked for meanwhile.
func TestRecheckOfAnAddressThatComesBack(t *testing.T) {
	r := rechecking(time.Minute)
	r.gain(addresses[0], epoch)
	r.gain(addresses[1], epoch)
	askTimes(r, 0, 700)
	r.lose(addresses[0])
	r.lose(addresses[0])
	if got := askTimes(r, 700, 800)[addresses[0]]; got != nil {
		t.Errorf("asked for at %v", got)
	}
	r.gain(addresses[0], at(800))
	if diff := gocmp.Diff([]float64{800, 800.25, 800.5, 810.5}, askTimes(r, 800, 815)[addresses[0]]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecheckPace: 10,000 addresses are gained at once, later one more. All are asked for soon,
// then no more than 50 a second, and the new one does not wait for the others.
func TestRecheckPace(t *testing.T) {
	r := rechecking(time.Minute)
	many := make([]netip.Addr, 10_000)
	for i := range many {
		many[i] = netip.AddrFrom16([16]byte{0x20, 0x01, 14: byte(i >> 8), 15: byte(i)})
	}
	for _, ip := range many {
		r.gain(ip, epoch)
	}
	if first := askTimes(r, 0, 11); len(first) != len(many) {
		t.Errorf("%d of %d asked for in 11 s", len(first), len(many))
	}
	askTimes(r, 11, 400)
	for span := 400.0; span < 2000; span += 200 {
		n, asked := 0, askTimes(r, span, span+200)
		for _, at := range asked {
			n += len(at)
		}
		if n > 10_001 || len(asked) < 9_900 {
			t.Errorf("%d questions for %d of %d addresses in 200 s from %v s on", n, len(asked), len(many), span)
		}
	}
	r.gain(addresses[0], at(2000))
	got := askTimes(r, 2000, 2042)[addresses[0]]
	if len(got) < 6 || got[2] > 2000.6 {
		t.Errorf("one more is asked for at %v", got)
	}
}

// TestYoungAddress: when an address was gained is known, whether it is asked for or not.
func TestYoungAddress(t *testing.T) {
	for _, every := range []time.Duration{-1, time.Minute} {
		r := rechecking(every)
		r.gain(addresses[0], epoch)
		for seconds, want := range map[float64]bool{0.9: true, 1.1: false} {
			if got := r.gained(addresses[0], time.Second, at(seconds)); got != want {
				t.Errorf("every %v, after %v s: young %v", every, seconds, got)
			}
		}
		r.lose(addresses[0])
		if r.gained(addresses[0], time.Second, epoch) {
			t.Errorf("every %v: young after it was lost", every)
		}
	}
}
