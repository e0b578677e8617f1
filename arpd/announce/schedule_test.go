package announce

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func set(ips ...netip.Addr) map[netip.Addr]struct{} {
	out := make(map[netip.Addr]struct{}, len(ips))
	for _, ip := range ips {
		out[ip] = struct{}{}
	}
	return out
}

// set makes ips the addresses that are announced.
func (s *Schedule) set(ips map[netip.Addr]struct{}, now time.Time) {
	for ip := range s.entries {
		if _, ok := ips[ip]; !ok {
			s.Lose(ip)
		}
	}
	for ip := range ips {
		s.Gain(ip, now)
	}
}

// run takes all that is due until end and writes it as "seconds address urgency".
func run(s *Schedule, from, end time.Time) []string {
	var out []string
	for now := from; ; {
		ip, u, ok := s.Next(now)
		if ok {
			out = append(out, fmt.Sprintf("%g %s %d", now.Sub(epoch).Seconds(), ip, u))
			continue
		}
		if now = s.Wake(); now.IsZero() || now.After(end) {
			return out
		}
	}
}

var vip = netip.MustParseAddr("198.18.0.100")

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func TestScheduleOfOne(t *testing.T) {
	first := []string{"0 198.18.0.100 1", "0.2 198.18.0.100 2", "1.2 198.18.0.100 2", "3.2 198.18.0.100 2", "7.2 198.18.0.100 2"}
	for name, tc := range map[string]struct {
		refresh time.Duration
		want    []string
	}{
		"as it is":          {time.Minute, append(first[:5:5], "67.2 198.18.0.100 3", "127.2 198.18.0.100 3")},
		"refreshed seldom":  {2 * time.Minute, append(first[:5:5], "127.2 198.18.0.100 3")},
		"without a refresh": {-1, first},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Rhythm{Standard().Gaps, tc.refresh})
			s.set(set(vip), at(0))
			if diff := cmp.Diff(tc.want, run(s, at(0), at(130))); diff != "" {
				t.Errorf("announcements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScheduleOrder(t *testing.T) {
	a, b, c := netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.0.2"), netip.MustParseAddr("2001:db8::1")
	second := []time.Duration{time.Second}
	for name, tc := range map[string]struct {
		do   func(*Schedule)
		want []string
	}{
		"newest gain first": {func(s *Schedule) {
			s.set(set(a), at(0))
			s.set(set(a, b), at(1))
			s.set(set(a, b, c), at(2))
		}, []string{"10 2001:db8::1 1", "10 198.18.0.2 1", "10 198.18.0.1 1"}},
		"among equals the lower address": {
			func(s *Schedule) { s.set(set(c, b, a), at(0)) },
			[]string{"10 198.18.0.1 1", "10 198.18.0.2 1", "10 2001:db8::1 1"},
		},
		"a gain before repeats": {func(s *Schedule) {
			s.set(set(b), at(0))
			s.Next(at(0))
			s.set(set(b, a), at(0)) // as old, and due later than the repeat
		}, []string{"10 198.18.0.1 1", "10 198.18.0.2 2"}},
		"a defense before all": {func(s *Schedule) {
			s.set(set(a), at(0))
			s.Next(at(0))
			s.set(set(a, b), at(5))
			s.Defend(a)
			s.Defend(a)
		}, []string{"10 198.18.0.1 0", "10 198.18.0.2 1", "10 198.18.0.1 2"}},
		"a defense of what was never announced": {func(s *Schedule) {
			s.set(set(a), at(0))
			s.Defend(a)
		}, []string{"10 198.18.0.1 0", "10 198.18.0.1 1"}},
		"a defense of another's": {func(s *Schedule) { s.Defend(a) }, nil},
		"a loss is silent": {func(s *Schedule) {
			s.set(set(a, b, c), at(0))
			s.Next(at(0))
			s.Defend(b)
			s.set(set(c), at(1))
		}, []string{"10 2001:db8::1 1"}},
		"restart keeps the age": {func(s *Schedule) {
			s.set(set(a), at(0))
			s.Next(at(0))
			s.set(set(a, b), at(1))
			s.Next(at(1))
			s.Restart(at(2))
		}, []string{"10 198.18.0.2 1", "10 198.18.0.1 1"}},
		"lost and gained again is new": {func(s *Schedule) {
			s.set(set(a, b), at(0))
			s.set(set(b), at(1))
			s.set(set(a, b), at(2))
		}, []string{"10 198.18.0.1 1", "10 198.18.0.2 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Rhythm{second, time.Minute})
			tc.do(s)
			if diff := cmp.Diff(tc.want, run(s, at(10), at(10))); diff != "" {
				t.Errorf("announcements (-want +got):\n%s", diff)
			}
		})
	}
}

// TestScheduleHolds drives a schedule with random steps and checks it against
// what a naive list says: every owned address is announced, none that is not,
// no gain waits behind anything but defenses and newer gains.
func TestScheduleHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(Standard())
		owned := set()
		gained, announced := make(map[netip.Addr]time.Time), make(map[netip.Addr]bool)
		now := epoch
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			ip := netip.AddrFrom4([4]byte{198, 18, 0, byte(rapid.IntRange(0, 7).Draw(t, "ip"))})
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2:
				if _, ok := owned[ip]; !ok {
					owned[ip], gained[ip], announced[ip] = struct{}{}, now, false
				}
				s.set(owned, now)
			case 3:
				delete(owned, ip)
				s.set(owned, now)
			case 4:
				s.Restart(now)
				clear(announced)
			case 5:
				s.Defend(ip)
			default:
				got, u, ok := s.Next(now)
				if !ok {
					break
				}
				if _, mine := owned[got]; !mine {
					t.Fatalf("%s is announced and not owned", got)
				}
				for other := range owned {
					if u > Gain && !announced[other] || u == Gain && !announced[other] && gained[other].After(gained[got]) {
						t.Fatalf("%s (urgency %d) before %s", got, u, other)
					}
				}
				announced[got] = announced[got] || u != Defense
			}
			if s.waiting.Len()+s.ready.Len() != len(owned) {
				t.Fatalf("%d waiting, %d ready, %d owned", s.waiting.Len(), s.ready.Len(), len(owned))
			}
		}
	})
}

func TestPacer(t *testing.T) {
	p := Pacer{Gap: time.Millisecond, Burst: 5 * time.Millisecond}
	for _, step := range []struct {
		at     float64
		frames int
		want   time.Duration
	}{
		{0, 0, 0},
		{0, 5, 0},                        // a burst is free
		{0, 1, 6 * time.Millisecond},     // and then the whole debt is waited for
		{0.006, 2, 0},                    // paid
		{0.007, 5, 6 * time.Millisecond}, // 1 left from before
		{1, 5, 0},                        // idle time is not saved up
		{1, 5, 10 * time.Millisecond},
	} {
		if got := p.Spend(step.frames, at(step.at)); got != step.want {
			t.Errorf("%d frames at %gs: wait %v, want %v", step.frames, step.at, got, step.want)
		}
	}
}

// TestPacerMakesUp: a sleep that took too long is made up for, within the credit.
func TestPacerMakesUp(t *testing.T) {
	p := Pacer{Gap: time.Millisecond, Burst: 5 * time.Millisecond, Credit: 10 * time.Millisecond}
	for _, step := range []struct {
		at     float64
		frames int
		want   time.Duration
	}{
		{1, 16, 6 * time.Millisecond},
		{1.010, 9, 0}, // slept 4 too long: these 4 and the burst
		{1.010, 1, 6 * time.Millisecond},
		{9, 15, 0}, // a long time is worth the credit only
		{9, 1, 6 * time.Millisecond},
	} {
		if got := p.Spend(step.frames, at(step.at)); got != step.want {
			t.Errorf("%d frames at %gs: wait %v, want %v", step.frames, step.at, got, step.want)
		}
	}
}

// TestPaceOfTenThousand checks the promise: the first announcements of 10,000
// IPv4 addresses are out within two seconds, repeats notwithstanding.
func TestPaceOfTenThousand(t *testing.T) {
	owned := set()
	for i := range 10_000 {
		owned[netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})] = struct{}{}
	}
	s, p := New(Standard()), NewPacer(Rate)
	s.set(owned, epoch)
	first, second, now := 0, 0, epoch
	for first+second < 2*len(owned) {
		_, u, ok := s.Next(now)
		if !ok {
			now = s.Wake()
			continue
		}
		switch u {
		case Gain:
			first++
		case Repeat:
			second++
		}
		if first == len(owned) && now.Sub(epoch) > 2*time.Second && second == 0 {
			t.Fatalf("the last first announcement after %v", now.Sub(epoch))
		}
		now = now.Add(p.Spend(2, now))
	}
	if first != len(owned) {
		t.Errorf("%d first announcements", first)
	}
	if rate := float64(2*(first+second)) / now.Sub(epoch).Seconds(); rate > 12_100 {
		t.Errorf("%.0f frames a second", rate)
	}
}
