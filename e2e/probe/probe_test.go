package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	epoch := time.Unix(1000, 0)
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	tests := []struct {
		name  string
		asked []question
		end   int
		want  Report
	}{
		{"nothing was asked", nil, 100, Report{By: map[string]int{}}},
		{
			"all is well",
			[]question{{at(0), at(1), "n1"}, {at(5), at(6), "n2"}, {at(10), at(11), "n1"}},
			12,
			Report{Asked: 3, Gap: 5 * time.Millisecond, GapBegan: at(1), By: map[string]int{"n1": 2, "n2": 1}},
		},
		{
			"a pause in the middle",
			[]question{{at(0), at(1), "n1"}, {asked: at(5)}, {asked: at(10)}, {at(15), at(16), "n2"}},
			17,
			Report{Asked: 4, Lost: 2, Gap: 15 * time.Millisecond, GapBegan: at(1), From: at(5), To: at(10), By: map[string]int{"n1": 1, "n2": 1}},
		},
		{
			"answers that come out of order and late close the pause when they come",
			[]question{{at(0), at(30), "n1"}, {at(5), at(20), "n1"}},
			31,
			Report{Asked: 2, Gap: 20 * time.Millisecond, GapBegan: at(0), By: map[string]int{"n1": 2}},
		},
		{
			"never answered",
			[]question{{asked: at(0)}, {asked: at(5)}},
			50,
			Report{Asked: 2, Lost: 2, Gap: 50 * time.Millisecond, GapBegan: at(0), From: at(0), To: at(5), By: map[string]int{}},
		},
		{
			"silence until the end counts",
			[]question{{at(0), at(1), "n1"}, {asked: at(5)}},
			90,
			Report{Asked: 2, Lost: 1, Gap: 89 * time.Millisecond, GapBegan: at(1), From: at(5), To: at(5), By: map[string]int{"n1": 1}},
		},
		{
			"an answer after the end is not lost, and shortens nothing",
			[]question{{at(0), at(1), "n1"}, {at(5), at(60), "n1"}},
			50,
			Report{Asked: 2, Gap: 49 * time.Millisecond, GapBegan: at(1), By: map[string]int{"n1": 2}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, report(tt.asked, at(tt.end))); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

func TestReportString(t *testing.T) {
	r := Report{Asked: 10, Lost: 2, Gap: 1234567 * time.Nanosecond, By: map[string]int{"n2": 3, "n1": 5}}
	if diff := cmp.Diff("10 asked, 2 lost, longest gap 1ms, answered by n1 5, n2 3", r.String()); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestNode(t *testing.T) {
	for line, want := range map[string]string{"pod n1 198.18.0.1:5": "n1", "": "?", "pod": "?"} {
		if got := Node(line); got != want {
			t.Errorf("Node(%q) = %q, want %q", line, got, want)
		}
	}
}

// TestProberUDP stops answering for a while, on purpose.
func TestProberUDP(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const mute = 20 // Questions of number 20 to 39 are not answered.
	go func() {
		buf := make([]byte, 64)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if number := binary.BigEndian.Uint32(buf); number < mute || number >= 2*mute {
				_, _ = server.WriteTo(append([]byte("pod n1 x\n"), buf[:n]...), from)
			}
		}
	}()
	p, err := Start(Config{Dial: (&net.Dialer{}).DialContext, Network: "udp", Address: server.LocalAddr().String(), Every: time.Millisecond, Patience: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await(t.Context(), 3*mute); err != nil {
		t.Fatal(err)
	}
	r := p.Stop()
	if r.Lost != mute || r.By["n1"] != r.Asked-mute {
		t.Errorf("%d of %d lost, answered by %v; want %d lost", r.Lost, r.Asked, r.By, mute)
	}
	if r.Gap < mute*time.Millisecond/2 {
		t.Errorf("gap is %v, although %d questions in a row were not answered", r.Gap, mute)
	}
}

func TestProberTCP(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "pod n2 x")
			conn.Close()
		}
	}()
	p, err := Start(Config{Dial: (&net.Dialer{}).DialContext, Network: "tcp", Address: server.Addr().String(), Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if r := p.Stop(); r.By["n2"] < 10 || r.By["n2"]+r.Lost != r.Asked {
		t.Errorf("report %+v does not add up", r)
	}
}

func TestStartWithoutNetwork(t *testing.T) {
	broken := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way") }
	if _, err := Start(Config{Dial: broken, Network: "udp", Address: "192.0.2.1:80"}); err == nil || !strings.Contains(err.Error(), "192.0.2.1:80: no way") {
		t.Errorf("error %v does not say what failed", err)
	}
}

func TestAwaitSaysHowFarItCame(t *testing.T) {
	p := &Prober{config: Config{Address: "vip:80"}, news: make(chan struct{}, 1), asked: make([]question, 5)}
	ctx, cancel := context.WithCancelCause(t.Context())
	p.answered(0, "pod n1 x")
	p.answered(0, "pod n1 x")
	waiting := make(chan error)
	go func() { waiting <- p.Await(ctx, 3) }()
	cancel(errors.New("too late"))
	if diff := cmp.Diff("vip:80: 0 of 3 more answers: too late", (<-waiting).Error()); diff != "" {
		t.Error("(-want +got)", diff)
	}
}
