package report

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/proxy"
)

// member is a member as status shows it.
func (w *World) member(m mesh.Member) api.Member {
	r := api.Member{
		Name: m.Name, State: string(m.State), Ready: m.Meta.Ready, Draining: m.Meta.Draining, Returning: m.Meta.Returning, NoProxy: m.Meta.NoProxy && !m.Meta.Drops, Drops: m.Meta.Drops,
		Segments: Texts(m.Meta.Segments), Keys: slices.Clone(m.Meta.Keys), Version: m.Meta.Version, Since: m.Since,
	}
	r.Addr = m.Addr.String()
	if m.Meta.Returning {
		r.Hold = w.hold(m)
		if m.Meta.Until.Before(mesh.Forever) {
			r.HeldUntil = m.Meta.Until
		}
	}
	r.Health = r.Condition()
	return r
}

// hold says what a node waits for that came back.
func (w *World) hold(m mesh.Member) string {
	switch until := m.Meta.Until; {
	case w.Cluster.Node(m.Name).Cordoned:
		return "others go first until it is uncordoned"
	case until.IsZero(): // only heard on the wire
		return "others go first for a while"
	case until.Before(mesh.Forever):
		return "others go first until " + until.UTC().Format(time.TimeOnly)
	}
	return "others go first until it is the only node that can, or until `starling return " + m.Name + "`"
}

// away says until when an absent node keeps its addresses, and which nodes answer for them.
func (w *World) away(m mesh.Member) string {
	words := "keeps its addresses until " + m.Since.Add(m.Meta.Grace).UTC().Format(time.TimeOnly)
	var deputies []string
	for i := range w.VIPs {
		if by := w.Deputies[w.VIPs[i].IP].Node; by != "" && w.Election(i).Result.Owner == m.Name {
			deputies = append(deputies, by)
		}
	}
	slices.Sort(deputies)
	switch deputies = slices.Compact(deputies); len(deputies) {
	case 0:
		return words
	case 1:
		return words + ", and " + deputies[0] + " answers for them"
	}
	return words + ", and " + health.Some(deputies, 3) + " answer for them"
}

// longHold is how long a hold must go on to be worth a condition.
const longHold = 5 * time.Second

// Drops is that a node does not forward, and how that is known, if it is.
func Drops(node, how string) health.Condition {
	words := node + " does not forward what comes for addresses of Services: other nodes announce before it"
	if how != "" {
		words += " (" + how + ")"
	}
	return health.New(health.NotForwarding, health.Node(node), words)
}

// Texts are prefixes as text.
func Texts(prefixes []netip.Prefix) []string {
	var out []string
	for _, p := range prefixes {
		out = append(out, p.String())
	}
	return out
}

// members puts together what gossip, the wire and Kubernetes say of each member.
func (w *World) members(l Look) []api.Member {
	if w.Now.IsZero() {
		return nil
	}
	var pings map[string]mesh.Ping
	if l.Pings != nil {
		pings = l.Pings()
	}
	candidates := map[string]owner.Node{}
	for _, n := range w.Candidates.Nodes() {
		candidates[n.Name] = n
	}
	announces := map[string]int{}
	for i := range w.VIPs {
		announces[w.Election(i).Result.Owner]++
	}
	list := make([]api.Member, 0, len(w.Members))
	for _, m := range w.Members {
		r, p := w.member(m), pings[m.Name]
		r.RoundTrip, r.LastSeen = p.RoundTrip.Seconds(), p.Seen
		if at := l.LastReply(m.Name); at.After(r.LastSeen) {
			r.LastSeen = at
		}
		if m.Name == w.Self {
			r.LastSeen = w.Now
		}
		r.Announces, r.Unfit = announces[m.Name], candidates[m.Name].Unfit
		if r.Unfit == "" {
			r.Tier = candidates[m.Name].Tier.String()
		}
		if m.State == mesh.Absent {
			r.Away, r.KeepsUntil = w.away(m), m.Since.Add(m.Meta.Grace)
		}
		if c, wrong := w.wrongWith(m); wrong {
			r.Verdict, r.Todo = c.Words, c.Advice
		}
		list = append(list, r)
	}
	return list
}

// wrongWith is what is wrong with a member, if anything.
func (w *World) wrongWith(m mesh.Member) (c health.Condition, wrong bool) {
	is := func(code health.Code, format string, args ...any) (health.Condition, bool) {
		return health.New(code, health.Node(m.Name), fmt.Sprintf(format, args...)), true
	}
	switch {
	case m.State == mesh.OnWire:
		c = blocked(w.Gossip, []mesh.Member{m}, w.Now)[0]
		if i := w.isolated(); i != nil {
			c = c.Do(i.Advice)
		}
		return c, true
	case m.State == mesh.Absent:
		return is(health.SpeakerAway, "the speaker of %s is away: the node %s", m.Name, w.away(m))
	case m.State == mesh.Dead:
		return is(health.NodeLost, "neither gossip nor the wire reaches %s", m.Name)
	case m.State == mesh.Left && slices.Contains(w.speakerless().Unselected, m.Name):
		return Speakerless{Unselected: []string{m.Name}}.Conditions()[0], true
	case m.State == mesh.Left:
		return is(health.SpeakerStopped, "the speaker of %s was stopped", m.Name)
	case m.Name != w.Self && m.Meta.Config != w.Meta.Config:
		return is(health.ConfigDiffers, "%s has other pools or another class in force than %s", m.Name, w.Self)
	case m.Name != w.Self && !m.Meta.Ready:
		return is(health.NodeNotReady, "%s is not ready", m.Name)
	case m.Name != w.Self && m.Meta.Drops:
		return Drops(m.Name, ""), true
	case m.Name != w.Self && m.Meta.NoProxy:
		return proxy.Missing(m.Name, true, ""), true
	case m.Meta.OutOfTouch():
		return is(health.NodeOutOfTouch, "%s has lost the API server: it announces, but learns of no change", m.Name)
	case m.Meta.Returning && m.Meta.Until.Sub(w.Now) > longHold:
		return is(health.NodeReturning, "%s came back: %s", m.Name, w.hold(m))
	}
	switch n := w.Cluster.Node(m.Name); {
	case n.Going != "":
		return is(health.NodeGoing, "%s is about to go (%s), so others go first", m.Name, n.Going)
	case n.Cordoned:
		return is(health.NodeCordoned, "%s is cordoned: it keeps its addresses, and hands them over when its speaker ends", m.Name)
	case n.NetworkUnavailable:
		return is(health.NetworkUnavailable, "Kubernetes says that the network of %s is unavailable", m.Name)
	}
	return health.Condition{}, false
}

// silentKernels are the conditions of nodes whose deaths this one is to notice and cannot.
func (w *World) silentKernels() (list []health.Condition) {
	const words = "the kernel of %s replies to no ARP request or neighbor solicitation of %s: gossip alone notices its death, and its addresses move when its speaker is away"
	for _, node := range w.SilentKernels {
		list = append(list, health.New(health.KernelSilent, health.Node(node), fmt.Sprintf(words, node, w.Self)))
	}
	return list
}

// unwell are the members with which something is wrong, but for what the loop says of all of them
// at once: those that only the wire reaches, those with another configuration, and those that are
// to be none.
func (w *World) unwell() []health.Condition {
	var list []health.Condition
	for _, m := range w.Members {
		c, wrong := w.wrongWith(m)
		if wrong && m.State != mesh.OnWire && c.Code != health.ConfigDiffers && c.Code != health.NoSpeaker {
			list = append(list, c)
		}
	}
	return list
}
