package arpd

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Company is what the caller knows of the other nodes of the cluster and wants
// to know of them, always as a whole.
type Company struct {
	// Peers are the MACs of the nodes of this cluster. Who claims an address
	// with one of them is a member that sees things differently, and no
	// stranger. MACs are written as by net.HardwareAddr.
	Peers []string
	// Ask are the questions to keep asking; the answers are in State.
	Ask []Question
	// Say is what this node answers when it is asked whether a speaker is
	// there: 1 to 7, with a meaning that the callers agree on; 0: nothing,
	// as if there was none.
	Say uint8
	// Pace lies between two questions to the kernel of a host that answers.
	Pace time.Duration
	// Heals counts how often nodes that were dead came back. What they announced
	// meanwhile is in the caches of neighbours, so everything is announced again
	// when it changes.
	Heals int
}

// Question asks one station. With an address it asks whether the station
// answers for it; without, whether a speaker of this cluster is there. The
// latter may be asked of all stations at once: MAC Everybody.
//
// With Host it is the question that any neighbour asks, for an address of the
// host's own on a network of this node, and the kernel of the host answers it,
// whatever its processes do.
type Question struct {
	IP   netip.Addr
	MAC  string
	Host bool
}

// Everybody is the MAC of a question to all stations of every network.
const Everybody = "ff:ff:ff:ff:ff:ff"

// Answer is what became of a question.
type Answer struct {
	Asked time.Time // when it was asked first
	Last  time.Time // when it was answered last; zero: never
	// Silent: so many questions in a row were not answered that nobody is
	// there. False while that is not certain.
	Silent bool
}

// Speaker is a station at which a speaker of this cluster said that it is there.
type Speaker struct {
	Addrs []netip.Addr // of the interface: the IPv4 address that it gave, or those that the kernel knows at its MAC
	Say   uint8        // see Company
	Last  time.Time
}

const (
	// speakerMemory is how long a speaker that was heard is remembered.
	speakerMemory = 5 * time.Minute
	// speakersMost bounds the memory: answers can be forged.
	speakersMost = 1024
)

// Meet makes c what is known of the other nodes and asked of them.
func (r *Responder) Meet(c Company) {
	now := time.Now()
	peers := make(map[hw]struct{}, len(c.Peers))
	for _, text := range c.Peers {
		if mac, ok := parseHW(text); ok {
			peers[mac] = struct{}{}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peers = peers
	if r.disputes.settle(peers) {
		poke(r.changed)
	}
	if r.say != c.Say&wordMask {
		r.say = c.Say & wordMask
		r.patch(nil)
	}
	if r.heals != c.Heals {
		r.heals = c.Heals
		r.schedule.restart(now)
		poke(r.due)
	}
	if r.inquiries.set(c, now) {
		poke(r.asked)
	}
}

// parseHW reads a MAC.
func parseHW(text string) (hw, bool) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != len(hw{}) {
		return hw{}, false
	}
	return hw(mac), true
}

// met notes that a speaker said that it is there. The caller holds mu.
func (r *Responder) met(c claim, now time.Time) {
	was, known := r.speakers[c.mac]
	if !known && len(r.speakers) >= speakersMost {
		return
	}
	is := Speaker{Addrs: was.Addrs, Say: c.says, Last: now}
	switch {
	case !c.ip.IsUnspecified():
		is.Addrs = []netip.Addr{c.ip}
	case len(is.Addrs) == 0:
		r.nameless(c.mac, now)
	}
	r.speakers[c.mac] = is
	if r.answered(Question{MAC: c.mac.String()}, now) || !known || was.Say != is.Say || !slices.Equal(was.Addrs, is.Addrs) {
		poke(r.changed)
	}
}

// known reports whether a speaker of this cluster is at mac. The caller holds mu.
func (r *Responder) known(mac hw) bool {
	_, known := r.speakers[mac]
	return known
}

// lookEvery is the least time between two looks into the neighbour table.
const lookEvery = time.Second

// nameless has the addresses of a speaker looked up that gave none, as one without
// IPv4. The caller holds mu.
func (r *Responder) nameless(mac hw, now time.Time) {
	if now.Sub(r.looked) < lookEvery {
		return
	}
	r.looked = now
	select {
	case r.lookup <- mac:
	default:
	}
}

// look finds the addresses of speakers in the neighbour table of the kernel. The
// mesh tries to join every node for ever, so those of nodes are there.
func (r *Responder) look(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case mac := <-r.lookup:
			addrs, err := r.sys.Neighbours(mac)
			if err != nil {
				r.noise.look.Warn().Err(err).Stringer("mac", mac).Msg("cannot look up a speaker")
			}
			r.mu.Lock()
			if s, known := r.speakers[mac]; known && len(s.Addrs) == 0 && len(addrs) > 0 {
				s.Addrs = addrs
				r.speakers[mac] = s
				poke(r.changed)
			}
			r.mu.Unlock()
		}
	}
}

// answered notes an answer to a question, and reports whether it changes what is
// believed. The caller holds mu.
func (r *Responder) answered(q Question, now time.Time) bool {
	changed := r.inquiries.heard(q, now)
	if changed {
		poke(r.asked) // the next question may be due sooner
	}
	return changed
}

// forgetSpeakers drops those that were not heard for long. The caller holds mu.
func (r *Responder) forgetSpeakers(now time.Time) {
	for mac, s := range r.speakers {
		if now.Sub(s.Last) > speakerMemory {
			delete(r.speakers, mac)
		}
	}
}

// speakersNow is the memory for others to read. The caller holds mu.
func (r *Responder) speakersNow() map[string]Speaker {
	out := make(map[string]Speaker, len(r.speakers))
	for mac, s := range r.speakers {
		out[mac.String()] = s // Addrs are never written to
	}
	return out
}
