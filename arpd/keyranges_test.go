package arpd

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/starling-lb/starling/arpd/packet"
)

// covers checks that ranges are those of some keys.
func covers(t rapid.TB, c keyRanges, keys []uint32) {
	t.Helper()
	if len(c.spans) > packet.MaxSpans || c.keys != len(keys) {
		t.Fatalf("%d spans, %d keys, want %d", len(c.spans), c.keys, len(keys))
	}
	for i := 1; i < len(c.spans); i++ {
		if c.spans[i].Lo <= c.spans[i-1].Hi || c.spans[i].Lo-c.spans[i-1].Hi < 2 {
			t.Fatalf("spans %v", c.spans)
		}
	}
	for _, k := range keys {
		if !slices.ContainsFunc(c.spans, func(s packet.Span) bool { return s.Lo <= k && k <= s.Hi }) {
			t.Fatalf("%d is not in %v", k, c.spans)
		}
	}
}

// TestKeyRanges follows keys that come and go: the ranges hold them all, and are made
// tight once so many have.
func TestKeyRanges(t *testing.T) {
	keys := []uint32{}
	for i := range uint32(100) {
		keys = append(keys, 1000*i)
	}
	all := func() []uint32 { return keys }
	c := keyRanges{}.after(edit{added: keys}, all)
	covers(t, c, keys)
	if diff := cmp.Diff(packet.Spans(keys, packet.MaxSpans), c.spans, compare); diff != "" {
		t.Errorf("made at once (-want +got):\n%s", diff)
	}
	was := c.spans
	for gone := 1; gone <= 12; gone++ {
		keys = keys[:len(keys)-1]
		c = c.after(edit{gone: 1}, all)
		covers(t, c, keys)
		want := was
		if gone*rebuildShare > len(keys) {
			want = packet.Spans(keys, packet.MaxSpans)
		}
		if diff := cmp.Diff(want, c.spans, compare); diff != "" {
			t.Errorf("after %d keys went (-want +got):\n%s", gone, diff)
		}
	}
	for _, key := range []uint32{500, 1 << 31, 99_000} {
		keys = append(keys, key)
		c = c.after(edit{added: []uint32{key}}, all)
		covers(t, c, keys)
	}
}
