package packet

import (
	"cmp"
	"slices"
)

// MaxSpans is how many ranges of addresses a filter distinguishes. It keeps the
// filter at some 270 instructions of the kernel's 4096, and its jumps within the
// 255 instructions that a classic BPF jump can reach.
const MaxSpans = 64

// Span is a range of addresses, both ends included. IPv6 addresses stand for
// their last 32 bits.
type Span struct{ Lo, Hi uint32 }

// Spans covers keys with at most limit ranges, as tight as possible: it leaves
// out the widest gaps. The filter may so let a stranger pass, which costs a
// lookup, but never holds back a frame about one of the keys.
func Spans(keys []uint32, limit int) []Span {
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
	var out []Span
	start := 0
	for _, cut := range append(cuts, len(keys)) {
		out = append(out, Span{keys[start], keys[cut-1]})
		start = cut
	}
	return out
}

// Widen covers one key more with at most limit ranges, and joins those with the
// narrowest gap where that makes too many.
func Widen(in []Span, key uint32, limit int) []Span {
	at, _ := slices.BinarySearchFunc(in, key, func(s Span, key uint32) int { return cmp.Compare(s.Hi, key) })
	if at < len(in) && in[at].Lo <= key {
		return in
	}
	out := slices.Insert(slices.Clone(in), at, Span{key, key})
	for {
		i, gap := narrowest(out)
		if gap != 1 && len(out) <= limit {
			return out
		}
		out[i-1].Hi = out[i].Hi
		out = slices.Delete(out, i, i+1)
	}
}

// narrowest is the range that lies closest behind the one before it, and how
// close; 0: there is but one range.
func narrowest(in []Span) (at int, gap uint32) {
	for i := 1; i < len(in); i++ {
		if g := in[i].Lo - in[i-1].Hi; gap == 0 || g < gap {
			at, gap = i, g
		}
	}
	return at, gap
}
