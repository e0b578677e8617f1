package main

import (
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/e2e/probe"
)

// seenAs makes a sighting of each word such as "+120" or "-300": at home, or not, after so many
// milliseconds.
func seenAs(t *testing.T, words string) (seen []sighting) {
	t.Helper()
	for word := range strings.FieldsSeq(words) {
		d, err := time.ParseDuration(word[1:] + "ms")
		if err != nil || word[0] != '+' && word[0] != '-' {
			t.Fatalf("%q: %v", word, err)
		}
		seen = append(seen, sighting{at: time.UnixMilli(0).Add(d), home: word[0] == '+'})
	}
	return seen
}

func TestDepartures(t *testing.T) {
	for _, tt := range []struct {
		name, seen string
		settled    time.Duration
		want       int
	}{
		{"nothing seen", "", settled, 0},
		{"always at home", "+0 +200 +400", settled, 0},
		{"leaves and stays away", "+0 -200 -400 -9000", settled, 1},
		{"leaves and is back", "+0 -200 +900", settled, 1},
		{"leaves twice", "+0 -200 +900 -1500 +2500", settled, 2},
		{"two answer for a while", "-200 +201 -400 +401 -600 +601 -800 +1400", settled, 1},
		{"the home insists too soon", "-200 +300 -900", settled, 1},
		{"back just in time", "-200 +700 -900", settled, 2},
		{"was away at first", "-0 -5000", settled, 1},
		{"sessions flap as fast as they like", "-200 +201 -202 +203", 0, 2},
	} {
		if got := departures(seenAs(t, tt.seen), tt.settled); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestNoticed(t *testing.T) {
	seen := seenAs(t, "-100 +500 -700 -800")
	for since, want := range map[int64]int64{0: 100, 100: 100, 101: 700, 800: 800, 801: -1} {
		at, ok := noticed(seen, time.UnixMilli(since))
		if ok != (want >= 0) || ok && at.UnixMilli() != want {
			t.Errorf("since %d: %v, %v; want %d", since, at.UnixMilli(), ok, want)
		}
	}
}

func TestBetween(t *testing.T) {
	got := between(seenAs(t, "-99 +100 -150 +200 -201"), time.UnixMilli(100), time.UnixMilli(200))
	if diff := cmp.Diff(seenAs(t, "+100 -150 +200"), got, cmp.AllowUnexported(sighting{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestClaimed(t *testing.T) {
	at := time.UnixMilli(5)
	got := claimed([]probe.Claim{{At: at, MAC: "a"}, {At: at, MAC: "b"}}, "a")
	want := []sighting{{at: at, home: true}, {at: at}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sighting{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRate(t *testing.T) {
	for _, tt := range []struct {
		e      exposure
		want   float64
		atMost bool
		text   string
	}{
		{exposure{nodeDays: 0.0125}, 240, true, "< 240 (0)"},
		{exposure{nodeDays: 0.0125, pauses: 72}, 240, true, "< 240 (0 in 72)"},
		{exposure{nodeDays: 0.5, moves: 1}, 2, false, "2 (1)"},
		{exposure{nodeDays: 0.0042, moves: 24, pauses: 24}, 5714.3, false, "5,700 (24 in 24)"},
	} {
		got, atMost := tt.e.rate()
		if math.Abs(got-tt.want) > 1 || atMost != tt.atMost {
			t.Errorf("%+v: %v, %v; want %v, %v", tt.e, got, atMost, tt.want, tt.atMost)
		}
		if text := tt.e.String(); text != tt.text {
			t.Errorf("%+v: %q, want %q", tt.e, text, tt.text)
		}
	}
}

// TestMost compares with the table of Poisson's distribution: half of chi-square's 95th percentile
// with two more degrees of freedom than twice the count.
func TestMost(t *testing.T) {
	for moves, want := range map[int]float64{0: 2.996, 1: 4.744, 2: 6.296, 5: 10.513, 24: 33.752} {
		if got := (exposure{nodeDays: 1, moves: moves}).most(); math.Abs(got-want) > 0.02 {
			t.Errorf("%d moves: at most %.3f, want %.3f", moves, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 7: "7", 123: "120", 1234: "1,200", 987654: "990,000", 1250000: "1,300,000"} {
		if got := thousands(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}

// twoRuns are of two presets beside the same keepalived.
func twoRuns() []detectionRun {
	return []detectionRun{
		{
			Nodes: 3, Took: map[string][]milliseconds{"starling fast": {100, 300, 200}, "keepalived 1 s": {3000}},
			Loads: []loadRun{{Name: "busy", Seconds: 240, Moves: map[string]int{"starling fast": 0, "keepalived 1 s": 1}}},
		},
		{
			Nodes: 3, Took: map[string][]milliseconds{"starling calm": {2500}, "keepalived 1 s": {3600, 3200}},
			Loads: []loadRun{
				{Name: "busy", Seconds: 240, Moves: map[string]int{"starling calm": 0, "keepalived 1 s": 3}},
				{Name: "silent", Seconds: 120, Pauses: 24, Moves: map[string]int{"starling calm": 0, "keepalived 1 s": 5}},
			},
		},
	}
}

// TestCurve sums up the runs, and leaves out what none of them had.
func TestCurve(t *testing.T) {
	want := `| system | a death is noticed after: median, worst | idle | busy | busy, processes stopped | busy, nodes silent |
|---|---|---|---|---|---|
| starling fast | 200 ms, 300 ms (3) | - | < 360 (0) | - | - |
| starling calm | 2500 ms, 2500 ms (1) | - | < 360 (0) | - | < 720 (0 in 24) |
| keepalived 1 s | 3200 ms, 3600 ms (3) | - | 240 (4) | - | 1,200 (5 in 24) |
`
	if diff := cmp.Diff(want, tableOf(curve(twoRuns()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecord: a run is added to those that the file has, and one that cannot be read is left alone.
func TestRecord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "record.json")
	if err := writeRecord(file, twoRuns()); err != nil {
		t.Fatal(err)
	}
	got, err := readRecord(file)
	if diff := cmp.Diff(twoRuns(), got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := os.WriteFile(file, []byte("no record"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readRecord(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("what is no record: %v", err)
	}
}

// TestSessions reads what GoBGP's daemon says, also twice.
func TestSessions(t *testing.T) {
	s := &sessions{seen: map[netip.Addr][]sighting{}}
	n1, n2 := netip.MustParseAddr("198.18.0.11"), netip.MustParseAddr("198.18.0.12")
	line := func(at, msg, topic string, peer netip.Addr) string {
		return `{"time":"2026-11-30T18:00:` + at + `Z","level":"WARN","msg":"` + msg + `","Topic":"` + topic + `","Peer":"` + peer.String() + `"}` + "\n"
	}
	s.read(strings.NewReader(line("00", "Expired", "bfd", n1) + // never was up
		line("01", "Set state to INIT", "bfd", n1) +
		line("02", "Set state to UP", "bfd", n1) +
		line("02.5", "Set state to UP", "bfd", n1) +
		line("03", "Expired", "Peer", n1) +
		line("04.25", "Expired", "bfd", n1) +
		line("04.26", "Remote peer signaled BFD down", "bfd", n1) +
		line("05", "Set state to UP", "bfd", n2) +
		line("06", "Remote peer signaled BFD down", "bfd", n2) +
		"no JSON\n"))
	at := func(d time.Duration) time.Time { return time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC).Add(d) }
	for peer, want := range map[netip.Addr][]sighting{
		n1: {{at: at(2 * time.Second), home: true}, {at: at(4250 * time.Millisecond)}},
		n2: {{at: at(5 * time.Second), home: true}, {at: at(6 * time.Second)}},
	} {
		if diff := cmp.Diff(want, s.of(peer), cmp.AllowUnexported(sighting{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", peer, diff)
		}
	}
	if err := s.up(n1); err == nil || !strings.Contains(err.Error(), "no JSON") {
		t.Errorf("it has ended: %v", err)
	}
}
