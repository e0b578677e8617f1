package api

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/starling-lb/starling/health"
)

// Snapshot is what one speaker knows and believes at one moment. Its JSON is the public contract of
// /api/v1/status: fields are only ever added, and a list without entries is [] and never null.
// Every speaker has a view of its own, so two snapshots may disagree; Node says whose view this is.
type Snapshot struct {
	Node       string      `json:"node"`       // the speaker's own node
	Version    string      `json:"version"`    // program version
	Ready      bool        `json:"ready"`      // does its whole job
	Reasons    []string    `json:"reasons"`    // why it is not ready, in words
	Problems   []string    `json:"problems"`   // what else somebody should look at, in words
	Members    []Member    `json:"members"`    // sorted by name, this node included
	VIPs       []VIP       `json:"vips"`       // sorted by address
	Pools      []Pool      `json:"pools"`      // in order of configuration
	Conflicts  []Conflict  `json:"conflicts"`  // sorted by address
	At         time.Time   `json:"at"`         // of the turn that this is the outcome of; no moment: none was taken yet
	Waiting    []Waiting   `json:"waiting"`    // Services without an address, the oldest first; at most 1000 of them
	Interfaces []Interface `json:"interfaces"` // of this node, sorted by name
	Keys       Keys        `json:"keys"`       // of the gossip
	Activity   Activity    `json:"activity"`   // of this speaker since it started
	Findings   []Finding   `json:"findings"`   // everything of the above that somebody should look at, and what to do; see conditions

	Conditions []health.Condition `json:"conditions"` // all that is wrong, by code, the worst first
	Unselected []string           `json:"unselected"` // nodes without a speaker that are to have none: the DaemonSet does not select them
	Moves      []Move             `json:"moves"`      // the last changes of announcers since this speaker started, the latest first
	Routers    []Router           `json:"routers"`    // BGP routers of the configuration, sorted by name
}

// States of a member.
const (
	Alive  = "alive"
	Dead   = "dead"
	Left   = "left"
	OnWire = "wire"   // not reached by gossip, alive on the wire
	Absent = "absent" // its speaker is away and its host is there: it keeps its addresses, and others answer for them
)

// Member is a speaker of the mesh.
type Member struct {
	Name       string    `json:"name"`                // node name
	Addr       string    `json:"addr"`                // gossip address and port
	State      string    `json:"state"`               // "alive", "dead", "left", "absent": its speaker is away, or "wire": not reached by gossip, alive on the wire
	Ready      bool      `json:"ready"`               // as it says of itself
	Draining   bool      `json:"draining"`            // about to leave
	Returning  bool      `json:"returning"`           // came back, and others go first
	Hold       string    `json:"hold"`                // what a returning one waits for, in words; "" nothing
	HeldUntil  time.Time `json:"heldUntil,omitzero"`  // when that ends; no time: never by time alone
	Away       string    `json:"away"`                // until when an absent one keeps its addresses, and who answers for them, in words; "" it is not absent
	KeepsUntil time.Time `json:"keepsUntil,omitzero"` // the same time
	Drops      bool      `json:"notForwarding"`       // the node does not forward what comes for addresses, others go first
	NoProxy    bool      `json:"noKubeProxy"`         // kube-proxy of the node does not run, others go first
	Segments   []string  `json:"segments"`            // L2 networks of the node as prefixes
	Keys       []string  `json:"keys"`                // fingerprints of its gossip keys, the one that encrypts first
	Version    string    `json:"version"`             // of its program
	Since      time.Time `json:"since,omitzero"`      // of the last change of state
	LastSeen   time.Time `json:"lastSeen,omitzero"`   // when it last answered this node: a probe of gossip, or on the wire
	RoundTrip  float64   `json:"roundTrip,omitzero"`  // of the last probe, in seconds; none: not probed yet, or this node itself
	Health     string    `json:"health"`              // one or two words: "ready", "draining", "on the wire", "dead", ...
	Verdict    string    `json:"verdict"`             // what is wrong with it, in words; "" nothing
	Todo       string    `json:"todo"`                // what to do about that
	Tier       string    `json:"tier"`                // preference class: "normal", "cordoned", ...; "" when it is not
	Unfit      string    `json:"unfit"`               // why it may announce nothing at all, "" if it may
	Announces  int       `json:"announces"`           // addresses that it owns
}

// VIP is an address that at least one Service holds.
type VIP struct {
	IP       string    `json:"ip"`
	Services []string  `json:"services"` // "namespace/name", sorted; more than one share the address
	Pool     string    `json:"pool"`
	Owner    string    `json:"owner"`  // the announcer; "" nobody is eligible
	Next     string    `json:"next"`   // who takes over when the owner dies; "" nobody
	Reason   string    `json:"reason"` // why this owner, or why none
	Todo     string    `json:"todo"`   // what to do where there is none, "" nothing, or it depends on the node
	Since    time.Time `json:"since"`  // since when it is the owner

	// AnsweredBy is the node whose speaker answers for it: the owner, or while the owner's speaker
	// is away its deputy, which answers with the owner's MAC; "" nobody.
	AnsweredBy string `json:"answeredBy"`
	From       string `json:"from"`   // the owner before, "" none that this speaker knew of
	Cause      string `json:"cause"`  // of the last change: "new", "eligible", "member-lost", "moved"; "" for a new Service
	Change     string `json:"change"` // the same in words: "n1 was lost"

	Routes []Route `json:"routes"` // how it is announced to BGP routers, sorted by router

	Interfaces []string `json:"interfaces"` // of the owner, on which it announces the address, sorted; none: only the owner knows
	// Entries are those of the pool's key announce by which the owner announces it on layer 2, such
	// as "announce[0]"; none: the pool has no such key, or there is no owner.
	Entries []string `json:"entries"`
}

// Pool is a named set of ranges and how much of it is used.
type Pool struct {
	Name    string   `json:"name"`
	Ranges  []string `json:"ranges"`
	Rules   []string `json:"rules"`   // what else its configuration says, in words
	Size    uint64   `json:"size"`    // addresses; stays at the largest uint64 when there are more
	Used    uint64   `json:"used"`    // addresses held by Services
	Waiting uint64   `json:"waiting"` // Services that got no address from it
	Free    uint64   `json:"free"`    // addresses that nobody holds and no reservation keeps

	Families []FamilyUse `json:"families"` // the same for each family that it has ranges of, IPv4 first
}

// FamilyUse is how much of one family of a pool is used.
type FamilyUse struct {
	Family string `json:"family"` // "IPv4" or "IPv6"
	Size   uint64 `json:"size"`
	Used   uint64 `json:"used"`
	Free   uint64 `json:"free"`
}

// nearlyFull is of how many percent on somebody should look.
const nearlyFull = 90

// NearlyFull returns the families of which little is left. A pool of which nothing is left, small
// and on purpose, is no concern as long as nobody waits; one of which a family is left is.
func (p Pool) NearlyFull() (list []FamilyUse) {
	for _, f := range p.Families {
		if f.Percent() >= nearlyFull && p.Free > 0 {
			list = append(list, f)
		}
	}
	return list
}

// Percent is how much of it is used or reserved, from 0 to 100.
func (f FamilyUse) Percent() uint64 {
	if f.Size == 0 {
		return 0
	}
	return uint64(float64(f.Size-min(f.Free, f.Size)) / float64(f.Size) * 100)
}

// Waiting is a Service that has not got the addresses it wants.
type Waiting struct {
	Service string      `json:"service"` // "namespace/name"
	Pool    string      `json:"pool"`    // in whose count it is, "" where no pool could help
	Reason  string      `json:"reason"`  // the rule that refused, in words
	Code    health.Code `json:"code"`    // of the condition that it makes
}

// Conflict is an address that somebody else on the wire uses as well.
type Conflict struct {
	IP    string    `json:"ip"`
	Kind  string    `json:"kind"` // "stranger", "member": a node of this cluster that does not give way, or "node": it is a node's own
	MAC   string    `json:"mac"`  // hardware address of the other, if known
	Since time.Time `json:"since,omitzero"`
	Node  string    `json:"node"` // name of the other, if it is a node
	Words string    `json:"words"`
	Todo  string    `json:"todo"` // what to do about it
}

// Interface is a network interface of this node.
type Interface struct {
	Name     string   `json:"name"`
	MAC      string   `json:"mac"`
	Prefixes []string `json:"prefixes"` // connected networks
	Used     bool     `json:"used"`     // addresses are announced on it
	Reason   string   `json:"reason"`   // why not
}

// Keys are the keys of the gossip, by their fingerprints.
type Keys struct {
	Held  []string `json:"held"`  // by this node, the one that encrypts first
	State string   `json:"state"` // in words: whether all members hold the same, or how far a rotation is
}

// Activity counts what this speaker wrote to Kubernetes, by result: "ok", "conflict", "sent", ...
type Activity struct {
	Writes map[string]uint64 `json:"writes"` // of leases
	Events map[string]uint64 `json:"events"`
}

// Nodes names the members that are there, this one included: who has to be asked by those who ask
// all.
func (s Snapshot) Nodes() []string {
	names := []string{}
	for _, m := range s.Members {
		if m.State != Left && m.State != Dead {
			names = append(names, m.Name)
		}
	}
	return names
}

// Digest is a short form of who announces what: two speakers with the same one see every address at
// the same announcer.
func (s Snapshot) Digest() string {
	h := fnv.New64a()
	for _, v := range s.VIPs { // sorted
		fmt.Fprintf(h, "%s %s\n", v.IP, v.Owner)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// MarshalJSON writes lists without entries as [].
func (s Snapshot) MarshalJSON() ([]byte, error) {
	type plain Snapshot // without this method
	p := plain(s)
	p.Reasons, p.Problems, p.Members, p.VIPs = list(s.Reasons), list(s.Problems), list(s.Members), list(s.VIPs)
	p.Pools, p.Conflicts, p.Waiting, p.Interfaces = list(s.Pools), list(s.Conflicts), list(s.Waiting), list(s.Interfaces)
	p.Routers = list(s.Routers)
	p.Keys.Held, p.Findings, p.Conditions, p.Unselected = list(s.Keys.Held), list(s.Findings), list(s.Conditions), list(s.Unselected)
	p.Moves = list(s.Moves)
	return json.Marshal(p)
}

// MarshalJSON writes lists without entries as [].
func (m Member) MarshalJSON() ([]byte, error) {
	type plain Member
	p := plain(m)
	p.Segments, p.Keys = list(m.Segments), list(m.Keys)
	return json.Marshal(p)
}

// MarshalJSON writes lists without entries as [].
func (v VIP) MarshalJSON() ([]byte, error) {
	type plain VIP
	p := plain(v)
	p.Services, p.Interfaces, p.Routes, p.Entries = list(v.Services), list(v.Interfaces), list(v.Routes), list(v.Entries)
	return json.Marshal(p)
}

// MarshalJSON writes lists without entries as [].
func (p Pool) MarshalJSON() ([]byte, error) {
	type plain Pool
	q := plain(p)
	q.Ranges, q.Rules, q.Families = list(p.Ranges), list(p.Rules), list(p.Families)
	return json.Marshal(q)
}

// MarshalJSON writes lists without entries as [].
func (i Interface) MarshalJSON() ([]byte, error) {
	type plain Interface
	p := plain(i)
	p.Prefixes = list(i.Prefixes)
	return json.Marshal(p)
}

// MarshalJSON writes counts without entries as {}.
func (a Activity) MarshalJSON() ([]byte, error) {
	type plain Activity
	p := plain(a)
	for _, m := range []*map[string]uint64{&p.Writes, &p.Events} {
		if *m == nil {
			*m = map[string]uint64{}
		}
	}
	return json.Marshal(p)
}

// list is s, or an empty list in place of nil.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Condition is one word or two for a member's health.
func (m Member) Condition() string {
	switch {
	case m.State == OnWire:
		return "on the wire"
	case m.State != Alive:
		return m.State
	case m.Draining:
		return "draining"
	case !m.Ready:
		return "not ready"
	case m.Drops:
		return "not forwarding"
	case m.NoProxy:
		return "no kube-proxy"
	case m.Returning:
		return "returning"
	}
	return "ready"
}
