package speaker

import (
	"encoding/json"
	"time"
)

// Snapshot is what one speaker knows and believes at one moment. Its JSON is the public contract of
// /api/v1/status: fields are only ever added, and a list without entries is [] and never null.
// Every speaker has a view of its own, so two snapshots may disagree; Node says whose view this is.
type Snapshot struct {
	Node      string     `json:"node"`      // the speaker's own node
	Version   string     `json:"version"`   // program version
	Ready     bool       `json:"ready"`     // does its whole job
	Reasons   []string   `json:"reasons"`   // why it is not ready, in words
	Problems  []string   `json:"problems"`  // what else somebody should look at, in words
	Members   []Member   `json:"members"`   // sorted by name, this node included
	VIPs      []VIP      `json:"vips"`      // sorted by address
	Pools     []Pool     `json:"pools"`     // in order of configuration
	Conflicts []Conflict `json:"conflicts"` // sorted by address
}

// Member is a speaker of the mesh.
type Member struct {
	Name      string   `json:"name"`      // node name
	Addr      string   `json:"addr"`      // gossip address and port
	State     string   `json:"state"`     // "alive", "dead", "left", or "wire": not reached by gossip, alive on the wire
	Ready     bool     `json:"ready"`     // as it says of itself
	Draining  bool     `json:"draining"`  // about to leave
	Returning bool     `json:"returning"` // came back a moment ago, others go first
	Segments  []string `json:"segments"`  // L2 networks of the node as prefixes
	Keys      []string `json:"keys"`      // fingerprints of its gossip keys, the one that encrypts first
}

// VIP is an address that at least one Service holds.
type VIP struct {
	IP       string    `json:"ip"`
	Services []string  `json:"services"` // "namespace/name", sorted; more than one share the address
	Pool     string    `json:"pool"`
	Owner    string    `json:"owner"`  // the announcer; "" nobody is eligible
	Next     string    `json:"next"`   // who takes over when the owner dies; "" nobody
	Reason   string    `json:"reason"` // why this owner, or why none
	Since    time.Time `json:"since"`  // since when it is the owner
}

// Pool is a named set of ranges and how much of it is used.
type Pool struct {
	Name    string   `json:"name"`
	Ranges  []string `json:"ranges"`
	Rules   []string `json:"rules"`   // what else its configuration says, in words
	Size    uint64   `json:"size"`    // addresses; stays at the largest uint64 when there are more
	Used    uint64   `json:"used"`    // addresses held by Services
	Waiting uint64   `json:"waiting"` // Services that got no address from it
}

// Conflict is an address that somebody else on the wire uses as well.
type Conflict struct {
	IP    string    `json:"ip"`
	Kind  string    `json:"kind"` // "stranger", or "member": a node of this cluster that does not give way
	MAC   string    `json:"mac"`  // hardware address of the other
	Since time.Time `json:"since"`
}

// MarshalJSON writes lists without entries as [].
func (s Snapshot) MarshalJSON() ([]byte, error) {
	type plain Snapshot // without this method
	p := plain(s)
	p.Reasons, p.Problems, p.Members, p.VIPs = list(s.Reasons), list(s.Problems), list(s.Members), list(s.VIPs)
	p.Pools, p.Conflicts = list(s.Pools), list(s.Conflicts)
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
	p.Services = list(v.Services)
	return json.Marshal(p)
}

// MarshalJSON writes lists without entries as [].
func (p Pool) MarshalJSON() ([]byte, error) {
	type plain Pool
	q := plain(p)
	q.Ranges, q.Rules = list(p.Ranges), list(p.Rules)
	return json.Marshal(q)
}

// list is s, or an empty list in place of nil.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
