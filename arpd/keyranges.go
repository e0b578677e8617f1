package arpd

import "github.com/starling-lb/starling/arpd/packet"

// rebuildShare is which part of the keys may come or go before the ranges are made
// anew from all of them: one in so many.
const rebuildShare = 8

// keyRanges is the ranges by which a filter knows a set of keys. It is kept up in
// passing: keys that come widen it, keys that go leave it as it is, and when one
// in rebuildShare has come or gone it is made as tight as it can be. It never leaves
// out a key; that it may hold others costs a lookup for each of their frames.
type keyRanges struct {
	spans []packet.Span // sorted, never changed in place
	keys  int
	edits int // since it was tight
}

// edit is what comes to the ranges and how many keys go.
type edit struct {
	added []uint32
	gone  int
}

// note takes the change of a key: whether it belonged to the ranges, and whether it does.
func (e *edit) note(key uint32, was, is bool) {
	switch {
	case !was && is:
		e.added = append(e.added, key)
	case was && !is:
		e.gone++
	}
}

// after is the ranges after an edit; all are the keys then.
func (c keyRanges) after(e edit, all func() []uint32) keyRanges {
	c.keys += len(e.added) - e.gone
	c.edits += len(e.added) + e.gone
	if c.edits*rebuildShare > c.keys {
		return keyRanges{spans: packet.Spans(all(), packet.MaxSpans), keys: c.keys}
	}
	for _, key := range e.added {
		c.spans = packet.Widen(c.spans, key, packet.MaxSpans)
	}
	return c
}
