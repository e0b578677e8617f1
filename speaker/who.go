package speaker

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/starling-lb/starling/owner"
)

// Who is what one speaker can say of one address: who announces it and why, and what of each other node. Its JSON is
// the contract of /api/v1/who.
type Who struct {
	Node     string      `json:"node"` // whose view this is
	IP       string      `json:"ip"`
	Held     bool        `json:"held"`     // a Service is bound to it; if not, the ranking says who would announce it
	VIP      *VIP        `json:"vip"`      // as in the snapshot; null when it is not held
	Pool     string      `json:"pool"`     // that contains it, "" none
	Words    string      `json:"words"`    // the answer in one sentence
	Ranking  []Candidate `json:"ranking"`  // the eligible nodes first, each part by score
	Conflict *Conflict   `json:"conflict"` // with somebody else who uses it; null: with nobody
}

// Candidate is a node in the ranking of an address.
type Candidate struct {
	Node     string `json:"node"`
	Score    string `json:"score"` // 16 hexadecimal digits: JSON's numbers are too short
	Eligible bool   `json:"eligible"`
	Reason   string `json:"reason"` // why it is not eligible, or ""
	Role     string `json:"role"`   // "announcer", "next", or ""
}

// MarshalJSON writes lists without entries as [].
func (w Who) MarshalJSON() ([]byte, error) {
	type plain Who
	p := plain(w)
	p.Ranking = list(w.Ranking)
	return json.Marshal(p)
}

// Who answers who announces an address, as of the last turn.
func (s *Speaker) Who(ip netip.Addr) Who {
	ip = ip.Unmap()
	v := s.view.Load()
	r := Who{Node: s.cfg.Node, IP: ip.String()}
	if v.last == nil {
		r.Words = "this speaker has decided nothing yet: it is starting"
		return r
	}
	if i, held := v.last.find(ip); held {
		x := v.address(i)
		r.Held, r.VIP, r.Pool = true, &x, x.Pool
	}
	for _, c := range v.rivals(s.cfg.Node) {
		if c.IP == r.IP {
			r.Conflict = &c
		}
	}
	if !r.Held {
		r.Pool, _ = v.last.pools.Of(ip)
	}
	r.rank(v.last.voters.Ranking(v.ballot(ip, r.Pool)))
	r.Words = r.say()
	return r
}

// ballot is the address as election sees it; one that nobody holds is looked at as if it had endpoints everywhere.
func (v *view) ballot(ip netip.Addr, pool string) owner.VIP {
	if i, held := v.last.find(ip); held {
		return v.seats[i].candidate
	}
	return owner.VIP{IP: ip, Serving: true, Scope: v.last.scopes.of(pool)}
}

// rank takes over the ranking and marks who is who in it.
func (w *Who) rank(ranking []owner.Candidate) {
	for _, c := range ranking {
		r := Candidate{Node: c.Node, Score: fmt.Sprintf("%016x", c.Score), Eligible: c.Reason == "", Reason: c.Reason}
		switch {
		case w.VIP == nil:
		case c.Node == w.VIP.Owner:
			r.Role = "announcer"
		case c.Node == w.VIP.Next:
			r.Role = "next"
		}
		w.Ranking = append(w.Ranking, r)
	}
}

// say puts the answer into one sentence.
func (w *Who) say() string {
	first := ""
	if len(w.Ranking) > 0 && w.Ranking[0].Eligible {
		first = w.Ranking[0].Node
	}
	switch {
	case w.Held && w.VIP.Owner == "":
		return fmt.Sprintf("nobody announces %s: %s", w.IP, w.VIP.Reason)
	case w.Held:
		return fmt.Sprintf("%s announces %s: %s", w.VIP.Owner, w.IP, w.VIP.Reason)
	case w.Pool == "":
		return fmt.Sprintf("%s is held by no Service and is in no pool: starling has nothing to do with it", w.IP)
	case first == "":
		return fmt.Sprintf("%s of pool %q is held by no Service, and no node could announce it", w.IP, w.Pool)
	}
	return fmt.Sprintf("%s of pool %q is held by no Service; %s would announce it", w.IP, w.Pool, first)
}

// Lease is what one Service holds of addresses. Its JSON is the contract of /api/v1/leases.
type Lease struct {
	Service string      `json:"service"` // "namespace/name"
	By      string      `json:"by"`      // installation that wrote the lease, "" there is none
	Foreign bool        `json:"foreign"` // of another installation or a later release: never touched
	Holder  string      `json:"holder"`  // node that wrote it
	Mistake string      `json:"mistake"` // what is wrong with the annotation as it is written, or ""
	IPs     []LeaseItem `json:"ips"`
}

// LeaseItem is one address of a lease.
type LeaseItem struct {
	IP    string `json:"ip"`
	Pool  string `json:"pool"`
	State string `json:"state"` // "bound"; "claimed": on its way; "shown": by the Service's status alone
}

// Leases lists what all Services hold, sorted by name.
func (s *Speaker) Leases() []Lease {
	s.mu.Lock()
	held := s.table.Held()
	s.mu.Unlock()
	list := make([]Lease, 0, len(held))
	for _, h := range held {
		l := Lease{Service: h.Service.String(), By: h.By, Foreign: h.Foreign, Holder: h.Holder, Mistake: h.Bad, IPs: []LeaseItem{}}
		for _, i := range h.Items {
			l.IPs = append(l.IPs, LeaseItem{IP: i.IP.String(), Pool: i.Pool, State: i.State})
		}
		list = append(list, l)
	}
	return list
}
