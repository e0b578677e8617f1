package arpd

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A card that refuses all frames is told of a few times a minute, however many addresses there are.
func TestSendErrorsAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		sys := newFake(t)
		r, err := newResponder(Config{Log: zerolog.New(&out)}, sys)
		if err != nil {
			t.Fatal(err)
		}
		fail := func() {
			for i := range 1000 {
				r.sampled.send.Error().Err(errors.New("no buffer space")).Stringer("vip", netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})).Msg("cannot announce")
			}
		}
		lines := func() int { return strings.Count(out.String(), "cannot announce") }
		fail()
		if got := lines(); got != sampleBurst {
			t.Errorf("%d lines of 1000 errors, want %d", got, sampleBurst)
		}
		r.sampled.look.Warn().Msg("cannot probe for speakers")
		if !strings.Contains(out.String(), "cannot probe for speakers") {
			t.Error("one kind of noise hides another")
		}
		time.Sleep(samplePeriod + time.Second)
		fail()
		if got := lines(); got != 2*sampleBurst {
			t.Errorf("%d lines after a minute, want %d", got, 2*sampleBurst)
		}
	})
}
