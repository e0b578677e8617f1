package speaker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// members puts together what gossip, the wire and Kubernetes say of each member.
func (s *Speaker) members(v *view) []Member {
	if v.last == nil {
		return nil
	}
	var pings map[string]mesh.Ping
	if s.cfg.Pings != nil {
		pings = s.cfg.Pings()
	}
	voters := map[string]owner.Node{}
	for _, n := range v.last.voters.Nodes() {
		voters[n.Name] = n
	}
	announces := map[string]int{}
	for _, t := range v.seats {
		announces[t.verdict().Owner]++
	}
	wire := v.last.lastHeard()
	list := make([]Member, 0, len(v.members))
	for _, m := range v.members {
		r, p := member(m), pings[m.Name]
		r.RoundTrip, r.LastSeen = p.RoundTrip.Seconds(), p.Seen
		if at := wire[m.Name]; at.After(r.LastSeen) {
			r.LastSeen = at
		}
		if m.Name == s.cfg.Node {
			r.LastSeen = v.last.now
		}
		r.Announces, r.Unfit = announces[m.Name], voters[m.Name].Unfit
		if r.Unfit == "" {
			r.Tier = voters[m.Name].Tier.String()
		}
		r.Verdict, r.Todo = v.last.verdict(m)
		list = append(list, r)
	}
	return list
}

func member(m mesh.Member) Member {
	r := Member{
		Name: m.Name, State: string(m.State), Ready: m.Meta.Ready, Draining: m.Meta.Draining, Returning: m.Meta.Returning,
		Segments: texts(m.Meta.Segments), Keys: slices.Clone(m.Meta.Keys), Version: m.Meta.Version, Since: m.Since,
	}
	r.Addr = m.Addr.String()
	r.Health = r.Condition()
	return r
}

// Condition is one word or two for a member's health.
func (m Member) Condition() string {
	switch {
	case m.State == string(onWire):
		return "on the wire"
	case m.State != string(mesh.Alive):
		return m.State
	case m.Draining:
		return "draining"
	case !m.Ready:
		return "not ready"
	case m.Returning:
		return "returning"
	}
	return "ready"
}

// lastHeard is when each node last answered on the wire.
func (w *world) lastHeard() map[string]time.Time {
	at := map[string]time.Time{}
	for mac, s := range w.wire.Speakers {
		if name := w.names[mac]; name != "" && s.Last.After(at[name]) {
			at[name] = s.Last
		}
	}
	return at
}

// verdict says what is wrong with a member and what to do about it, or nothing.
func (w *world) verdict(m mesh.Member) (words, todo string) {
	switch {
	case m.State == onWire:
		words = blocked(w.gossip, []mesh.Member{m}, w.now)[0]
		return words, Advice(words)
	case m.State == mesh.Dead:
		return lost(m.Name), Advice(lost(m.Name))
	case m.State == mesh.Left:
		return fmt.Sprintf("the speaker of %s was stopped", m.Name), ""
	case m.Name != w.self && m.Meta.Config != w.meta.Config:
		return fmt.Sprintf("%s has other pools or another class in force than %s", m.Name, w.self), "compare --config, --pool and --lb-class of both"
	case m.Name != w.self && !m.Meta.Ready:
		return fmt.Sprintf("%s is not ready", m.Name), fmt.Sprintf("ask it why: `starling status --node %s`", m.Name)
	case m.Meta.APIAge >= outOfTouch:
		return fmt.Sprintf("%s has lost the API server: it announces, but learns of no change", m.Name), "see whether that node reaches the API server"
	}
	i, known := slices.BinarySearchFunc(w.cluster.Nodes, m.Name, func(n watcher.Node, name string) int { return strings.Compare(n.Name, name) })
	switch {
	case !known:
	case w.cluster.Nodes[i].Cordoned:
		return fmt.Sprintf("%s is cordoned, so others go first", m.Name), "kubectl uncordon " + m.Name + ", when it may work again"
	case w.cluster.Nodes[i].NetworkUnavailable:
		return fmt.Sprintf("Kubernetes says that the network of %s is unavailable", m.Name), "see to the node's network plugin"
	}
	return "", ""
}

// lost says of a member that it is dead.
func lost(name string) string { return "neither gossip nor the wire reaches " + name }

// keyring sums up who holds which key of the gossip.
func keyring(members []mesh.Member, self string) Keys {
	var k Keys
	i := slices.IndexFunc(members, func(m mesh.Member) bool { return m.Name == self })
	if i < 0 || len(members[i].Meta.Keys) == 0 {
		k.State = "gossip is not encrypted, or its keys are not known yet"
		return k
	}
	k.Held = slices.Clone(members[i].Meta.Keys)
	var differ []string
	for _, m := range members {
		if m.State == mesh.Alive && !slices.Equal(m.Meta.Keys, k.Held) {
			differ = append(differ, m.Name)
		}
	}
	switch {
	case len(differ) > 0:
		k.State = fmt.Sprintf("%s hold other keys than %s: a rotation is on its way; if it stays so, `starling key rotate` goes on with it", some(differ, 5), self)
	case len(k.Held) > 1:
		k.State = fmt.Sprintf("all hold %d keys and encrypt with %s: a rotation is on its way; if it stays so, `starling key rotate` goes on with it", len(k.Held), k.Held[0])
	default:
		k.State = "all hold the same key"
	}
	return k
}
