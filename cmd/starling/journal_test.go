package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// messages are those of lines of a log.
func messages(t *testing.T, lines []json.RawMessage) (out []string) {
	t.Helper()
	for _, line := range lines {
		var l struct{ Message, Level, Time string }
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if l.Time == "" {
			t.Errorf("no time in %s", line)
		}
		out = append(out, l.Level+" "+l.Message)
	}
	return out
}

func TestJournal(t *testing.T) {
	for _, console := range []bool{false, true} {
		var out bytes.Buffer
		j := &journal{}
		log := newLogger(&out, zerolog.DebugLevel, console, j)
		log.Debug().Msg("detail")
		log.Info().Msg("announcing")
		log.Warn().Msg("address conflict")
		if diff := cmp.Diff([]string{"info announcing", "warn address conflict"}, messages(t, j.list())); diff != "" {
			t.Errorf("console %v, remembered (-want +got):\n%s", console, diff)
		}
		if n := strings.Count(out.String(), "\n"); n != 3 {
			t.Errorf("console %v: %d lines were logged, want 3:\n%s", console, n, &out)
		}
	}
}

func TestJournalKeepsTheLast(t *testing.T) {
	j := &journal{}
	log := newLogger(&bytes.Buffer{}, zerolog.InfoLevel, false, j)
	var want []string
	for i := range journalSize + 7 {
		log.Info().Msg(fmt.Sprint(i))
		if i >= 7 {
			want = append(want, fmt.Sprint("info ", i))
		}
	}
	if diff := cmp.Diff(want, messages(t, j.list())); diff != "" {
		t.Errorf("remembered (-want +got):\n%s", diff)
	}
}
