package forward

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/wake"
)

// page is what is known of the port on which kube-proxy of a target says that it is up. It is asked
// for if the target announces addresses, and none that can be asked for.
type page struct {
	next   time.Time // ask again
	id     uint64    // of the question under way
	end    time.Time // of that; zero: there is none
	known  bool      // it was answered once
	missed int       // questions in a row that were not
	wake   time.Time // something is due
}

// bare reports whether a target announces addresses, and none that can be asked for.
func (t *target) bare() bool {
	return t.Holds && (len(t.places) == 0 || t.places[0].Owner != t.Name)
}

// look asks a bare target for the page of its kube-proxy, and says what follows from its silence,
// and from that of everything else.
func (m *Machine) look(t *target, now time.Time) {
	p, times := &t.page, &m.cfg.Timing
	p.wake = time.Time{}
	at := m.pageOf(&t.Node)
	asking := !p.end.IsZero()
	if asking && !now.Before(p.end) {
		asking, p.end, p.missed = false, time.Time{}, p.missed+1
	}
	if !m.world.Proxy { // where all kube-proxies are gone, the first that is back counts no earlier
		p.missed = 0
	}
	if !t.left.IsZero() || t.drops != nil || !t.bare() {
		t.unproved = now
		return
	}
	switch {
	case !t.Absent || t.Only:
		t.unproved = now
	case p.known && p.missed >= times.Misses:
		t.drops, t.say = &Report{About: t.Name, First: true, At: at}, now
		return
	case p.known:
		t.unproved = now
	case !now.Before(t.unproved.Add(times.Unproved)):
		t.drops, t.say = &Report{About: t.Name, First: true}, now
		return
	default:
		p.wake = t.unproved.Add(times.Unproved)
	}
	if !asking && at.IsValid() && !now.Before(p.next) {
		m.last++
		p.id, p.end, p.next = m.last, now.Add(times.Wait), now.Add(times.Page)
		if t.Absent {
			p.next = now.Add(times.Absent)
		}
		for _, mac := range t.MACs {
			m.out.Questions = append(m.out.Questions, Question{ID: p.id, MAC: mac, To: at})
		}
	}
	switch {
	case !p.end.IsZero():
		p.wake = wake.Earlier(p.wake, p.end)
	case at.IsValid():
		p.wake = wake.Earlier(p.wake, p.next)
	}
}

// seen notes the answer to a question for a page, and reports whether it was one.
func (m *Machine) seen(id uint64, now time.Time) bool {
	for _, t := range m.targets {
		if p := &t.page; p.id == id && now.Before(p.end) {
			p.end, p.known, p.missed = time.Time{}, true, 0
			return true
		}
	}
	return false
}

// pageOf is where kube-proxy of a node can be asked, on a network that this node is on as well; not
// valid: nowhere.
func (m *Machine) pageOf(n *Node) netip.AddrPort {
	for _, at := range n.Pages {
		if within(n.Networks, at.Addr()) && within(m.world.Networks, at.Addr()) {
			return at
		}
	}
	return netip.AddrPort{}
}

// back forgets what is found of absent nodes alone as soon as the speaker is back: it asks its
// kube-proxy itself.
func (m *Machine) back(t *target) {
	if t.Absent || t.drops == nil || t.drops.Other != "" {
		return
	}
	t.drops = nil
	m.out.Reports = append(m.out.Reports, Report{About: t.Name, Forwards: true})
}
