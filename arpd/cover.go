package arpd

import "github.com/starling-lb/starling/arpd/packet"

// coverShare is which part of the keys may come or go before a cover is made
// anew from all of them: one in so many.
const coverShare = 8

// cover is the ranges by which a filter knows a set of keys. It is kept up in
// passing: keys that come widen it, keys that go leave it as it is, and when one
// in coverShare has come or gone it is made as tight as it can be. It never leaves
// out a key; that it may hold others costs a lookup for each of their frames.
type cover struct {
	spans []packet.Span // sorted, never changed in place
	keys  int
	edits int // since it was tight
}

// edit is what comes to a cover and how many keys go.
type edit struct {
	added []uint32
	gone  int
}

// note takes the change of a key: whether it belonged to the cover, and whether it does.
func (e *edit) note(key uint32, was, is bool) {
	switch {
	case !was && is:
		e.added = append(e.added, key)
	case was && !is:
		e.gone++
	}
}

// after is the cover after an edit; all are the keys then.
func (c cover) after(e edit, all func() []uint32) cover {
	c.keys += len(e.added) - e.gone
	c.edits += len(e.added) + e.gone
	if c.edits*coverShare > c.keys {
		return cover{spans: packet.Spans(all(), packet.MaxSpans), keys: c.keys}
	}
	for _, key := range e.added {
		c.spans = packet.Widen(c.spans, key, packet.MaxSpans)
	}
	return c
}
