package record

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/lease"
)

func TestClip(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"short", "short"},
		{strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		{strings.Repeat("x", 1025), strings.Repeat("x", 1021) + "..."},
	} {
		if got := clip(tt.in); got != tt.want {
			t.Errorf("%d bytes from %d", len(got), len(tt.in))
		}
	}
}

// TestRecentStaysSmall: what is remembered is bounded however many Services pass through, and costs
// little.
func TestRecentStaysSmall(t *testing.T) {
	for _, tt := range []struct {
		name  string
		every time.Duration
		most  int
	}{
		{"a steady stream", time.Second, 2 * int(Memory/time.Second)},
		{"a flood", time.Millisecond, agingMost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, now := newRecentEvents(), time.Unix(0, 0)
			for i := range 200_000 {
				uid := strconv.Itoa(i)
				r.allow(Event{Key: lease.Key{Namespace: "n" + uid, Name: "s"}, UID: uid}.object(), now)
				r.remember(Event{UID: uid}, sentEvent{name: uid}, now)
				now = now.Add(tt.every)
				if n := len(r.sent.entries); n > max(tt.most, agingLeast) {
					t.Fatalf("%d events remembered, want at most %d", n, tt.most)
				}
				if n := max(len(r.room.entries), len(r.in.entries)); n > max(tt.most, agingLeast) {
					t.Fatalf("%d buckets remembered, want at most %d", n, tt.most)
				}
			}
			if s, known := r.find(Event{UID: "199999"}, now); !known || s.name != "199999" {
				t.Error("the last event is forgotten")
			}
		})
	}
}
