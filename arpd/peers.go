package arpd

import (
	"context"
	"maps"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/probe"
)

// Peers is what the caller knows of the other nodes of the cluster, always as a whole.
type Peers struct {
	// MACs are the MACs of the other nodes of this cluster, written as by net.HardwareAddr, with
	// the names of the nodes. Who claims an address with one of them is a member that sees things
	// differently, and no stranger.
	MACs map[string]string
	// Gone are the members that are not there, and since when.
	Gone map[string]time.Time
	// Draining says that this node is leaving.
	Draining bool
	// Speakers are the MACs at which a speaker of this cluster replied that is no node known.
	Speakers []string
	// Answer is what this node answers when it is asked whether a speaker is
	// there: 1 to 7, with a meaning that the callers agree on; 0: nothing,
	// as if there was none.
	Answer uint8
	// Heals counts how often nodes that were dead came back. What they announced
	// meanwhile is in the caches of neighbors, so everything is announced again
	// when it changes.
	Heals int
}

// Conflict is another station that claims an address of this node.
type Conflict = claims.Conflict

// SetPeers makes c what is known of the other nodes.
func (r *Responder) SetPeers(c Peers) {
	now := time.Now()
	names := make(map[claims.MAC]string, len(c.MACs))
	for text, name := range c.MACs {
		if mac, ok := parseHW(text); ok {
			names[claims.MAC(mac)] = name
		}
	}
	speakers := parseAll(c.Speakers)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.others.Step(claims.Members{Names: names, Gone: c.Gone, Draining: c.Draining, Speakers: speakers, Heals: c.Heals}, now)
	r.act(now)
	r.setMACs(names)
	if r.answer != c.Answer&wordMask {
		r.answer = c.Answer & wordMask
		r.patch(nil)
	}
}

// setMACs takes the MACs of the other nodes. The caller holds mu.
func (r *Responder) setMACs(names map[claims.MAC]string) {
	if maps.Equal(r.deputy.peers, names) {
		return
	}
	r.deputy.peers = names
	maps.DeleteFunc(r.deputy.heardOn, func(mac claims.MAC, _ int) bool { return names[mac] == "" })
	r.restand()
}

// place notes by which interface a member is heard. The caller holds mu.
func (r *Responder) place(c claim) {
	mac := claims.MAC(c.mac)
	if r.deputy.peers[mac] == "" || r.deputy.heardOn[mac] == c.on {
		return
	}
	r.deputy.heardOn[mac] = c.on
	r.restand()
}

// parseAll is the set of MACs, without what is none.
func parseAll(texts []string) map[claims.MAC]struct{} {
	r := make(map[claims.MAC]struct{}, len(texts))
	for _, text := range texts {
		if mac, ok := parseHW(text); ok {
			r[claims.MAC(mac)] = struct{}{}
		}
	}
	return r
}

// Replies returns what came back for questions since the last call, in order: values of
// probe.Reply, probe.Located and forward.Reply.
func (r *Responder) Replies() []any { return r.inbox.take() }

// Replied has something to read when Replies has. It has one reader.
func (r *Responder) Replied() <-chan struct{} { return r.inbox.ready }

// met hands up that a speaker replied.
func (r *Responder) met(c claim, now time.Time) {
	e := probe.Reply{Question: probe.Question{MAC: c.mac.String()}, Word: c.says, Node: c.node}
	if c.ip.IsUnspecified() {
		r.nameless(c.mac, now)
	} else {
		e.Addrs = []netip.Addr{c.ip}
	}
	r.inbox.put(e)
}

// lookEvery is the least time between two looks into the neighbor table.
const lookEvery = time.Second

// nameless has the addresses of a speaker looked up that gave none, as one without
// IPv4.
func (r *Responder) nameless(mac packet.HW, now time.Time) {
	if !r.looks.AllowN(now, 1) {
		return
	}
	select {
	case r.lookup <- mac:
	default:
	}
}

// look finds the addresses of speakers in the neighbor table of the kernel. The
// mesh tries to join every node forever, so those of nodes are there.
func (r *Responder) look(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case mac := <-r.lookup:
			addrs, err := r.sys.Neighbors(mac)
			if err != nil {
				r.sampled.look.Warn().Err(err).Stringer("mac", mac).Msg("cannot probe for speakers")
			}
			if len(addrs) > 0 {
				r.inbox.put(probe.Located{MAC: mac.String(), Addrs: addrs})
			}
		}
	}
}
