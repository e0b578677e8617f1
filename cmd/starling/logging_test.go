package main

import (
	"bytes"
	"errors"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// A line for people reads from left to right: when, how bad, who tells it, what, to what, why.
func TestConsole(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, zerolog.InfoLevel, true, &journal{})
	log.Info().Str("version", "v1").Msg("starting")
	room := log.With().Str("room", "speaker").Logger()
	room.Info().Str("reason", "member-lost").Str("from", "n2").Str("vip", "198.18.64.1").Msg("announcing")
	room.Warn().Err(errors.New("no route")).Str("service", "a/b").Msg("cannot write a lease; deciding again")
	room.Debug().Msg("detail")
	want := `TIME INF starling: starting version=v1
TIME INF speaker: announcing vip=198.18.64.1 from=n2 reason=member-lost
TIME WRN speaker: cannot write a lease; deciding again service=a/b error="no route"
`
	got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3}`).ReplaceAllString(out.String(), "TIME")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
