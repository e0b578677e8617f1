package arpd

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSpans(t *testing.T) {
	for name, tc := range map[string]struct {
		keys  []uint32
		limit int
		want  []span
	}{
		"none":                  {nil, 4, nil},
		"one":                   {[]uint32{7}, 4, []span{{7, 7}}},
		"a run is one":          {[]uint32{7, 9, 8}, 4, []span{{7, 9}}},
		"each its own":          {[]uint32{1, 3, 5}, 4, []span{{1, 1}, {3, 3}, {5, 5}}},
		"twice the same":        {[]uint32{5, 5, 1, 1}, 4, []span{{1, 1}, {5, 5}}},
		"the widest gap is out": {[]uint32{1, 3, 100, 103}, 2, []span{{1, 3}, {100, 103}}},
		"only one range":        {[]uint32{1, 50, 100}, 1, []span{{1, 100}}},
		"both ends":             {[]uint32{0, 0xffffffff}, 2, []span{{0, 0}, {0xffffffff, 0xffffffff}}},
		"between both ends":     {[]uint32{0, 0xffffffff}, 1, []span{{0, 0xffffffff}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, spans(tc.keys, tc.limit), compare); diff != "" {
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
		got := spans(keys, limit)
		if !slices.Equal(before, keys) {
			t.Fatal("the keys were changed")
		}
		if len(got) > limit || (len(got) == 0) != (len(keys) == 0) {
			t.Fatalf("%d spans for %d keys, limit %d", len(got), len(keys), limit)
		}
		for i, s := range got {
			if s.lo > s.hi || i > 0 && s.lo <= got[i-1].hi || !slices.Contains(keys, s.lo) || !slices.Contains(keys, s.hi) {
				t.Fatalf("spans %v", got)
			}
		}
		for _, k := range keys {
			if !slices.ContainsFunc(got, func(s span) bool { return s.lo <= k && k <= s.hi }) {
				t.Fatalf("%d is not in %v", k, got)
			}
		}
	})
}

func TestWiden(t *testing.T) {
	for name, tc := range map[string]struct {
		in   []span
		key  uint32
		want []span
	}{
		"the first":               {nil, 7, []span{{7, 7}}},
		"known":                   {[]span{{5, 9}}, 7, []span{{5, 9}}},
		"next to one":             {[]span{{5, 9}}, 10, []span{{5, 10}}},
		"before one":              {[]span{{5, 9}}, 4, []span{{4, 9}}},
		"between two":             {[]span{{1, 3}, {5, 9}}, 4, []span{{1, 9}}},
		"apart":                   {[]span{{5, 9}}, 20, []span{{5, 9}, {20, 20}}},
		"one too many":            {[]span{{5, 9}, {20, 20}, {100, 100}}, 11, []span{{5, 11}, {20, 20}, {100, 100}}},
		"one too many, elsewhere": {[]span{{5, 9}, {11, 20}, {100, 100}}, 50, []span{{5, 20}, {50, 50}, {100, 100}}},
		"at the end of all":       {[]span{{5, 9}}, 0xffffffff, []span{{5, 9}, {0xffffffff, 0xffffffff}}},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tc.in)
			if diff := cmp.Diff(tc.want, widen(tc.in, tc.key, 3), compare); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, tc.in) {
				t.Error("the spans before were changed")
			}
		})
	}
}

// covers checks that a cover is that of some keys.
func covers(t rapid.TB, c cover, keys []uint32) {
	t.Helper()
	if len(c.spans) > maxSpans || c.keys != len(keys) {
		t.Fatalf("%d spans, %d keys, want %d", len(c.spans), c.keys, len(keys))
	}
	for i := 1; i < len(c.spans); i++ {
		if c.spans[i].lo <= c.spans[i-1].hi || c.spans[i].lo-c.spans[i-1].hi < 2 {
			t.Fatalf("spans %v", c.spans)
		}
	}
	for _, k := range keys {
		if !slices.ContainsFunc(c.spans, func(s span) bool { return s.lo <= k && k <= s.hi }) {
			t.Fatalf("%d is not in %v", k, c.spans)
		}
	}
}

// TestCover follows keys that come and go: the cover holds them all, and is made
// tight once so many have.
func TestCover(t *testing.T) {
	keys := []uint32{}
	for i := range uint32(100) {
		keys = append(keys, 1000*i)
	}
	all := func() []uint32 { return keys }
	c := cover{}.after(edit{added: keys}, all)
	covers(t, c, keys)
	if diff := cmp.Diff(spans(keys, maxSpans), c.spans, compare); diff != "" {
		t.Errorf("made at once (-want +got):\n%s", diff)
	}
	was := c.spans
	for gone := 1; gone <= 12; gone++ {
		keys = keys[:len(keys)-1]
		c = c.after(edit{gone: 1}, all)
		covers(t, c, keys)
		want := was
		if gone*coverShare > len(keys) {
			want = spans(keys, maxSpans)
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
