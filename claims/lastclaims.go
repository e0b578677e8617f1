package claims

import (
	"maps"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/wake"
)

// maxTexts bounds the MACs whose text is kept: those that are forged are not kept without end.
const maxTexts = 1024

// lastClaims is what Heard returns. Of 10,000 addresses most are watched, and each turn of the
// caller asks: so it is made of what it was the last time, and only when that has changed.
type lastClaims struct {
	macs  map[netip.Addr]string   // never changed once it was given away
	again map[netip.Addr]struct{} // what of it must be looked at anew
	news  bool                    // at once
	until time.Time               // or when something of it is too old; zero: never
	texts map[MAC]string          // each MAC once: of 10,000 addresses most have the same few
}

func newLastClaims() lastClaims {
	return lastClaims{macs: make(map[netip.Addr]string), again: make(map[netip.Addr]struct{}), texts: make(map[MAC]string)}
}

// note says that something has changed for an address.
func (h *lastClaims) note(ip netip.Addr) { h.again[ip], h.news = struct{}{}, true }

// heardOf notes that somebody claimed an address, and whether that is news.
func (m *Machine) heardOf(ip netip.Addr, news bool) {
	if news || m.Role(ip) == Owner { // whose claims fade
		m.heard.note(ip)
	}
	m.ready.Changed = m.ready.Changed || news
}

// text is a MAC in words.
func (h *lastClaims) text(mac MAC) string {
	if len(h.texts) > maxTexts {
		clear(h.texts)
	}
	text, known := h.texts[mac]
	if !known {
		text = mac.String()
		h.texts[mac] = text
	}
	return text
}

// Heard returns which foreign MAC was the last to claim an address. For one that another node has,
// or is to have, that is what was heard since then or within Fresh before, so that a successor is
// not missed that was faster than the news of it; for one that is this node's alone, what was heard
// within Fresh. The map is never changed.
func (m *Machine) Heard(now time.Time) map[netip.Addr]string {
	h := &m.heard
	if !h.news && (h.until.IsZero() || now.Before(h.until)) {
		return h.macs
	}
	fading := make(map[netip.Addr]struct{})
	h.macs, h.news, h.until = maps.Clone(h.macs), false, time.Time{}
	for ip := range h.again {
		r, known := m.last(ip)
		ours := m.Role(ip) == Owner
		if !known || ours && !r.fresh(m.Timing.Fresh, now) {
			delete(h.macs, ip)
			continue
		}
		if ours {
			fading[ip] = struct{}{}
			h.until = wake.Earlier(h.until, r.heard.Add(m.Timing.Fresh+1))
		}
		h.macs[ip] = h.text(r.mac)
	}
	h.again = fading
	return h.macs
}
