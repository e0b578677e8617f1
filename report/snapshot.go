package report

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// Look is what else is asked for when somebody looks.
type Look struct {
	Now       time.Time
	Pings     func() map[string]mesh.Ping // round trips; nil: not known
	LastReply func(node string) time.Time // on the wire
	Waiting   []lease.Waiting
	External  []lease.External
}

// Snapshot is the outcome of the turn. A node that is not ready for want of
// the API server may still own addresses; what the mesh says of other members
// makes a node unready only as long as it has not found its place in it.
func (w *World) Snapshot(l Look) api.Snapshot {
	r := api.Snapshot{Node: w.Self, Version: w.Version, Ready: len(w.Reasons) == 0, Reasons: Words(w.Reasons), Problems: Words(w.Problems), At: w.Now}
	r.Interfaces = w.interfaces()
	r.Members, r.Keys = w.members(l), keys(w.Members, w.Self)
	r.VIPs, r.Pools, r.Conflicts = w.addresses(), w.usage(), w.rivals()
	r.Waiting, r.Unselected = listWaiting(l.Waiting), w.Without.Unselected
	r.Moves = w.Moves
	r.Routers = w.routers()
	r.Conditions = w.Conditions(l)
	r.Findings = api.Findings(r.Conditions, w.Self)
	return r
}

// Who says which node announces an address, and why.
func (w *World) Who(ip netip.Addr) api.Who {
	ip = ip.Unmap()
	r := api.Who{Node: w.Self, IP: ip.String()}
	if w.Now.IsZero() {
		r.Words = "this speaker has decided nothing yet: it is starting"
		return r
	}
	candidate := owner.VIP{IP: ip, Serving: true} // one that nobody holds is looked at as if it had endpoints everywhere
	if i, held := w.Find(ip); held {
		x := w.address(i)
		r.Held, r.VIP, r.Pool = true, &x, x.Pool
		candidate = w.Election(i).Candidate
	} else {
		r.Pool, _ = w.Pools.Of(ip)
		candidate.Scope = w.Scope(r.Pool)
	}
	for _, c := range w.rivals() {
		if c.IP == r.IP {
			r.Conflict = &c
		}
	}
	r.Ranking = ranking(&r, w.Candidates.Ranking(candidate))
	if w.Plan != nil {
		routed(r.Ranking, w.Plan.Route(ip))
	}
	r.Words = answer(&r) + w.heldBack(&r)
	return r
}

// heldBack names the nodes that would announce an address, were they not held back.
func (w *World) heldBack(r *api.Who) (words string) {
	for _, c := range r.Ranking {
		if c.Role == "announcer" || !c.Eligible {
			break
		}
		for _, m := range w.Members {
			if m.Name == c.Node && m.Meta.Returning {
				words += fmt.Sprintf("; %s ranks higher, but came back: %s", m.Name, w.hold(m))
			}
		}
	}
	return words
}

func (w *World) addresses() []api.VIP {
	list := make([]api.VIP, len(w.VIPs))
	for i := range w.VIPs {
		list[i] = w.address(i)
	}
	return list
}

func (w *World) address(i int) api.VIP {
	x, t := w.VIPs[i], w.Election(i)
	e := t.Result
	code, why := w.Why(x, t.Candidate, e)
	by := w.answersFor(x.IP, e.Owner)
	if by != e.Owner && by != "" {
		why += fmt.Sprintf("; its speaker is away, and %s answers for it", by)
	}
	vip := api.VIP{
		IP: x.IP.String(), Pool: x.Pool, Owner: e.Owner, Next: e.Next, Reason: why, Todo: Todo(code),
		AnsweredBy: by, Since: t.Since, From: t.From, Cause: t.Cause, Change: t.words(),
	}
	if e.Owner == w.Self {
		vip.Interfaces = w.Wire.Routes.Announcing(x.IP)
	}
	for _, entry := range t.Place.For(w.Cluster.Node(e.Owner).Labels) {
		if e.Owner != "" && entry.Name != "" {
			vip.Entries = append(vip.Entries, entry.Name)
		}
	}
	vip.Routes = routesOf(w.route(i))
	if vip.Owner == "" && len(vip.Routes) > 0 {
		vip.Reason, vip.Todo, vip.Change = "by BGP: "+api.Routed(vip.Routes), "", "announced by BGP alone"
	}
	for _, k := range x.Services {
		vip.Services = append(vip.Services, k.String())
	}
	return vip
}

// answersFor is the speaker that answers for an address of a node: itself, or its deputy.
func (w *World) answersFor(ip netip.Addr, owner string) string {
	if deputy, away := w.Deputies[ip]; away {
		return deputy.Node
	}
	return owner
}

// words say what the last change was.
func (t Election) words() string {
	switch {
	case t.Cause == CauseNew && t.Result.Owner == "":
		return "nobody may announce it since it is known"
	case t.Result.Owner == "":
		return fmt.Sprintf("%s may not announce it any more", t.From)
	case t.Cause == CauseNew:
		return "new to this speaker"
	case t.Cause == CauseEligible:
		return fmt.Sprintf("%s may announce it, after nobody could", t.Result.Owner)
	case t.Cause == CauseLost:
		return fmt.Sprintf("%s was lost", t.From)
	}
	return fmt.Sprintf("moved from %s", t.From)
}

func (w *World) usage() []api.Pool {
	list := make([]api.Pool, 0, len(w.Usage))
	if w.Pools == nil {
		return list
	}
	about := w.Pools.List()
	for i, u := range w.Usage { // in the order of the configuration, as the others
		p := api.Pool{
			Name: u.Pool, Ranges: about[i].Ranges, Rules: about[i].Rules(),
			Size: u.Size, Used: u.Used, Waiting: u.Waiting, Free: u.Free,
		}
		for _, f := range u.Families {
			p.Families = append(p.Families, api.FamilyUse{Family: f.Family, Size: f.Size, Used: f.Used, Free: f.Free})
		}
		list = append(list, p)
	}
	return list
}

func (w *World) interfaces() []api.Interface {
	var list []api.Interface
	for _, i := range w.Wire.Interfaces {
		list = append(list, api.Interface{Name: i.Name, MAC: i.MAC, Prefixes: Texts(i.Prefixes), Used: i.Used, Reason: i.Reason})
	}
	return list
}
