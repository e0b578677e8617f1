package mesh

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// These lines are memberlist 0.7's; strangers_test.go holds that it really
// writes the ones that matter.
func TestRecognize(t *testing.T) {
	tests := []struct {
		line string
		want condition
	}{
		{"[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=198.18.0.3:7927", condition{kind: kindKey, who: "198.18.0.3"}},
		{"[ERR] memberlist: Decrypt packet failed: unsupported encryption version 8 from=198.18.0.3:7927", condition{kind: kindKey, who: "198.18.0.3"}},
		{"[ERR] memberlist: failed to receive: no installed keys could decrypt the message from=[2001:db8::3]:41234", condition{kind: kindKey, who: "2001:db8::3"}},
		{"[ERR] memberlist: failed to receive: encryption is configured but remote state is not encrypted from=198.18.0.3:41234", condition{kind: kindKey, who: "198.18.0.3"}},
		{"[ERR] memberlist: failed to receive: remote state is encrypted and encryption is not configured from=[::ffff:198.18.0.3]:4", condition{kind: kindKey, who: "198.18.0.3"}},
		{`[ERR] memberlist: discarding packet with unacceptable label "other": from=198.18.0.3:7927`, condition{kind: kindLabel, who: "198.18.0.3"}},
		{`[ERR] memberlist: discarding stream with unacceptable label "other": from=198.18.0.3:41234`, condition{kind: kindLabel, who: "198.18.0.3"}},
		{`[ERR] memberlist: discarding stream with unacceptable label "": from=198.18.0.3:41234`, condition{kind: kindUnlabeled, who: "198.18.0.3"}},
		{`[ERR] memberlist: discarding packet with unacceptable label "x from=1.1.1.1:1": from=198.18.0.3:7927`, condition{kind: kindLabel, who: "198.18.0.3"}},
		{"[ERR] memberlist: cannot decode label; packet has been truncated from=198.18.0.3:7927", condition{kind: kindMalformed, who: "198.18.0.3"}},
		{"[ERR] memberlist: failed to receive: unexpected EOF from=198.18.0.3:7927", condition{kind: kindMalformed, who: "198.18.0.3"}},
		{"[ERR] memberlist: msg type (99) not supported from=198.18.0.3:7927", condition{kind: kindMalformed, who: "198.18.0.3"}},
		{"[WARN] memberlist: Was able to connect to n2 over TCP but UDP probes failed, network may be misconfigured", condition{kind: kindUDP, who: "n2"}},
		{"[DEBUG] memberlist: failed to join 198.18.0.3:7927: no installed keys could decrypt the message", condition{}},
		{"[ERR] memberlist: Push/Pull with n2 failed: no installed keys could decrypt the message", condition{}},
		{"[DEBUG] memberlist: Stream connection from=198.18.0.3:41234", condition{}},
		{"[ERR] memberlist: Failed to send ack: network is unreachable from=198.18.0.3:7927", condition{}},
		{"[ERR] memberlist: failed to receive: EOF from=<unknown address>", condition{}},
		{"[ERR] memberlist: failed to receive: EOF from=pipe", condition{}},
		{"", condition{}},
	}
	for _, tt := range tests {
		_, text := parseLine(tt.line)
		got, ok := recognize(text)
		if !ok {
			got = condition{}
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(condition{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
}

func TestParseLine(t *testing.T) {
	tests := []struct {
		line  string
		level zerolog.Level
		text  string
	}{
		{"[DEBUG] memberlist: a b\n", zerolog.DebugLevel, "a b"},
		{"[INFO] memberlist: a", zerolog.DebugLevel, "a"},
		{"[WARN] memberlist: a", zerolog.WarnLevel, "a"},
		{"[ERR] memberlist: a", zerolog.ErrorLevel, "a"},
		{"[ERROR] memberlist: a", zerolog.ErrorLevel, "a"},
		{"[ERR] memberlist: Failed fallback TCP ping: dial: i/o timeout", zerolog.DebugLevel, "Failed fallback TCP ping: dial: i/o timeout"},
		{"[ERR] Failed to shutdown transport: x", zerolog.ErrorLevel, "Failed to shutdown transport: x"},
		{"Err: Could not set the deadline: x", zerolog.WarnLevel, "Err: Could not set the deadline: x"},
		{"[", zerolog.WarnLevel, "["},
		{"", zerolog.WarnLevel, ""},
	}
	for _, tt := range tests {
		if level, text := parseLine(tt.line); level != tt.level || text != tt.text {
			t.Errorf("%q: %s %q, want %s %q", tt.line, level, text, tt.level, tt.text)
		}
	}
}

func FuzzRecognize(f *testing.F) {
	f.Add("[ERR] memberlist: discarding packet with unacceptable label \"x\": from=198.18.0.3:7927")
	f.Add("Was able to connect to  over TCP but UDP probes failed")
	f.Add("from=")
	f.Fuzz(func(t *testing.T, line string) {
		_, text := parseLine(line)
		what, ok := recognize(text)
		if ok && what.kind == "" || !ok && what.kind != "" {
			t.Errorf("%q is %+v, %v", line, what, ok)
		}
		if ok && what.kind != kindUDP {
			if _, good := hostOf("[" + what.who + "]:1"); !good {
				t.Errorf("%q comes from %q", line, what.who)
			}
		}
	})
}

func TestLibraryLog(t *testing.T) {
	out := &lines{}
	var seen []condition
	now := time.Unix(1000, 0)
	j := newLogQueue(zerolog.New(out).Level(zerolog.InfoLevel))
	l := newLibraryLog(func(what condition) { seen = append(seen, what) }, j)
	l.now = func() time.Time { return now }
	write := func(format string, args ...any) {
		t.Helper()
		line := fmt.Sprintf(format, args...) + "\n"
		if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	for range 1000 {
		write(`[ERR] memberlist: discarding packet with unacceptable label "x": from=198.18.0.3:7927`)
		write("[DEBUG] memberlist: Stream connection from=198.18.0.3:41234")
		write("[INFO] memberlist: Suspect n2 has failed, no acks received")
	}
	if len(seen) != 1000 || len(j.lines) != 0 {
		t.Fatalf("%d sightings and %d lines, want 1000 and none", len(seen), len(j.lines))
	}
	for i := range 1000 {
		write("[ERR] memberlist: Something else %d", i)
	}
	now = now.Add(6 * time.Second)
	write("[WARN] memberlist: at last")
	j.flush()
	want := `{"level":"error","reason":"Something else 0","message":"memberlist"}` + "\n"
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 11 ||
		!strings.HasSuffix(got, `{"level":"warn","reason":"at last","skipped":990,"message":"memberlist"}`+"\n") {
		t.Errorf("log:\n%s", got)
	}
}

func TestLibraryLogDebug(t *testing.T) {
	out := &lines{}
	j := newLogQueue(zerolog.New(out))
	l := newLibraryLog(func(condition) {}, j)
	for range 20 {
		if _, err := l.Write([]byte("[INFO] memberlist: Suspect n2\n")); err != nil {
			t.Fatal(err)
		}
	}
	j.flush()
	if got := out.count(`{"level":"debug","reason":"Suspect n2","message":"memberlist"}`); got != 20 {
		t.Errorf("%d debug lines, want all 20:\n%s", got, out)
	}
}
