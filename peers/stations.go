package peers

import (
	"slices"
	"time"

	"github.com/starling-lb/starling/probe"
)

// Stations are what replies on the wire, known by their MACs.

const (
	// stationMemory is how long a station is remembered after its last reply.
	stationMemory = 5 * time.Minute
	// maxStations bounds the memory: replies can be forged.
	maxStations = 1024
)

// reply notes a reply of a station.
func (p *Peers) reply(r probe.Reply, now time.Time) {
	p.dirty = p.own.Heard(r.Question, now) || p.dirty
	p.dirty = p.close.Heard(r.Question, now) || p.dirty
	p.out.Changed = p.asked.Heard(r.Question, now) || p.out.Changed
	if r.Kind() != probe.Speaker {
		return
	}
	was, known := p.stations[r.MAC]
	if !known && len(p.stations) >= maxStations {
		return
	}
	is := Station{Addrs: was.Addrs, Node: r.Node, Code: r.Word, Last: now}
	if len(r.Addrs) > 0 {
		is.Addrs = r.Addrs
	}
	p.stations[r.MAC] = is
	p.dirty = p.dirty || !known || was.Code != is.Code || was.Node != is.Node || !slices.Equal(was.Addrs, is.Addrs)
}

// forgetStations drops those that have not replied for long.
func (p *Peers) forgetStations(now time.Time) {
	for mac, s := range p.stations {
		if now.Sub(s.Last) > stationMemory {
			delete(p.stations, mac)
		}
	}
}

// LastReply is when a node's speaker last replied on the wire; zero: never.
func (p *Peers) LastReply(name string) (last time.Time) {
	for mac, s := range p.stations {
		if p.names[mac] == name && s.Last.After(last) {
			last = s.Last
		}
	}
	return last
}

// presenceProbes ask for the speakers that gossip does not reach, and, while this node is not fit
// or meets nobody by gossip, for all.
func (p *Peers) presenceProbes() []probe.Question {
	live := map[string]bool{p.self: true}
	macs, met := map[string]bool{}, false
	for i := range p.gossip {
		m := &p.gossip[i]
		switch {
		case m.State == Alive:
			met = met || m.Name != p.self
			live[m.Name] = true
		case m.State == Dead:
			for _, mac := range m.MACs {
				macs[mac] = true
			}
		}
	}
	for mac := range p.stations {
		macs[mac] = true
	}
	var r []probe.Question
	for mac := range macs {
		if !live[p.names[mac]] {
			r = append(r, probe.Question{MAC: mac})
		}
	}
	if len(p.me.MACs) > 0 && (!p.me.Fit || !met && !p.me.Only) {
		r = append(r, probe.Question{MAC: probe.Everybody})
	}
	return r
}
