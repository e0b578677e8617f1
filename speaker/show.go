package speaker

import (
	"fmt"
	"net/netip"
	"strings"
)

// What is in this file runs when somebody looks, and never in a turn: it puts the outcome of the last turn
// into words.

// waitingMost bounds the list of Services without an address.
const waitingMost = 1000

// Snapshot is the view of the last turn. A node that is not ready for want of
// the API server may still own addresses; what the mesh says of other members
// makes a node unready only as long as it has not found its place in it.
func (s *Speaker) Snapshot() Snapshot {
	v := s.view.Load()
	r := Snapshot{Node: s.cfg.Node, Version: s.cfg.Version, Ready: len(v.reasons) == 0, Reasons: v.reasons, Problems: v.problems}
	if v.last != nil {
		r.At = v.last.now
		r.Interfaces = v.interfaces()
	}
	r.Members, r.Keys = s.members(v), keyring(v.members, s.cfg.Node)
	r.VIPs, r.Pools, r.Conflicts = v.addresses(), v.usage(), v.rivals(s.cfg.Node)
	r.Waiting = s.waiting()
	if s.cfg.Counts != nil {
		c := s.cfg.Counts()
		r.Activity = Activity{Writes: c.Writes, Events: c.Events}
	}
	r.Findings = findings(r)
	return r
}

func (v *view) addresses() []VIP {
	list := make([]VIP, len(v.vips))
	for i := range v.vips {
		list[i] = v.address(i)
	}
	return list
}

func (v *view) address(i int) VIP {
	x, t := v.vips[i], v.seats[i]
	e := t.verdict()
	vip := VIP{
		IP: x.IP.String(), Pool: x.Pool, Owner: e.Owner, Next: e.Next, Reason: v.last.why(e),
		Since: t.since, From: t.from, Cause: t.cause, Change: t.words(),
	}
	for _, k := range x.Services {
		vip.Services = append(vip.Services, k.String())
	}
	return vip
}

// words say what the last change was.
func (t *seat) words() string {
	switch {
	case t.cause == causeNew && t.verdict().Owner == "":
		return "nobody may announce it since it is known"
	case t.verdict().Owner == "":
		return fmt.Sprintf("%s may not announce it any more", t.from)
	case t.cause == causeNew:
		return "new to this speaker"
	case t.cause == causeEligible:
		return fmt.Sprintf("%s may announce it, after nobody could", t.verdict().Owner)
	case t.cause == causeLost:
		return fmt.Sprintf("%s was lost", t.from)
	}
	return fmt.Sprintf("moved from %s", t.from)
}

func (v *view) usage() []Pool {
	list := make([]Pool, 0, len(v.pools))
	for i, u := range v.pools { // in the order of the configuration, as the others
		list = append(list, Pool{
			Name: u.Pool, Ranges: v.about[i].Ranges, Rules: v.about[i].Rules(),
			Size: u.Size, Used: u.Used, Waiting: u.Waiting, Free: u.Size - min(u.Used, u.Size),
		})
	}
	return list
}

// waiting asks the table, in between two turns.
func (s *Speaker) waiting() []Waiting {
	s.mu.Lock()
	all := s.table.Waiting(waitingMost)
	s.mu.Unlock()
	list := make([]Waiting, len(all))
	for i, w := range all {
		list[i] = Waiting{Service: w.Service.String(), Pool: w.Pool, Reason: w.Reason}
	}
	return list
}

func (v *view) interfaces() []Interface {
	var list []Interface
	for _, i := range v.last.wire.Interfaces {
		list = append(list, Interface{Name: i.Name, MAC: i.MAC, Prefixes: texts(i.Prefixes), Used: i.Used, Reason: i.Reason})
	}
	return list
}

// texts are prefixes as text.
func texts(prefixes []netip.Prefix) []string {
	var out []string
	for _, p := range prefixes {
		out = append(out, p.String())
	}
	return out
}

// some names the first ones of many.
func some(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}
