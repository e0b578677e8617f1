package api

import (
	"encoding/json"

	"github.com/starling-lb/starling/health"
)

// Who is what one speaker can say of one address: who announces it and why, and what of each other
// node. Its JSON is the contract of /api/v1/who.
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

	Routers   []string `json:"routers"`   // BGP routers that it is announced to for the address
	NotRouted string   `json:"notRouted"` // why to none, "" where the address is announced to none anyway
}

// MarshalJSON writes lists without entries as [].
func (w Who) MarshalJSON() ([]byte, error) {
	type plain Who
	p := plain(w)
	p.Ranking = list(w.Ranking)
	return json.Marshal(p)
}

// MarshalJSON writes lists without entries as [].
func (c Candidate) MarshalJSON() ([]byte, error) {
	type plain Candidate
	p := plain(c)
	p.Routers = list(c.Routers)
	return json.Marshal(p)
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
	State string `json:"state"` // "bound"; "claimed": on its way; "shown": by the Service's status alone; "void": the lease names it, and that counts for nothing
}

// View is the answer of /api/v1/view: how a speaker sees the addresses, in short, and what only it
// knows. Two speakers with the same digest see each address at the same announcer.
type View struct {
	Node      string `json:"node"`
	Addresses int    `json:"addresses"`
	Digest    string `json:"digest"` // of all addresses and their announcers

	Findings []Finding `json:"findings"` // what others may not see, the worst first
	Places   []Place   `json:"places"`   // on which interfaces it announces its addresses

	Conditions []health.Condition `json:"conditions"` // the findings by code, and what only explains
}

// Others is the answer of /api/v1/others: what other speakers know and the one that answers does
// not.
type Others struct {
	Node     string             `json:"node"`
	Findings []LegacyReported   `json:"findings"` // the worst first
	Places   map[string][]Place `json:"places"`   // on which interfaces each of them announces its addresses, by node

	Conditions []Reported `json:"conditions"` // the findings by code, and what only explains
}

// Events is the answer of /api/v1/events: lines of a log and whose they are.
type Events struct {
	Node   string            `json:"node"`
	Nodes  []string          `json:"nodes"` // whose speakers this one knows, to tell whether all were asked
	Events []json.RawMessage `json:"events"`
}
