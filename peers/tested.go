package peers

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// drop is what a tester says of a node, and when it last did.
type drop struct {
	Message
	at time.Time
}

// hearTester takes what a tester, which this node may be itself, says of a node. It reports whether
// something follows from it.
func (p *Peers) hearTester(m Message, now time.Time) bool {
	ofAbsent := m.Kind == Drops && m.Other == ""
	if m.By == m.About || !p.knows(m.By) || !p.knows(m.About) || ofAbsent && m.About == p.self {
		return false
	}
	by := p.drops[m.About]
	was, said := by[m.By]
	switch {
	case m.Kind == Drops && by == nil:
		p.drops[m.About] = map[string]drop{m.By: {m, now}}
	case m.Kind == Drops:
		by[m.By] = drop{m, now}
	default:
		delete(by, m.By)
		return said
	}
	return !said || was.At != m.At || was.Other != m.Other
}

// reason is what is wrong with the node, in words.
func (m *Message) reason() string {
	switch {
	case m.Other != "":
		return fmt.Sprintf("it does not forward: %s was not answered through it, and %s had it answered through %s", m.At, m.By, m.Other)
	case m.At.IsValid():
		return fmt.Sprintf("so is its kube-proxy: %s found nobody at %s", m.By, m.At)
	}
	return "nobody can test whether it forwards"
}

// what is what becomes of an absence that ends with the message.
func (m *Message) what() What {
	if m.Other == "" && !m.At.IsValid() {
		return Untested
	}
	return Failed
}

// knows reports whether a name is this node's or that of a peer of gossip.
func (p *Peers) knows(name string) bool { return name == p.self || p.member(name) != nil }

// dropped are the messages of those who say that a node does not forward, sorted by tester. What is
// not said again for a while is forgotten.
func (p *Peers) dropped(name string, now time.Time) (out []Message) {
	for _, by := range slices.Sorted(maps.Keys(p.drops[name])) {
		d := p.drops[name][by]
		end := d.at.Add(p.cfg.Timing.DropMemory)
		if !now.Before(end) {
			delete(p.drops[name], by)
			continue
		}
		p.wakeAt(end)
		out = append(out, d.Message)
	}
	return out
}
