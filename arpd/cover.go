package arpd

import (
	"cmp"
	"slices"
)

// maxSpans is how many ranges of addresses a filter distinguishes. It keeps the
// filter at some 270 instructions of the kernel's 4096, and its jumps within the
// 255 instructions that a classic BPF jump can reach.
const maxSpans = 64

// span is a range of addresses, both ends included. IPv6 addresses stand for
// their last 32 bits.
type span struct{ lo, hi uint32 }

// coverShare is which part of the keys may come or go before a cover is made
// anew from all of them: one in so many.
const coverShare = 8

// cover is the ranges by which a filter knows a set of keys. It is kept up in
// passing: keys that come widen it, keys that go leave it as it is, and when one
// in coverShare has come or gone it is made as tight as it can be. It never leaves
// out a key; that it may hold others costs a lookup for each of their frames.
type cover struct {
	spans []span // sorted, never changed in place
	keys  int
	edits int // since it was tight
}

// edit is what comes to a cover and how many keys go.
type edit struct {
	added []uint32
	gone  int
}

// note takes the change of a key that belongs to the cover if its role is not 0.
func (e *edit) note(key uint32, was, is role) {
	switch {
	case was == 0 && is != 0:
		e.added = append(e.added, key)
	case was != 0 && is == 0:
		e.gone++
	}
}

// after is the cover after an edit; all are the keys then.
func (c cover) after(e edit, all func() []uint32) cover {
	c.keys += len(e.added) - e.gone
	c.edits += len(e.added) + e.gone
	if c.edits*coverShare > c.keys {
		return cover{spans: spans(all(), maxSpans), keys: c.keys}
	}
	for _, key := range e.added {
		c.spans = widen(c.spans, key, maxSpans)
	}
	return c
}

// spans covers keys with at most limit ranges, as tight as possible: it leaves
// out the widest gaps. The filter may so let a stranger pass, which costs a
// lookup, but never holds back a frame about one of the keys.
func spans(keys []uint32, limit int) []span {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if len(keys) == 0 {
		return nil
	}
	// cuts are the indexes before which a new range begins.
	var cuts []int
	for i := 1; i < len(keys); i++ {
		if keys[i]-keys[i-1] > 1 {
			cuts = append(cuts, i)
		}
	}
	if len(cuts) > limit-1 {
		slices.SortStableFunc(cuts, func(a, b int) int {
			return cmp.Compare(keys[b]-keys[b-1], keys[a]-keys[a-1])
		})
		cuts = cuts[:limit-1]
		slices.Sort(cuts)
	}
	var out []span
	start := 0
	for _, cut := range append(cuts, len(keys)) {
		out = append(out, span{keys[start], keys[cut-1]})
		start = cut
	}
	return out
}

// widen covers one key more with at most limit ranges, and joins those with the
// narrowest gap where that makes too many.
func widen(in []span, key uint32, limit int) []span {
	at, _ := slices.BinarySearchFunc(in, key, func(s span, key uint32) int { return cmp.Compare(s.hi, key) })
	if at < len(in) && in[at].lo <= key {
		return in
	}
	out := slices.Insert(slices.Clone(in), at, span{key, key})
	for {
		i, gap := narrowest(out)
		if gap != 1 && len(out) <= limit {
			return out
		}
		out[i-1].hi = out[i].hi
		out = slices.Delete(out, i, i+1)
	}
}

// narrowest is the range that lies closest behind the one before it, and how
// close; 0: there is but one range.
func narrowest(in []span) (at int, gap uint32) {
	for i := 1; i < len(in); i++ {
		if g := in[i].lo - in[i-1].hi; gap == 0 || g < gap {
			at, gap = i, g
		}
	}
	return at, gap
}
