package packet_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/starling-lb/starling/arpd/packet"
)

func TestSpans(t *testing.T) {
	for name, tc := range map[string]struct {
		keys  []uint32
		limit int
		want  []packet.Span
	}{
		"none":                  {nil, 4, nil},
		"one":                   {[]uint32{7}, 4, []packet.Span{{7, 7}}},
		"a run is one":          {[]uint32{7, 9, 8}, 4, []packet.Span{{7, 9}}},
		"each its own":          {[]uint32{1, 3, 5}, 4, []packet.Span{{1, 1}, {3, 3}, {5, 5}}},
		"twice the same":        {[]uint32{5, 5, 1, 1}, 4, []packet.Span{{1, 1}, {5, 5}}},
		"the widest gap is out": {[]uint32{1, 3, 100, 103}, 2, []packet.Span{{1, 3}, {100, 103}}},
		"only one range":        {[]uint32{1, 50, 100}, 1, []packet.Span{{1, 100}}},
		"both ends":             {[]uint32{0, 0xffffffff}, 2, []packet.Span{{0, 0}, {0xffffffff, 0xffffffff}}},
		"between both ends":     {[]uint32{0, 0xffffffff}, 1, []packet.Span{{0, 0xffffffff}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, packet.Spans(tc.keys, tc.limit), compare); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSpansHold checks for any keys that they are covered, that ranges are
// sorted, apart, within the limit, and begin and end with a key.
func TestSpansHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(1000, 1100))).Draw(t, "keys")
		limit := rapid.IntRange(1, 8).Draw(t, "limit")
		before := slices.Clone(keys)
		got := packet.Spans(keys, limit)
		if !slices.Equal(before, keys) {
			t.Fatal("the keys were changed")
		}
		if len(got) > limit || (len(got) == 0) != (len(keys) == 0) {
			t.Fatalf("%d spans for %d keys, limit %d", len(got), len(keys), limit)
		}
		for i, s := range got {
			if s.Lo > s.Hi || i > 0 && s.Lo <= got[i-1].Hi || !slices.Contains(keys, s.Lo) || !slices.Contains(keys, s.Hi) {
				t.Fatalf("spans %v", got)
			}
		}
		for _, k := range keys {
			if !slices.ContainsFunc(got, func(s packet.Span) bool { return s.Lo <= k && k <= s.Hi }) {
				t.Fatalf("%d is not in %v", k, got)
			}
		}
	})
}

func TestWiden(t *testing.T) {
	for name, tc := range map[string]struct {
		in   []packet.Span
		key  uint32
		want []packet.Span
	}{
		"the first":               {nil, 7, []packet.Span{{7, 7}}},
		"known":                   {[]packet.Span{{5, 9}}, 7, []packet.Span{{5, 9}}},
		"next to one":             {[]packet.Span{{5, 9}}, 10, []packet.Span{{5, 10}}},
		"before one":              {[]packet.Span{{5, 9}}, 4, []packet.Span{{4, 9}}},
		"between two":             {[]packet.Span{{1, 3}, {5, 9}}, 4, []packet.Span{{1, 9}}},
		"apart":                   {[]packet.Span{{5, 9}}, 20, []packet.Span{{5, 9}, {20, 20}}},
		"one too many":            {[]packet.Span{{5, 9}, {20, 20}, {100, 100}}, 11, []packet.Span{{5, 11}, {20, 20}, {100, 100}}},
		"one too many, elsewhere": {[]packet.Span{{5, 9}, {11, 20}, {100, 100}}, 50, []packet.Span{{5, 20}, {50, 50}, {100, 100}}},
		"at the end of all":       {[]packet.Span{{5, 9}}, 0xffffffff, []packet.Span{{5, 9}, {0xffffffff, 0xffffffff}}},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tc.in)
			if diff := cmp.Diff(tc.want, packet.Widen(tc.in, tc.key, 3), compare); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, tc.in) {
				t.Error("the spans before were changed")
			}
		})
	}
}
