package mesh

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
)

// States that are not gossip's, see [Believed].
const (
	OnWire = State(peers.Wire)   // gossip does not reach the member, and the wire does
	Absent = State(peers.Absent) // its speaker is away, and its host is there
)

// Up reports whether the speaker of the member is there: by gossip or on the wire.
func (m Member) Up() bool { return peers.State(m.State).Up() }

// Owns reports whether the member may own addresses: its speaker is there, or away for a while.
func (m Member) Owns() bool { return peers.State(m.State).Owns() }

// How long a node has been without the API server, as its metadata say it. Only three values are
// used, see [peers.Contact]; others are of earlier releases.
const (
	unsureAge = 30 * time.Second
	outAge    = 60 * time.Second
)

// AgeOf is how metadata say a contact with the API server.
func AgeOf(c peers.Contact) time.Duration {
	return map[peers.Contact]time.Duration{peers.Unsure: unsureAge, peers.OutOfTouch: outAge}[c]
}

// OutOfTouch reports whether the node has lost the API server.
func (m Meta) OutOfTouch() bool { return m.APIAge >= outAge }

// Word is what a node says of itself by its metadata, in the words of package peers.
func (m Meta) Word() peers.Word {
	w := peers.Word{Ready: m.Ready, Draining: m.Draining, Returning: m.Returning, NoProxy: m.NoProxy, Away: m.Away, Recent: m.Recent}
	switch {
	case m.OutOfTouch():
		w.Contact = peers.OutOfTouch
	case m.APIAge >= unsureAge:
		w.Contact = peers.Unsure
	}
	return w
}

// with puts a word into metadata.
func (m Meta) with(w peers.Word) Meta {
	m.Ready, m.Draining, m.Returning, m.NoProxy, m.Away = w.Ready, w.Draining, w.Returning, w.NoProxy, w.Away
	m.Drops = m.Drops && w.NoProxy
	if !w.NoProxy { // who has none does not say how it is in touch
		m.APIAge = AgeOf(w.Contact)
	}
	return m
}

// ShortName is the name of a node or pool in metadata, where there is little room: the 32 bits of
// its FNV-1a hash.
func ShortName(name string) uint32 { return probe.Hash(name) }

// Gossip is what gossip says of the members, in the words of package peers.
func Gossip(members []Member) peers.Gossip {
	r, missed := make(peers.Gossip, len(members)), make(map[uint32][]string)
	for i := range members {
		for _, name := range members[i].Meta.Absent {
			if members[i].State == Alive {
				missed[name] = append(missed[name], members[i].Name)
			}
		}
	}
	for i := range members {
		m := &members[i]
		r[i] = peers.Member{
			Name: m.Name, Addr: m.Addr, State: peers.State(m.State), Since: m.Since, Open: m.Listens, Word: m.Meta.Word(),
			Networks: m.Meta.Segments, MACs: m.Meta.MACs,
			Grace: m.Meta.Grace, Deputy: m.Meta.Deputy, MissedBy: missed[ShortName(m.Name)], Recalled: m.Recalled,
		}
	}
	return r
}

// Believed joins the members of gossip, sorted by name, with what is believed of them. A peer that
// gossip never met is on the networks of this node.
func Believed(members []Member, s peers.Snapshot, own []netip.Prefix) []Member {
	out := slices.Clone(members)
	for _, q := range s.Peers {
		i, met := slices.BinarySearchFunc(out, q.Name, func(m Member, n string) int { return strings.Compare(m.Name, n) })
		if !met {
			out = slices.Insert(out, i, Member{Name: q.Name, Meta: Meta{Segments: own, MACs: q.MACs}})
		}
		m := &out[i]
		m.State, m.Since = State(q.State), q.Since
		if q.State == peers.Wire || q.State == peers.Absent {
			m.Meta = m.Meta.with(q.Word)
		}
	}
	return out
}
