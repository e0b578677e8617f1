package speaker

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// faultFor is how long a fault must last before an event tells it: what is over sooner, such as a speaker that starts
// and is heard on the wire before it has joined, needs nobody.
const faultFor = 3 * time.Second

// Reasons of events on Nodes, which tell what concerns more than one Service.
const (
	// GossipBlocked tells on a Node that other nodes do not reach its gossip port, though it lives, and what to do.
	GossipBlocked = "GossipBlocked"
	// GossipKeyMismatch tells on a Node that its gossip is encrypted with another key than that of the others, and what to do.
	GossipKeyMismatch = "GossipKeyMismatch"
	// OtherCluster tells on a Node that speakers of another cluster send gossip to it, and what to do.
	OtherCluster = "OtherCluster"
	// SpeakerLost tells on a Node that neither gossip nor the wire reaches its speaker, and what to do.
	SpeakerLost = "SpeakerLost"
	// PoolOverlapsNodes tells on a Node that a pool contains its address, and what to do.
	PoolOverlapsNodes = "PoolOverlapsNodes"
	// ConfigRejected tells on a Node that the configuration file or the gossip's keys are not in force there, such as pools that overlap, and why.
	ConfigRejected = "ConfigRejected"
)

// defect is something that is wrong with a node, or that no Service is to blame for. Those who tell the same agree by
// reason and about, whatever Node they put it on, and the API server lets one of them: see watcher.Event.
type defect struct {
	node          string // on whose Node it is told
	reason, about string
	words         string
}

// telling is how far a fault has been told.
type telling struct {
	since time.Time
	told  bool
}

// tellFaults sends an event for each fault that lasts, once for as long as it does.
func (s *Speaker) tellFaults(w *world) {
	current := map[defect]*telling{}
	for _, f := range s.faults(w) {
		key := f
		key.words = "" // they may change while the fault lasts
		t := s.faulty[key]
		if t == nil {
			t = &telling{since: w.now}
		}
		current[key] = t
		switch due := t.since.Add(faultFor); {
		case t.told:
		case w.now.Before(due):
			w.wake = earlier(w.wake, due)
		default:
			t.told = true
			if what := f.unlogged(); what != "" {
				s.log.Warn().Str("node", f.node).Str("reason", f.words).Msg(what)
			}
			s.cfg.API.Event(f.event())
		}
	}
	for f, t := range s.faulty {
		if what := f.unlogged(); current[f] == nil && t.told && what != "" {
			s.log.Info().Str("node", f.node).Str("was", what).Msg("well again")
		}
	}
	s.faulty = current
}

// unlogged is what the log says of a defect of which it has no line yet. Members that come and go, keys and configuration
// have some, from where they are found.
func (f defect) unlogged() string {
	switch f.reason {
	case GossipBlocked:
		return "gossip is blocked"
	case PoolOverlapsNodes:
		return "a pool contains addresses of nodes"
	}
	return ""
}

// event says the fault and, unless its words do, what to do about it.
func (f defect) event() watcher.Event {
	return watcher.Event{Key: watcher.Key{Name: f.node}, Warning: true, Reason: f.reason, Message: withAdvice(f.words), Once: f.reason + " " + f.about}
}

// faults are what this node has to tell of.
func (s *Speaker) faults(w *world) []defect {
	var list []defect
	dead, unreached := w.unreached()
	strange, foreign := map[string]string{}, map[string][]string{}
	for _, c := range s.complaints() {
		node := w.nodeAt(c.Who)
		switch {
		case c.Kind == "udp":
			unreached[c.Who] = cmp.Or(unreached[c.Who], c.Words)
		case c.Kind == "key" && node != "":
			strange[node] = c.Words
		case c.Kind == "key":
			foreign[GossipKeyMismatch] = append(foreign[GossipKeyMismatch], c.Words)
		case c.Kind == "label":
			foreign[OtherCluster] = append(foreign[OtherCluster], c.Words)
		}
	}
	list = append(list, w.between(SpeakerLost, dead)...)
	list = append(list, w.between(GossipBlocked, unreached)...)
	list = append(list, w.between(GossipKeyMismatch, strange)...)
	for _, reason := range slices.Sorted(maps.Keys(foreign)) { // one for all peers: their addresses may be forged
		list = append(list, defect{w.self, reason, "peers", some(foreign[reason], 3)})
	}
	s.overlap.of(w)
	for _, o := range s.overlap.found {
		list = append(list, defect{o.node, PoolOverlapsNodes, o.pool, o.words})
	}
	for _, p := range s.cfg.Settings.Problems() {
		list = append(list, defect{w.self, ConfigRejected, p, p})
	}
	return list
}

func (s *Speaker) complaints() []mesh.Complaint {
	if s.cfg.Peers == nil {
		return nil
	}
	return s.cfg.Peers()
}

// unreached says of each node that nothing reaches, or only the wire, that it is so.
func (w *world) unreached() (dead, blocked map[string]string) {
	dead, blocked = map[string]string{}, map[string]string{}
	for _, m := range w.members {
		switch m.State {
		case mesh.Dead:
			dead[m.Name], _ = w.verdict(m)
		case onWire:
			blocked[m.Name], _ = w.verdict(m)
		}
	}
	return dead, blocked
}

// nodeAt is the node with this address, if it is one.
func (w *world) nodeAt(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return ""
	}
	return w.nodeOf(ip.Unmap())
}

// between puts a fault between nodes, which both sides see, on those of the smaller side: words are by the node of the
// other side. Of equal halves each tells of the other, and where nobody reaches anybody all tell of themselves.
func (w *world) between(reason string, words map[string]string) []defect {
	if len(words) == 0 {
		return nil
	}
	mine := 0
	for _, m := range w.members {
		if _, other := words[m.Name]; !other && m.State == mesh.Alive {
			mine++
		}
	}
	others := slices.Sorted(maps.Keys(words))
	if mine < len(others) {
		said := make([]string, len(others))
		for i, name := range others {
			said[i] = words[name]
		}
		return []defect{{w.self, reason, w.self, fmt.Sprintf("%s sees: %s", w.self, strings.Join(said[:min(len(said), 3)], "; "))}}
	}
	list := make([]defect, len(others))
	for i, name := range others {
		list[i] = defect{name, reason, name, words[name]}
	}
	return list
}
