package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// Reasons of events on Nodes, which tell what concerns more than one Service.
const (
	// GossipBlocked tells on a Node that other nodes do not reach its gossip port, though it lives, and what to do.
	GossipBlocked = "GossipBlocked"
	// GossipKeyMismatch tells on a Node that its gossip, or what peers that are no nodes send to it, is encrypted with another key than that of the others, and what to do.
	GossipKeyMismatch = "GossipKeyMismatch"
	// OtherCluster tells on a Node that speakers of another cluster send gossip to it, and what to do; one node tells it for all to which they do.
	OtherCluster = "OtherCluster"
	// SpeakerLost tells on a Node that neither gossip nor the wire reaches its speaker, and what to do.
	SpeakerLost = "SpeakerLost"
	// PoolOverlapsNodes tells on a Node that a pool contains its address, and what to do.
	PoolOverlapsNodes = "PoolOverlapsNodes"
	// ConfigRejected tells on a Node that the configuration file or the gossip's keys have a mistake, such as pools that overlap, and are not in force there; one node tells it for all that have the same.
	ConfigRejected = "ConfigRejected"
)

// faultKey is something that is wrong with a node, or that no Service is to blame for. Those who tell the same agree by
// reason and about, whatever Node they put it on, and the API server keeps one of them: see watcher.Event.
type faultKey struct {
	node          string // on whose Node it is told
	reason, about string
}

// once is the name of what several tell.
func (f faultKey) once() string { return f.reason + " " + f.about }

// defect is a fault as this node sees it now.
type defect struct {
	faultKey
	words      string
	everywhere bool // all that sees lists see it too, unless something is wrong with them
	early      bool // more may be known soon
}

// event says the fault and, unless its words do, what to do about it.
func (f defect) event() watcher.Event {
	return watcher.Event{Key: watcher.Key{Name: f.node}, Warning: true, Reason: f.reason, Message: withAdvice(f.words), Once: f.once()}
}

// faults are what this node has to tell of.
func (s *Speaker) faults(w *world) []defect {
	var list []defect
	dead, unreached := w.unreached()
	strange, foreign, datagrams := map[string]string{}, map[string][]string{}, map[string]bool{}
	for _, c := range s.complaints() {
		node := w.nodeAt(c.Who)
		switch {
		case c.Kind == "udp" && unreached[c.Who] == "":
			unreached[c.Who], datagrams[c.Who] = c.Words, true
		case c.Kind == "key" && node != "":
			strange[node] = c.Words
		case c.Kind == "key":
			foreign[GossipKeyMismatch] = append(foreign[GossipKeyMismatch], c.Words)
		case c.Kind == "label":
			foreign[OtherCluster] = append(foreign[OtherCluster], c.Words)
		}
	}
	list = append(list, w.between(SpeakerLost, dead)...)
	for _, f := range w.between(GossipBlocked, unreached) {
		if datagrams[f.about] || len(datagrams) == len(unreached) { // before gossip gives somebody up, datagrams fail
			f.early, f.everywhere = true, false
		}
		list = append(list, f)
	}
	for _, f := range w.between(GossipKeyMismatch, strange) {
		f.everywhere = false // it knocks at some
		list = append(list, f)
	}
	for _, reason := range slices.Sorted(maps.Keys(foreign)) { // one for all peers: their addresses may be forged
		list = append(list, defect{faultKey: faultKey{w.self, reason, "peers"}, words: some(foreign[reason], 3)})
	}
	s.overlap.of(w)
	for _, o := range s.overlap.found {
		list = append(list, defect{faultKey{o.node, PoolOverlapsNodes, o.pool}, o.words, true, false})
	}
	for _, p := range s.cfg.Settings.Problems() {
		list = append(list, defect{faultKey: faultKey{w.self, ConfigRejected, p}, words: p})
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
		if _, other := words[m.Name]; !other && heard(m, reason) {
			mine++
		}
	}
	others := slices.Sorted(maps.Keys(words))
	if mine < len(others) {
		said := make([]string, len(others))
		for i, name := range others {
			said[i] = words[name]
		}
		return []defect{{faultKey: faultKey{w.self, reason, w.self}, words: fmt.Sprintf("%s sees: %s", w.self, strings.Join(said[:min(len(said), 3)], "; "))}}
	}
	list := make([]defect, len(others))
	for i, name := range others {
		list[i] = defect{faultKey{name, reason, name}, words[name], true, false}
	}
	return list
}
