package arpd

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// State is everything that a Responder knows, at one moment.
type State struct {
	Interfaces []Interface           // all of the node, sorted by name
	Conflicts  []Conflict            // sorted by address
	Heard      map[netip.Addr]string // see Responder.Heard; read-only, the next State may have the same
	Problems   []string              // in words
	Findings   []Finding             // by which this node's kernel interferes with VIPs, sorted
	Stop       Stop                  // the last time in which the process did not run
	Trials     map[netip.Addr]Trial  // of Probe, and addresses at which strangers were seen
	Answers    map[Question]Answer   // to the questions of Meet
	Speakers   map[string]Speaker    // of this cluster that said that they are there, by MAC; for some minutes
}

// State is a snapshot of what the responder knows.
func (r *Responder) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return State{
		Interfaces: r.interfaces(), Conflicts: r.conflicts(),
		Heard: r.heardNow(time.Now()), Problems: slices.Clone(r.problems), Findings: slices.Clone(r.findings),
		Stop: r.stop, Trials: r.trials(), Answers: r.inquiries.list(), Speakers: r.speakersNow(),
	}
}

// Interfaces are all interfaces of the node, sorted by name.
func (r *Responder) Interfaces() []Interface {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interfaces()
}

// interfaces is a copy of the list. The caller holds mu.
func (r *Responder) interfaces() []Interface {
	out := slices.Clone(r.list)
	for i := range out {
		out[i].Prefixes = slices.Clone(out[i].Prefixes)
	}
	return out
}

// Conflicts are the claims of others on own addresses of the last minutes,
// sorted by address: of strangers, and of members that do not give way.
func (r *Responder) Conflicts() []Conflict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conflicts()
}

// conflicts is what Conflicts tells. The caller holds mu.
func (r *Responder) conflicts() []Conflict {
	out := append(r.disputes.list(), r.quarrels.list()...)
	slices.SortStableFunc(out, func(a, b Conflict) int { return a.IP.Compare(b.IP) })
	return out
}

// Heard tells for addresses of Assign which foreign MAC was the last to
// announce or answer for them. For a watched address that is what was heard
// since it is watched or in the last second before, so that a successor is not
// missed that was faster than the news of it; for one that is this node's alone,
// what was heard in the last second.
func (r *Responder) Heard() map[netip.Addr]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.heardNow(time.Now()))
}

// heardNow is what Heard tells. Of 10,000 addresses most are watched, and each
// turn of the loop asks: so it is made of what it was the last time, and only when
// that has changed. The caller holds mu.
func (r *Responder) heardNow(now time.Time) map[netip.Addr]string {
	h := &r.hearsay
	if !h.news && (h.until.IsZero() || now.Before(h.until)) {
		return h.macs
	}
	fading := make(map[netip.Addr]struct{})
	h.macs, h.news, h.until = maps.Clone(h.macs), false, time.Time{}
	for ip := range h.again {
		s, known := r.heard[ip]
		ours := r.roles[ip].ours()
		if !known || ours && !s.fresh(now) {
			delete(h.macs, ip)
			continue
		}
		if ours {
			fading[ip] = struct{}{}
			h.until = sooner(h.until, s.at.Add(sightingFresh+1))
		}
		h.macs[ip] = h.text(s.mac)
	}
	h.again = fading
	return h.macs
}

// hearsay is what was heard in the form of State.
type hearsay struct {
	macs  map[netip.Addr]string   // never changed once it was given away
	again map[netip.Addr]struct{} // what of it must be looked at anew
	news  bool                    // at once
	until time.Time               // or when something of it is too old; zero: never
	texts map[hw]string           // each MAC once: of 10,000 addresses most have the same few
}

// text is a MAC in words. Those that are forged are not kept for ever.
func (h *hearsay) text(mac hw) string {
	if h.texts == nil || len(h.texts) > speakersMost {
		h.texts = make(map[hw]string)
	}
	text, known := h.texts[mac]
	if !known {
		text = mac.String()
		h.texts[mac] = text
	}
	return text
}

// note says that something has changed for an address.
func (h *hearsay) note(ip netip.Addr) { h.again[ip], h.news = struct{}{}, true }

// Problems says in words what keeps this node from answering; none when all is
// well.
func (r *Responder) Problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}

// sightingFresh is how much faster than the mesh a successor may be on the wire.
const sightingFresh = time.Second

// sighting is the last claim of another station on an address.
type sighting struct {
	mac hw
	at  time.Time
}

func (s sighting) fresh(now time.Time) bool { return now.Sub(s.at) <= sightingFresh }

// past reports whether the sighting tells nothing any more once the role of its
// address changes: the address is no longer of interest, or was gained, or is
// watched from now on and the sighting is old.
func (s sighting) past(was, is role, now time.Time) bool {
	gained, watched := is.ours() && !was.ours(), is&^was&watch != 0
	return is&(own|watch) == 0 || gained || watched && !s.fresh(now)
}
