package arpd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func plain(d time.Duration) time.Duration { return d }

func set(ips ...netip.Addr) map[netip.Addr]struct{} {
	out := make(map[netip.Addr]struct{}, len(ips))
	for _, ip := range ips {
		out[ip] = struct{}{}
	}
	return out
}

// set makes ips the addresses that are announced.
func (s *schedule) set(ips map[netip.Addr]struct{}, now time.Time) {
	for ip := range s.entries {
		if _, ok := ips[ip]; !ok {
			s.lose(ip)
		}
	}
	for ip := range ips {
		s.gain(ip, now)
	}
}

// run takes all that is due until end and writes it as "seconds address urgency".
func run(s *schedule, from, end time.Time) []string {
	var out []string
	for now := from; ; {
		ip, u, ok := s.next(now)
		if ok {
			out = append(out, fmt.Sprintf("%g %s %d", now.Sub(epoch).Seconds(), ip, u))
			continue
		}
		if now = s.wake(); now.IsZero() || now.After(end) {
			return out
		}
	}
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func TestScheduleOfOne(t *testing.T) {
	first := []string{"0 198.18.0.100 1", "0.2 198.18.0.100 2", "1.2 198.18.0.100 2", "3.2 198.18.0.100 2", "7.2 198.18.0.100 2"}
	for name, tc := range map[string]struct {
		refresh time.Duration
		want    []string
	}{
		"as it is":          {refreshEvery, append(first[:5:5], "67.2 198.18.0.100 3", "127.2 198.18.0.100 3")},
		"refreshed seldom":  {2 * time.Minute, append(first[:5:5], "127.2 198.18.0.100 3")},
		"without a refresh": {-1, first},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSchedule(gaps(), tc.refresh, plain)
			s.set(set(vip4), at(0))
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
		do   func(*schedule)
		want []string
	}{
		"newest gain first": {func(s *schedule) {
			s.set(set(a), at(0))
			s.set(set(a, b), at(1))
			s.set(set(a, b, c), at(2))
		}, []string{"10 2001:db8::1 1", "10 198.18.0.2 1", "10 198.18.0.1 1"}},
		"among equals the lower address": {
			func(s *schedule) { s.set(set(c, b, a), at(0)) },
			[]string{"10 198.18.0.1 1", "10 198.18.0.2 1", "10 2001:db8::1 1"},
		},
		"a gain before repeats": {func(s *schedule) {
			s.set(set(b), at(0))
			s.next(at(0))
			s.set(set(b, a), at(0)) // as old, and due later than the repeat
		}, []string{"10 198.18.0.1 1", "10 198.18.0.2 2"}},
		"a defence before all": {func(s *schedule) {
			s.set(set(a), at(0))
			s.next(at(0))
			s.set(set(a, b), at(5))
			s.defend(a)
			s.defend(a)
		}, []string{"10 198.18.0.1 0", "10 198.18.0.2 1", "10 198.18.0.1 2"}},
		"a defence of what was never announced": {func(s *schedule) {
			s.set(set(a), at(0))
			s.defend(a)
		}, []string{"10 198.18.0.1 0", "10 198.18.0.1 1"}},
		"a defence of another's": {func(s *schedule) { s.defend(a) }, nil},
		"a loss is silent": {func(s *schedule) {
			s.set(set(a, b, c), at(0))
			s.next(at(0))
			s.defend(b)
			s.set(set(c), at(1))
		}, []string{"10 2001:db8::1 1"}},
		"restart keeps the age": {func(s *schedule) {
			s.set(set(a), at(0))
			s.next(at(0))
			s.set(set(a, b), at(1))
			s.next(at(1))
			s.restart(at(2))
		}, []string{"10 198.18.0.2 1", "10 198.18.0.1 1"}},
		"lost and gained again is new": {func(s *schedule) {
			s.set(set(a, b), at(0))
			s.set(set(b), at(1))
			s.set(set(a, b), at(2))
		}, []string{"10 198.18.0.1 1", "10 198.18.0.2 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSchedule(second, refreshEvery, plain)
			tc.do(s)
			if diff := cmp.Diff(tc.want, run(s, at(10), at(10))); diff != "" {
				t.Errorf("announcements (-want +got):\n%s", diff)
			}
		})
	}
}

// TestScheduleHolds drives a schedule with random steps and checks it against
// what a naive list says: every owned address is announced, none that is not,
// no gain waits behind anything but defences and newer gains.
func TestScheduleHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSchedule(gaps(), refreshEvery, plain)
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
				s.restart(now)
				clear(announced)
			case 5:
				s.defend(ip)
			default:
				got, u, ok := s.next(now)
				if !ok {
					break
				}
				if _, mine := owned[got]; !mine {
					t.Fatalf("%s is announced and not owned", got)
				}
				for other := range owned {
					if u > gain && !announced[other] || u == gain && !announced[other] && gained[other].After(gained[got]) {
						t.Fatalf("%s (urgency %d) before %s", got, u, other)
					}
				}
				announced[got] = announced[got] || u != defence
			}
			if s.waiting.Len()+s.ready.Len() != len(owned) {
				t.Fatalf("%d waiting, %d ready, %d owned", s.waiting.Len(), s.ready.Len(), len(owned))
			}
		}
	})
}

func TestPacer(t *testing.T) {
	p := pacer{gap: time.Millisecond, burst: 5 * time.Millisecond}
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
		if got := p.spend(step.frames, at(step.at)); got != step.want {
			t.Errorf("%d frames at %gs: wait %v, want %v", step.frames, step.at, got, step.want)
		}
	}
}

// TestPacerMakesUp: a sleep that took too long is made up for, within the credit.
func TestPacerMakesUp(t *testing.T) {
	p := pacer{gap: time.Millisecond, burst: 5 * time.Millisecond, credit: 10 * time.Millisecond}
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
		if got := p.spend(step.frames, at(step.at)); got != step.want {
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
	s, p := newSchedule(gaps(), refreshEvery, plain), pacer{gap: frameGap, burst: frameBurst, credit: frameCredit}
	s.set(owned, epoch)
	first, second, now := 0, 0, epoch
	for first+second < 2*len(owned) {
		_, u, ok := s.next(now)
		if !ok {
			now = s.wake()
			continue
		}
		switch u {
		case gain:
			first++
		case repeat:
			second++
		}
		if first == len(owned) && now.Sub(epoch) > 2*time.Second && second == 0 {
			t.Fatalf("the last first announcement after %v", now.Sub(epoch))
		}
		now = now.Add(p.spend(2, now))
	}
	if first != len(owned) {
		t.Errorf("%d first announcements", first)
	}
	if rate := float64(2*(first+second)) / now.Sub(epoch).Seconds(); rate > 12_100 {
		t.Errorf("%.0f frames a second", rate)
	}
}
