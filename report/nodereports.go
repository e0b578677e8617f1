package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/proxy"
)

// Reasons of events on Nodes, which tell what concerns more than one Service.
const (
	// GossipBlocked tells on a Node that other nodes do not reach its gossip port, though it lives,
	// and what to do.
	GossipBlocked = "GossipBlocked"
	// GossipKeyMismatch tells on a Node that its gossip, or what peers that are no nodes send to
	// it, is encrypted with another key than that of the others, and what to do.
	GossipKeyMismatch = "GossipKeyMismatch"
	// OtherCluster tells on a Node that speakers of another cluster send gossip to it, and what to
	// do; one node reports it for all.
	OtherCluster = "OtherCluster"
	// SpeakerAway tells on a Node that its speaker has been away for some seconds, until when the
	// node keeps its addresses, and which nodes answer for them.
	SpeakerAway = "SpeakerAway"
	// SpeakerLost tells on a Node that neither gossip nor the wire reaches its speaker, and what to
	// do.
	SpeakerLost = "SpeakerLost"
	// KubeProxyMissing tells on a Node that kube-proxy does not run there, although it did or other
	// nodes have one, and what to do.
	KubeProxyMissing = "KubeProxyMissing"
	// NotForwarding tells on a Node that it does not forward what comes for addresses, though other
	// nodes do, and what to do.
	NotForwarding = "NotForwarding"
	// PoolOverlapsNodes tells on a Node that a pool contains its address, and what to do.
	PoolOverlapsNodes = "PoolOverlapsNodes"
	// RouterLost tells on a Node that its speaker, or any, has no session with a BGP router, why
	// not, and what to do.
	RouterLost = "RouterLost"
	// ConfigMissing tells on a Node that the ConfigMap of the configuration does not exist, and
	// what to do; one node reports it for all.
	ConfigMissing = "ConfigMissing"
	// ConfigRejected tells on a Node that the configuration or the gossip's keys have a mistake,
	// such as pools that overlap, and are not in force there; one node reports it for all that have
	// the same.
	ConfigRejected = "ConfigRejected"
)

// NodeReportKey names a condition of a node, or one that no Service is to blame for, which an Event
// on a Node reports. Those who report the same agree by reason and about, whatever Node they put it
// on, and the API server keeps one of them: see watcher.Event.
type NodeReportKey struct {
	Node          string // on whose Node it is reported
	reason, about string
}

// Once is the name of what several tell.
func (f NodeReportKey) Once() string { return f.reason + " " + f.about }

// NodeReport is a condition that is to be reported as an Event, as this node sees it now.
type NodeReport struct {
	NodeReportKey
	health.Condition
	everywhere bool // all that sees lists see it too, unless something is wrong with them
	early      bool // more may be known soon
}

// newNodeReport is a condition as a condition on a node.
func newNodeReport(node, about string, c health.Condition) NodeReport {
	return NodeReport{NodeReportKey: NodeReportKey{node, c.Code.Rule().Event, about}, Condition: c}
}

// NodeReports are what this node has to report.
func (w *World) NodeReports() []NodeReport {
	var list []NodeReport
	dead, unreached := w.unreached()
	strange, datagrams := map[string]health.Condition{}, map[string]bool{}
	foreign := map[health.Code][]health.Condition{}
	for _, c := range w.Peers {
		about := c.Subject
		_, known := unreached[about.Name]
		switch {
		case c.Code == health.GossipNoFamily:
			unreached[about.Name] = c
		case c.Code == health.GossipUDPBlocked && !known:
			unreached[about.Name], datagrams[about.Name] = c, true
		case c.Code == health.GossipKeyMismatch && about.Kind == health.KindNode:
			strange[about.Name] = c
		case c.Code == health.GossipKeyMismatch, c.Code == health.OtherCluster:
			foreign[c.Code] = append(foreign[c.Code], c)
		}
	}
	list = append(list, w.between(dead)...)
	if i := w.isolated(); i != nil {
		f := newNodeReport(w.Self, w.Self, i.Condition)
		f.early = i.Code == health.GossipUDPBlocked
		list, unreached = append(list, f), nil
	}
	for _, f := range w.between(unreached) {
		if datagrams[f.about] || len(datagrams) == len(unreached) { // before gossip gives somebody up, datagrams fail
			f.early, f.everywhere = true, false
		}
		list = append(list, f)
	}
	for _, f := range w.between(strange) {
		f.everywhere = false // it knocks at some
		list = append(list, f)
	}
	for _, code := range slices.Sorted(maps.Keys(foreign)) { // one for all peers: their addresses may be forged
		c := health.New(code, health.Node(w.Self), health.Some(Words(foreign[code]), 3))
		list = append(list, newNodeReport(w.Self, "peers", c))
	}
	for _, m := range w.Members {
		if m.State == mesh.Absent {
			c, _ := w.wrongWith(m)
			f := newNodeReport(m.Name, m.Name, c)
			f.everywhere, f.early = true, true // it may be back soon
			list = append(list, f)
		}
		if m.Meta.Drops && m.Up() {
			f := newNodeReport(m.Name, m.Name, Drops(m.Name, ""))
			f.everywhere = true
			list = append(list, f)
			continue
		}
		if m.Meta.NoProxy && m.Up() || m.Name == w.Self && w.ProxyLost {
			f := newNodeReport(m.Name, m.Name, proxy.Missing(m.Name, m.Meta.NoProxy, ""))
			f.everywhere = m.Meta.NoProxy
			list = append(list, f)
		}
	}
	for _, c := range w.Overlap.Found {
		f := newNodeReport(w.Overlap.NodeOf[c.Subject.Name], c.Subject.Name, c)
		f.everywhere = true
		list = append(list, f)
	}
	for _, c := range w.Mistakes {
		list = append(list, newNodeReport(w.Self, c.Words, c))
	}
	return append(list, w.reportsOfRouters()...)
}

// unreached says of each node that nothing reaches, or only the wire, that it is so.
func (w *World) unreached() (dead, blocked map[string]health.Condition) {
	dead, blocked = map[string]health.Condition{}, map[string]health.Condition{}
	for _, m := range w.Members {
		switch m.State {
		case mesh.Dead:
			dead[m.Name], _ = w.wrongWith(m)
		case mesh.OnWire:
			blocked[m.Name], _ = w.wrongWith(m)
		}
	}
	return dead, blocked
}

// between puts conditions between nodes of one kind, which both sides see, on those of the smaller
// side: the conditions are by the node of the other side. Of equal halves each tells of the other,
// and where nobody reaches anybody all tell of themselves.
func (w *World) between(found map[string]health.Condition) []NodeReport {
	others := slices.Sorted(maps.Keys(found))
	if len(others) == 0 {
		return nil
	}
	reason, mine := found[others[0]].Code.Rule().Event, 0
	for _, m := range w.Members {
		if _, other := found[m.Name]; !other && hears(m, reason) {
			mine++
		}
	}
	if mine < len(others) {
		said := make([]string, len(others))
		for i, name := range others {
			said[i] = found[name].Words
		}
		c := found[others[0]]
		c.Subject, c.Words = health.Node(w.Self), fmt.Sprintf("%s sees: %s", w.Self, strings.Join(said[:min(len(said), 3)], "; "))
		return []NodeReport{newNodeReport(w.Self, w.Self, c)}
	}
	list := make([]NodeReport, len(others))
	for i, name := range others {
		list[i] = newNodeReport(name, name, found[name])
		list[i].everywhere = true
	}
	return list
}
