package probe

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	peerMAC = "02:00:00:00:00:02"
	hurry   = 15 * time.Millisecond
	pace    = 40 * time.Millisecond
)

var (
	epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	vip     = netip.MustParseAddr("198.18.0.100")
	other   = netip.MustParseAddr("198.18.0.101")
	peerVIP = netip.MustParseAddr("198.18.0.2")

	ofPresence = Question{MAC: peerMAC}
	ofVIP      = Question{IP: other, MAC: peerMAC}
	ofHost     = Question{IP: peerVIP, MAC: peerMAC, Host: true}
)

// at is a moment, in seconds after the epoch.
func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

// asking is an Asker with questions.
func asking(ask ...Question) *Asker {
	a := NewAsker(Standard())
	a.Set(ask, pace, epoch)
	return a
}

// script runs questions over time: whoever is asked answers at once while
// answers says so. It returns one line for each question and each new verdict.
func script(q *Asker, from, to time.Time, answers func(Question, time.Time) bool) (out []string) {
	for now := from; ; {
		ask, _, _ := q.Next(now)
		for _, x := range ask {
			line := fmt.Sprintf("%dms", now.Sub(epoch).Milliseconds())
			if q.open[x].Silent {
				line += " silent"
			}
			if answers(x, now) {
				q.Heard(x, now)
				line += " answered"
			}
			out = append(out, line)
		}
		wake := q.Wake()
		if wake.IsZero() || wake.After(to) {
			return out
		}
		now = wake
	}
}

func never(Question, time.Time) bool  { return false }
func always(Question, time.Time) bool { return true }

func TestAskerPace(t *testing.T) {
	for name, tc := range map[string]struct {
		answers func(Question, time.Time) bool
		until   float64
		want    []string
	}{
		"nobody is there":  {never, 3, []string{"0ms", "15ms", "30ms", "45ms", "60ms", "75ms silent", "1075ms silent", "2075ms silent"}},
		"somebody answers": {always, 0.3, []string{"0ms answered", "100ms answered", "200ms answered", "300ms answered"}},
		"the first two are lost": {
			func(_ Question, now time.Time) bool { return now.Sub(epoch) >= 30*time.Millisecond }, 0.2,
			[]string{"0ms", "15ms", "30ms answered", "130ms answered"},
		},
		"dies after the first answer": {
			func(_ Question, now time.Time) bool { return now.Equal(epoch) }, 2,
			[]string{"0ms answered", "100ms", "200ms", "300ms", "400ms silent", "1400ms silent"},
		},
		"comes back": {
			func(_ Question, now time.Time) bool { return now.Sub(epoch) >= time.Second }, 1.3,
			[]string{"0ms", "15ms", "30ms", "45ms", "60ms", "75ms silent", "1075ms silent answered", "1175ms answered", "1275ms answered"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := asking(ofPresence)
			if diff := cmp.Diff(tc.want, script(q, epoch, at(tc.until), tc.answers)); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHostPace: a kernel that has answered is asked steadily, and given up after
// four misses; one that never has is soon left alone.
func TestHostPace(t *testing.T) {
	for name, tc := range map[string]struct {
		answers func(Question, time.Time) bool
		from    float64
		want    []string
	}{
		"answers": {always, 9.9, []string{"9920ms answered", "9960ms answered", "10000ms answered"}},
		"dies": {
			func(_ Question, now time.Time) bool { return now.Sub(epoch) < 8990*time.Millisecond }, 8.9,
			[]string{"8920ms answered", "8960ms answered", "9000ms", "9040ms", "9080ms", "9120ms", "9160ms silent"},
		},
		"three in a row are lost": {
			func(_ Question, now time.Time) bool {
				at := now.Sub(epoch)
				return at < 9800*time.Millisecond || at > 9900*time.Millisecond
			}, 9.7,
			[]string{"9720ms answered", "9760ms answered", "9800ms", "9840ms", "9880ms", "9920ms answered", "9960ms answered", "10000ms answered"},
		},
		"never answers": {never, 0, []string{"0ms", "15ms", "30ms", "45ms silent"}},
		"comes back": {
			func(_ Question, now time.Time) bool { return now.Sub(epoch)%(9*time.Second) < time.Second }, 8,
			[]string{"8160ms silent", "9160ms silent answered", "9200ms answered"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := asking(ofHost)
			if tc.from > 0 {
				script(q, epoch, at(tc.from), tc.answers)
			}
			got := script(q, q.Wake(), at(10), tc.answers)
			if diff := cmp.Diff(tc.want, got[:min(len(got), len(tc.want))]); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVIPQuestionIsUrgent: once somebody stops to answer for a VIP, it is known
// after one steady pause.
func TestVIPQuestionIsUrgent(t *testing.T) {
	q := asking(ofVIP)
	got := script(q, epoch, at(0.5), func(_ Question, now time.Time) bool { return now.Sub(epoch) < 150*time.Millisecond })
	if diff := cmp.Diff([]string{"0ms answered", "100ms answered", "200ms", "215ms", "230ms", "245ms silent"}, got); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}

// TestCallsGrowRare: a node that stays alone goes on calling. Where many stations are known, every
// host would have to read the calls of many.
func TestCallsGrowRare(t *testing.T) {
	for known, want := range map[int]int{0: 60, 3: 60, 40: 6} {
		q := asking(Question{MAC: Everybody})
		for i := range known {
			q.Add(Question{MAC: fmt.Sprintf("02:00:00:00:01:%02x", i)}, epoch)
		}
		calls := 0
		script(q, epoch, at(50), never)
		script(q, q.Wake(), q.Wake().Add(time.Minute), func(x Question, _ time.Time) bool {
			if x.MAC == Everybody {
				calls++
			}
			return x.MAC != Everybody
		})
		if calls < want-1 || calls > want+1 {
			t.Errorf("%d calls in a minute where %d stations are known, want %d", calls, known, want)
		}
	}
}

// TestManySilentOnes: the rate of questions that a switch floods is bounded.
func TestManySilentOnes(t *testing.T) {
	for n, most := range map[int]int{1: 1, 4: 4, 8: 4, 40: 4, 60: 6} {
		var all []Question
		for i := range n {
			all = append(all, Question{MAC: fmt.Sprintf("02:00:00:00:01:%02x", i)})
		}
		q := asking(all...)
		script(q, epoch, at(1), never)
		if got := len(script(q, q.Wake(), at(61), never)); got > 60*most+n || got == 0 {
			t.Errorf("%d silent ones are asked %d times in a minute", n, got)
		}
	}
}

// aboutVIPs are questions to one station about so many addresses.
func aboutVIPs(n int) []Question {
	var all []Question
	for i := range n {
		all = append(all, Question{IP: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), MAC: peerMAC})
	}
	return all
}

// TestLostVIPsAreAskedOn: a station that answered for many VIPs and is silent is asked for each of
// them again and again within the ten seconds for which callers do, and of none more often than the
// first verdict takes.
func TestLostVIPsAreAskedOn(t *testing.T) {
	for n, least := range map[int]int{1: 10, 100: 10, 1000: 10, 4000: 10, 10000: 4} {
		q := asking(aboutVIPs(n)...)
		script(q, epoch, epoch, always)
		now := q.Wake()
		for silent := 0; silent < n; now = q.Wake() {
			q.Next(now)
			silent = 0
			for _, a := range q.open {
				if a.Silent {
					silent++
				}
			}
		}
		asked := len(script(q, now, now.Add(10*time.Second), never))
		if most := n + 10*Standard().Rate; asked < n*least || asked > most {
			t.Errorf("%d lost ones are asked %d times in ten seconds, want %d to %d", n, asked, n*least, most)
		}
	}
}

// TestPresenceDoesNotWait: whether a speaker is there is known after 75 ms, and whether a host is
// after 60 ms, however many questions about VIPs are open.
func TestPresenceDoesNotWait(t *testing.T) {
	for _, n := range []int{0, 10000} {
		q := asking(append(aboutVIPs(n), ofPresence, ofHost)...)
		script(q, epoch, at(0.074), never)
		if q.open[ofPresence].Silent || !q.open[ofHost].Silent {
			t.Errorf("%d VIPs, after 74 ms: presence %+v, host %+v", n, q.open[ofPresence], q.open[ofHost])
		}
		script(q, q.Wake(), at(0.076), never)
		if !q.open[ofPresence].Silent {
			t.Errorf("%d VIPs, after 76 ms: presence %+v", n, q.open[ofPresence])
		}
	}
}

// TestAskerReportsChanges: the caller is woken for a first answer, a verdict
// and its end, and for nothing else.
func TestAskerReportsChanges(t *testing.T) {
	q := asking(ofPresence, ofVIP)
	for _, step := range []struct {
		name string
		do   func() bool
		want bool
	}{
		{"first answer", func() bool { return q.Heard(ofPresence, epoch) }, true},
		{"second answer", func() bool { return q.Heard(ofPresence, at(0.01)) }, false},
		{"an answer nobody asked for", func() bool { return q.Heard(Question{IP: vip, MAC: peerMAC}, epoch) }, false},
		{"the same set", func() bool { return q.Set([]Question{ofVIP, ofPresence}, pace, at(0.01)) }, false},
		{"nobody answers for the VIP", func() bool { _, _, c := q.Next(at(0.02)); q.open[ofVIP].misses = Standard().Owner.New.Tries; return c }, false},
		{"verdict", func() bool { _, _, c := q.Next(at(0.1)); return c }, true},
		{"no verdict again", func() bool { _, _, c := q.Next(at(5)); return c }, false},
		{"an answer after the verdict", func() bool { return q.Heard(ofVIP, at(6)) }, true},
	} {
		if got := step.do(); got != step.want {
			t.Errorf("%s: changed %v, want %v", step.name, got, step.want)
		}
	}
	want := map[Question]Answer{
		ofPresence: {Asked: epoch, Last: at(0.01)},
		ofVIP:      {Asked: epoch, Last: at(6)},
	}
	if diff := cmp.Diff(want, q.Answers(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	q.Set([]Question{ofVIP}, pace, at(7))
	if diff := cmp.Diff(map[Question]Answer{ofVIP: want[ofVIP]}, q.Answers(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("answers after one is asked no longer (-want +got):\n%s", diff)
	}
	if _, wake, _ := asking().Next(epoch); !wake.IsZero() {
		t.Errorf("nothing to ask, and woken at %v", wake)
	}
}

// TestManyThatAnswer: stations that answer for many VIPs are asked on no faster than the rate.
func TestManyThatAnswer(t *testing.T) {
	for n, most := range map[int]int{1: 10, 100: 1000, 400: 4000, 10000: 4000} {
		q := asking(aboutVIPs(n)...)
		script(q, epoch, at(1), always)
		if got := len(script(q, q.Wake(), at(11), always)) / 10; got > most+n/10 || got < most*9/10 {
			t.Errorf("%d that answer are asked %d times a second, want %d", n, got, most)
		}
	}
}

// TestDoubts: a host that replied before is doubtful after two misses, until it replies; a speaker
// never is.
func TestDoubts(t *testing.T) {
	host, speaker := Question{IP: netip.MustParseAddr("198.18.0.2"), MAC: "02:00:00:00:00:02", Host: true}, Question{MAC: "02:00:00:00:00:02"}
	a := NewAsker(Standard())
	a.Set([]Question{host, speaker}, 40*time.Millisecond, epoch)
	now := epoch
	for range 3 {
		a.Next(now)
		now = now.Add(15 * time.Millisecond)
	}
	if a.Doubts(host) {
		t.Error("a host that never replied is doubtful")
	}
	a.Heard(host, now)
	a.Set([]Question{host}, 40*time.Millisecond, now)
	for i, want := range []bool{false, false, true, false} {
		now = now.Add(40 * time.Millisecond)
		if _, _, got := a.Next(now); got != want || a.Doubts(host) != (i >= 2) {
			t.Errorf("question %d: changed %v, doubtful %v", i+1, got, a.Doubts(host))
		}
	}
	if !a.Heard(host, now) || a.Doubts(host) {
		t.Error("a reply does not end the doubt, or is no news")
	}
	if got, asked := a.Answer(host); !asked || got.Silent || !got.Last.Equal(now) {
		t.Errorf("answer %+v, %v", got, asked)
	}
	if _, asked := a.Answer(speaker); asked {
		t.Error("there is an answer to a question that is not asked any more")
	}
}

// TestAgain: who is silent and heard of is asked at once, and what it replied before tells nothing.
func TestAgain(t *testing.T) {
	q := asking(ofVIP)
	script(q, epoch, at(5), func(_ Question, now time.Time) bool { return now.Equal(epoch) })
	if a, _ := q.Answer(ofVIP); !a.Silent {
		t.Fatalf("answer %+v", a)
	}
	q.Again(ofVIP, at(5.5))
	if a, _ := q.Answer(ofVIP); a != (Answer{Asked: at(5.5)}) {
		t.Errorf("answer %+v", a)
	}
	q.Again(ofVIP, at(5.51)) // it is being asked
	if diff := cmp.Diff([]string{"5500ms", "5515ms answered"}, script(q, at(5.5), at(5.52), func(_ Question, now time.Time) bool { return now.After(at(5.5)) })); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}
