package arpd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	ofPresence = Question{MAC: peerHW.String()}
	ofVIP      = Question{IP: other4, MAC: peerHW.String()}
)

// script runs inquiries over time: whoever is asked answers at once while
// answers says so. It returns one line for each question and each new verdict.
func script(q inquiries, from, to time.Time, answers func(Question, time.Time) bool) (out []string) {
	for now := from; ; {
		ask, _, _ := q.next(now)
		for _, x := range ask {
			line := fmt.Sprintf("%dms", now.Sub(epoch).Milliseconds())
			if q[x].Silent {
				line += " silent"
			}
			if answers(x, now) {
				q.heard(x, now)
				line += " answered"
			}
			out = append(out, line)
		}
		wake := q.wake()
		if wake.IsZero() || wake.After(to) {
			return out
		}
		now = wake
	}
}

func never(Question, time.Time) bool  { return false }
func always(Question, time.Time) bool { return true }

func TestInquiryPace(t *testing.T) {
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
			q := make(inquiries)
			if !q.set(Company{Ask: []Question{ofPresence}}, epoch) {
				t.Fatal("a new question is not due")
			}
			if diff := cmp.Diff(tc.want, script(q, epoch, at(tc.until), tc.answers)); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHostPace: a kernel that has answered is asked steadily, and given up after
// four misses; one that never has is soon left alone.
func TestHostPace(t *testing.T) {
	ofHost := Question{IP: peer4, MAC: peerHW.String(), Host: true}
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
			q := make(inquiries)
			q.set(Company{Ask: []Question{ofHost}, Pace: 40 * time.Millisecond}, epoch)
			if tc.from > 0 {
				script(q, epoch, at(tc.from), tc.answers)
			}
			got := script(q, sooner(q.wake(), at(10)), at(10), tc.answers)
			if diff := cmp.Diff(tc.want, got[:min(len(got), len(tc.want))]); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVIPQuestionIsUrgent: once somebody stops to answer for a VIP, it is known
// after one steady pause.
func TestVIPQuestionIsUrgent(t *testing.T) {
	q := make(inquiries)
	q.set(Company{Ask: []Question{ofVIP}}, epoch)
	got := script(q, epoch, at(0.5), func(_ Question, now time.Time) bool { return now.Sub(epoch) < 150*time.Millisecond })
	if diff := cmp.Diff([]string{"0ms answered", "100ms answered", "200ms", "215ms", "230ms", "245ms silent"}, got); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}

// TestCallsGrowRare: a node that stays alone does not go on calling every second.
func TestCallsGrowRare(t *testing.T) {
	q := make(inquiries)
	q.set(Company{Ask: []Question{{MAC: Everybody}}}, epoch)
	first := len(script(q, epoch, at(50), never))
	script(q, q.wake(), at(100), never)
	if later := len(script(q, q.wake(), at(160), never)); first < 50 || later != 6 {
		t.Errorf("%d calls in the first 50 s, %d in a minute afterwards", first, later)
	}
}

// TestManySilentOnes: the rate of questions that a switch floods is bounded.
func TestManySilentOnes(t *testing.T) {
	for n, most := range map[int]int{1: 1, 4: 4, 8: 4, 40: 4, 60: 6} {
		q := make(inquiries)
		var all []Question
		for i := range n {
			all = append(all, Question{MAC: hw{2, 0, 0, 0, 1, byte(i)}.String()})
		}
		q.set(Company{Ask: all}, epoch)
		script(q, epoch, at(1), never)
		if got := len(script(q, q.wake(), at(61), never)); got > 60*most+n || got == 0 {
			t.Errorf("%d silent ones are asked %d times in a minute", n, got)
		}
	}
}

// aboutVIPs are questions to one station about so many addresses.
func aboutVIPs(n int) []Question {
	var all []Question
	for i := range n {
		all = append(all, Question{IP: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), MAC: peerHW.String()})
	}
	return all
}

// TestLostVIPsAreAskedOn: a station that answered for many VIPs and is silent is asked for each of them again and again
// within the ten seconds for which callers do, and of none more often than the first verdict takes.
func TestLostVIPsAreAskedOn(t *testing.T) {
	for n, least := range map[int]int{1: 10, 100: 10, 1000: 10, 4000: 10, 10000: 4} {
		q := make(inquiries)
		q.set(Company{Ask: aboutVIPs(n)}, epoch)
		script(q, epoch, epoch, always)
		now := q.wake()
		for silent := 0; silent < n; now = q.wake() {
			q.next(now)
			silent = 0
			for _, a := range q {
				if a.Silent {
					silent++
				}
			}
		}
		asked := len(script(q, now, now.Add(10*time.Second), never))
		if most := n + int(10*time.Second/askFast*askBurst); asked < n*least || asked > most {
			t.Errorf("%d lost ones are asked %d times in ten seconds, want %d to %d", n, asked, n*least, most)
		}
	}
}

// TestPresenceDoesNotWait: whether a speaker is there is known after 75 ms, and whether a host is after 60 ms, however many questions
// about VIPs are open.
func TestPresenceDoesNotWait(t *testing.T) {
	ofHost := Question{IP: peer4, MAC: peerHW.String(), Host: true}
	for _, n := range []int{0, 10000} {
		q := make(inquiries)
		q.set(Company{Ask: append(aboutVIPs(n), ofPresence, ofHost)}, epoch)
		script(q, epoch, at(0.074), never)
		if q[ofPresence].Silent || !q[ofHost].Silent {
			t.Errorf("%d VIPs, after 74 ms: presence %+v, host %+v", n, q[ofPresence], q[ofHost])
		}
		script(q, q.wake(), at(0.076), never)
		if !q[ofPresence].Silent {
			t.Errorf("%d VIPs, after 76 ms: presence %+v", n, q[ofPresence])
		}
	}
}

// TestInquiriesTellChanges: the caller is woken for a first answer, a verdict
// and its end, and for nothing else.
func TestInquiriesTellChanges(t *testing.T) {
	q := make(inquiries)
	q.set(Company{Ask: []Question{ofPresence, ofVIP}}, epoch)
	for _, step := range []struct {
		name string
		do   func() bool
		want bool
	}{
		{"first answer", func() bool { return q.heard(ofPresence, epoch) }, true},
		{"second answer", func() bool { return q.heard(ofPresence, at(0.01)) }, false},
		{"an answer nobody asked for", func() bool { return q.heard(Question{IP: vip4, MAC: peerHW.String()}, epoch) }, false},
		{"the same set", func() bool { return q.set(Company{Ask: []Question{ofVIP, ofPresence}}, at(0.01)) }, false},
		{"nobody answers for the VIP", func() bool { _, _, c := q.next(at(0.02)); q[ofVIP].misses = askTries; return c }, false},
		{"verdict", func() bool { _, _, c := q.next(at(0.1)); return c }, true},
		{"no verdict again", func() bool { _, _, c := q.next(at(5)); return c }, false},
		{"an answer after the verdict", func() bool { return q.heard(ofVIP, at(6)) }, true},
	} {
		if got := step.do(); got != step.want {
			t.Errorf("%s: changed %v, want %v", step.name, got, step.want)
		}
	}
	want := map[Question]Answer{
		ofPresence: {Asked: epoch, Last: at(0.01)},
		ofVIP:      {Asked: epoch, Last: at(6)},
	}
	if diff := cmp.Diff(want, q.list(), compare); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	q.set(Company{Ask: []Question{ofVIP}}, at(7))
	if diff := cmp.Diff(map[Question]Answer{ofVIP: want[ofVIP]}, q.list(), compare); diff != "" {
		t.Errorf("answers after one is asked no longer (-want +got):\n%s", diff)
	}
	if _, wake, _ := (inquiries{}).next(epoch); !wake.IsZero() {
		t.Errorf("nothing to ask, and woken at %v", wake)
	}
}
