package proxy

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
)

// TestForwardingLacks is the specification of what a node waits for before it is ready for the
// first time.
func TestForwardingLacks(t *testing.T) {
	t.Parallel()
	const words = "http://127.0.0.1:10256 says so"
	for h, want := range map[Health]string{
		Unknown:   "asking whether kube-proxy is up",
		Unhealthy: "waiting for kube-proxy of this node: " + words,
		Absent:    "",
		Healthy:   "",
	} {
		var f Forwarding
		if got := sentence(f.Lacks(State{Health: h, Reason: words})); got != want || f.known != (want == "") {
			t.Errorf("%s: waits for %q, known %v; want %q", h, got, f.known, want)
		}
	}
	f := Forwarding{known: true}
	if got := f.Lacks(State{Health: Unhealthy, Reason: words}); got != nil {
		t.Errorf("waits for %q later on", got)
	}
}

// TestForwardingFollows is the specification of when a node goes behind others for want of a
// kube-proxy, and when it is reported. Each line is a moment: what kube-proxy and the others are,
// and what comes of it.
func TestForwardingFollows(t *testing.T) {
	t.Parallel()
	const (
		short  = Grace - time.Millisecond
		absent = Absent
		well   = Healthy
		ill    = Unhealthy
	)
	type moment struct {
		after   time.Duration // the one before
		health  Health
		others  bool // have one
		behind  bool
		missing bool
		has     bool // as it tells the others
	}
	for _, tt := range []struct {
		name    string
		unready bool // in the first moment
		moments []moment
	}{
		{"nobody ever had one", false, []moment{
			{0, absent, false, false, false, false},
			{time.Hour, absent, false, false, false, false},
		}},
		{"nobody had one before it was ready", true, []moment{
			{0, absent, false, false, false, false},
			{time.Hour, absent, false, false, false, false},
		}},
		{"it ends", false, []moment{
			{0, well, true, false, false, true},
			{time.Hour, absent, true, false, false, false},
			{short, absent, true, false, false, false},
			{time.Millisecond, absent, true, true, true, false},
			{time.Hour, absent, true, true, true, false},
			{0, ill, true, true, true, true}, // it has not programmed its rules yet
			{time.Second, well, true, false, false, true},
		}},
		{"it is restarted quickly", false, []moment{
			{0, well, true, false, false, true},
			{0, absent, true, false, false, false},
			{short, ill, true, false, false, true},
			{time.Second, absent, true, false, false, false},
			{short, well, true, false, false, true},
		}},
		{"it is not healthy", false, []moment{
			{0, well, true, false, false, true},
			{time.Second, ill, true, false, false, true},
			{time.Hour, ill, true, false, false, true},
		}},
		{"it is absent when the speaker starts", true, []moment{
			{0, absent, true, true, true, false},
			{time.Hour, absent, true, true, true, false},
			{0, well, true, false, false, true},
		}},
		{"the node boots before all others", false, []moment{
			{0, absent, false, false, false, false},
			{time.Minute, absent, true, false, false, false},
			{short, absent, true, false, false, false},
			{time.Millisecond, absent, true, true, true, false},
		}},
		{"a kube-proxy of another node comes and goes", false, []moment{
			{0, absent, false, false, false, false},
			{time.Minute, absent, true, false, false, false},
			{short, absent, false, false, false, false},
			{time.Second, absent, true, false, false, false},
			{short, absent, true, false, false, false},
		}},
		{"it ends everywhere", false, []moment{
			{0, well, true, false, false, true},
			{time.Second, absent, true, false, false, false},
			{time.Second, absent, false, false, false, false},
			{time.Second, absent, false, false, true, false},
			{time.Hour, absent, false, false, true, false},
		}},
		{"the only one ends", false, []moment{
			{0, well, false, false, false, true},
			{time.Second, absent, false, false, false, false},
			{Grace, absent, false, false, true, false},
			{time.Hour, absent, false, false, true, false},
			{0, well, false, false, false, true},
		}},
		{"others restart theirs", false, []moment{
			{0, well, true, false, false, true},
			{time.Second, absent, true, false, false, false},
			{Grace, absent, true, true, true, false},
			{time.Second, absent, false, true, true, false},
			{forgotten - 2*time.Second, absent, false, true, true, false},
			{time.Millisecond, absent, true, true, true, false},
		}},
		{"others end theirs for good", false, []moment{
			{0, well, true, false, false, true},
			{time.Second, absent, true, false, false, false},
			{Grace, absent, true, true, true, false},
			{forgotten - time.Millisecond, absent, false, true, true, false},
			{time.Millisecond, absent, false, false, true, false}, // it had one, so that is reported
		}},
		{"it ends again and again", false, []moment{
			{0, well, true, false, false, true},
			{time.Hour, absent, true, false, false, false},
			{Grace, absent, true, true, true, false},
			{time.Second, well, true, false, false, true}, // at once
			{time.Second, absent, true, false, false, false},
			{Grace, absent, true, true, true, false},
			{time.Second, well, true, true, false, true},
			{firstHold - time.Millisecond, well, true, true, false, true},
			{time.Millisecond, well, true, false, false, true},
			{time.Second, absent, true, false, false, false},
			{Grace, absent, true, true, true, false},
			{time.Second, well, true, true, false, true},
			{firstHold, absent, true, true, true, false}, // before its time is over
			{time.Second, well, true, true, false, true},
			{4*firstHold - time.Millisecond, well, true, true, false, true},
			{time.Millisecond, well, true, false, false, true},
			{relapse, absent, true, false, false, false},
			{Grace, absent, true, true, true, false},
			{time.Second, well, true, false, false, true}, // at once again
		}},
		{"not known yet", false, []moment{{0, Unknown, true, false, false, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f Forwarding
			now := time.Unix(1000, 0)
			for i, m := range tt.moments {
				now = now.Add(m.after)
				answer := State{Health: m.health}
				f.Follow(answer, now, !tt.unready || i > 0, m.others)
				if f.Behind != m.behind || f.Lost != m.missing || f.Has(answer) != m.has {
					t.Errorf("moment %d: behind %v, missing %v, has %v; want %v, %v, %v", i, f.Behind, f.Lost, f.Has(answer), m.behind, m.missing, m.has)
				}
				if !f.Next.IsZero() && !f.Next.After(now) {
					t.Errorf("moment %d: looks again at %s, which is over", i, f.Next)
				}
				waits := !f.hold.IsZero() || f.Behind && !m.others || !f.Lost && m.health == absent && (f.had || m.others)
				if waits != !f.Next.IsZero() {
					t.Errorf("moment %d: looks again by time: %v", i, !waits)
				}
			}
		})
	}
}

// sentence is the words of at most one condition.
func sentence(all []health.Condition) string {
	if len(all) == 0 {
		return ""
	}
	return all[0].Words
}
