package bgp

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/osrg/gobgp/v4/pkg/packet/bfd"

	"github.com/starling-lb/starling/routes"
)

// theirs is a packet of the router, whose discriminator is 7.
func theirs(state bfd.StateType, your uint32, more ...func(*bfd.BFDHeader)) *bfd.BFDHeader {
	h := &bfd.BFDHeader{Version: 1, State: state, DetectTimeMultiplier: 4, MyDiscriminator: 7, YourDiscriminator: your, DesiredMinTxInterval: 100_000, RequiredMinRxInterval: 50_000}
	for _, f := range more {
		f(h)
	}
	return h
}

// One end of a session, word by word.
func TestDetection(t *testing.T) {
	t.Parallel()
	poll := func(h *bfd.BFDHeader) { h.Poll = true }
	final := func(h *bfd.BFDHeader) { h.Final = true }
	tests := []struct {
		name  string
		hears []*bfd.BFDHeader // nil: the router says nothing for patience
		want  []string
	}{
		{"down, init, up", []*bfd.BFDHeader{theirs(bfd.StateDown, 0), theirs(bfd.StateUp, 5), theirs(bfd.StateUp, 5, final)}, []string{
			"down: says down to 0, wants 1s", "init for 1.2s: says init to 7, wants 1s",
			"up for 1.2s: says up to 7, wants 300ms, polls", "up for 1.2s: says up to 7, wants 300ms",
		}},
		{"both at once", []*bfd.BFDHeader{theirs(bfd.StateInit, 5)}, []string{"down: says down to 0, wants 1s", "up for 1.2s: says up to 7, wants 300ms, polls"}},
		{"the router polls", []*bfd.BFDHeader{theirs(bfd.StateInit, 5, poll)}, []string{"down: says down to 0, wants 1s", "up for 1.2s: says up to 7, wants 300ms, polls, answers"}},
		{"the router falls silent", []*bfd.BFDHeader{theirs(bfd.StateInit, 5), nil}, []string{"down: says down to 0, wants 1s", "up for 1.2s: says up to 7, wants 300ms, polls", "down: says down to 0, wants 1s, lost: BFD: the router fell silent"}},
		{"silent before it stood", []*bfd.BFDHeader{theirs(bfd.StateDown, 0), nil}, []string{"down: says down to 0, wants 1s", "init for 1.2s: says init to 7, wants 1s", "down: says down to 0, wants 1s"}},
		{"the router does not hear us", []*bfd.BFDHeader{theirs(bfd.StateInit, 5), theirs(bfd.StateDown, 5)}, []string{"down: says down to 0, wants 1s", "up for 1.2s: says up to 7, wants 300ms, polls", "down: says down to 0, wants 1s, lost: BFD: the router does not hear this node"}},
		{"ended on purpose", []*bfd.BFDHeader{theirs(bfd.StateInit, 5), theirs(bfd.StateAdminDown, 5)}, []string{"down: says down to 0, wants 1s", "up for 1.2s: says up to 7, wants 300ms, polls", "down: says down to 0, wants 1s"}},
		{"of another session", []*bfd.BFDHeader{theirs(bfd.StateInit, 6)}, []string{"down: says down to 0, wants 1s", "down: says down to 0, wants 1s"}},
		{"of no session", []*bfd.BFDHeader{theirs(bfd.StateUp, 0)}, []string{"down: says down to 0, wants 1s", "down: says down to 0, wants 1s"}},
		{"without a multiplier", []*bfd.BFDHeader{theirs(bfd.StateInit, 5, func(h *bfd.BFDHeader) { h.DetectTimeMultiplier = 0 })}, []string{"down: says down to 0, wants 1s", "down: says down to 0, wants 1s"}},
		{"another version", []*bfd.BFDHeader{theirs(bfd.StateInit, 5, func(h *bfd.BFDHeader) { h.Version = 0 })}, []string{"down: says down to 0, wants 1s", "down: says down to 0, wants 1s"}},
		{"a slow router", []*bfd.BFDHeader{theirs(bfd.StateInit, 5, func(h *bfd.BFDHeader) { h.DesiredMinTxInterval = 1_000_000 })}, []string{"down: says down to 0, wants 1s", "up for 4s: says up to 7, wants 300ms, polls"}},
		{"a router that wants nothing", []*bfd.BFDHeader{theirs(bfd.StateInit, 5, func(h *bfd.BFDHeader) { h.RequiredMinRxInterval = 0 })}, []string{"down: says down to 0, wants 1s", "up for 1.2s: says up to 7, wants 300ms, polls, sends nothing"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDetection(300*time.Millisecond, 3, 5)
			got := []string{inBrief(d, false, "")}
			for _, h := range tt.hears {
				answer, lost := false, ""
				if h == nil {
					lost = d.expire()
				} else {
					answer, lost = d.hear(h)
				}
				got = append(got, inBrief(d, answer, lost))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("session (-want +got):\n%s", diff)
			}
		})
	}
}

func inBrief(d *detection, answer bool, lost string) string {
	out := d.state.String()
	if p := d.patience(); p > 0 {
		out += fmt.Sprintf(" for %v", p)
	}
	h := d.say(false)
	out += fmt.Sprintf(": says %s to %d, wants %v", h.State, h.YourDiscriminator, time.Duration(h.DesiredMinTxInterval)*time.Microsecond)
	for _, more := range []struct {
		is   bool
		text string
	}{{h.Poll, "polls"}, {answer && d.say(true).Final && !d.say(true).Poll, "answers"}, {d.quiet(), "sends nothing"}, {lost != "", "lost: " + lost}} {
		if more.is {
			out += ", " + more.text
		}
	}
	return out
}

// Why a session does not come up.
func TestDetectionNotUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hears []*bfd.BFDHeader
		want  string
	}{
		{nil, "nothing comes from the router"},
		{[]*bfd.BFDHeader{theirs(bfd.StateDown, 0)}, "the router does not hear this node"},
		{[]*bfd.BFDHeader{theirs(bfd.StateInit, 5)}, ""},
		{[]*bfd.BFDHeader{theirs(bfd.StateInit, 5), theirs(bfd.StateAdminDown, 5)}, "the router has turned it off"},
	} {
		d := newDetection(300*time.Millisecond, 3, 5)
		for _, h := range tt.hears {
			d.hear(h)
		}
		if got := d.notUp(); got != tt.want {
			t.Errorf("after %d packets: %q, want %q", len(tt.hears), got, tt.want)
		}
	}
}

// said notes when packets were sent.
type said struct{ times []time.Time }

func (s *said) Write(b []byte) (int, error) {
	s.times = append(s.times, time.Now())
	return len(b), nil
}

// A router that takes packets more often once the session is up, as FRR does, gets the next one in
// time: it waits for three of the shorter intervals, and one of the longer may be longer than that.
func TestDetectionQuickens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		room := New(Config{})
		s := &session{peering: peering{router: tor()}, room: room, status: newStatus(room, tor())}
		w := &pathWatch{session: s, lost: make(chan string, 1), heard: make(chan *bfd.BFDHeader), end: make(chan struct{}), done: make(chan struct{})}
		out := &said{}
		go func() {
			defer close(w.done)
			w.watch(out, newDetection(300*time.Millisecond, 3, 5))
		}()
		takes := func(d time.Duration) func(*bfd.BFDHeader) {
			return func(h *bfd.BFDHeader) { h.RequiredMinRxInterval = uint32(d.Microseconds()) }
		}
		w.heard <- theirs(bfd.StateInit, 5, takes(time.Second))
		synctest.Wait() // it has said that it is up
		w.heard <- theirs(bfd.StateUp, 5, takes(300*time.Millisecond))
		synctest.Wait()
		up := time.Now()
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		close(w.end)
		<-w.done
		last := up
		for _, at := range out.times {
			if at.After(up) && at.Sub(last) > 300*time.Millisecond {
				t.Errorf("a packet %v after the one before", at.Sub(last))
			}
			last = at
		}
		if time.Since(last) > 300*time.Millisecond {
			t.Errorf("no packet for %v", time.Since(last))
		}
	})
}

// Packets go out at most as often as both ends want, less some chance.
func TestDetectionPause(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		multiplier  uint8
		up          bool
		takes       time.Duration
		least, most time.Duration
	}{
		{"not up", 3, false, 0, 750 * time.Millisecond, time.Second},
		{"up", 3, true, 0, 225 * time.Millisecond, 300 * time.Millisecond},
		{"a slow router", 3, true, 2 * time.Second, 1500 * time.Millisecond, 2 * time.Second},
		{"one packet may not be lost", 1, true, 0, 225 * time.Millisecond, 270 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDetection(300*time.Millisecond, tt.multiplier, 5)
			if tt.up {
				d.state = bfd.StateUp
			}
			d.takes = tt.takes
			for range 1000 {
				if got := d.pause(); got < tt.least || got > tt.most {
					t.Fatalf("pause %v, want %v to %v", got, tt.least, tt.most)
				}
			}
		})
	}
}

// TestDetectorSockets: a port of BFD is open as long as a session needs it, and no longer.
func TestDetectorSockets(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d := newDetector()
	join := func(multihop uint8, want int) func() {
		out, _, leave, err := d.join(routes.Router{Address: netip.MustParseAddr("127.0.0.1"), Multihop: multihop}, conn, make(chan *bfd.BFDHeader))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if len(d.sockets) != want {
			t.Errorf("%d sockets, want %d", len(d.sockets), want)
		}
		return leave
	}
	near, second, far := join(0, 1), join(0, 1), join(2, 2)
	for i, leave := range []func(){near, far, second} {
		leave()
		if want := []int{2, 1, 0}[i]; len(d.sockets) != want {
			t.Errorf("%d sockets after %d sessions left, want %d", len(d.sockets), i+1, want)
		}
	}
}
