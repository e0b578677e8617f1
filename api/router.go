package api

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Router is a BGP router of the configuration.
type Router struct {
	Name     string   `json:"name"`
	Address  string   `json:"address"`
	ASN      uint32   `json:"asn"`
	Sessions string   `json:"sessions"` // "few": some speakers announce all nodes; "each": each announces its own
	Why      string   `json:"why"`      // why so, in words
	Speakers []string `json:"speakers"` // nodes that are to have a session, sorted
	Up       []string `json:"up"`       // nodes that have one and have announced everything, sorted
	Session  *Session `json:"session"`  // of the speaker's own node; null: it is to have none
}

// Session is what became of a session with a BGP router.
type Session struct {
	State string    `json:"state"` // "idle", "connect", "active", "open sent", "open confirm" or "established"
	Since time.Time `json:"since,omitzero"`
	Cause string    `json:"cause"` // why it is not established, one of a few words; "" it is, or nothing is known yet
	Words string    `json:"words"` // what the router or the kernel said
	Paths int       `json:"paths"` // announced to the router
	Flaps uint64    `json:"flaps"` // how often an established session ended
}

// Route is how an address is announced to a BGP router.
type Route struct {
	Router  string   `json:"router"`
	Nodes   []string `json:"nodes"`   // next hops, sorted
	Leaving []string `json:"leaving"` // of these, those that are about to be withdrawn
	By      []string `json:"by"`      // nodes whose speakers announce them, sorted; none: no session is there
}

// Routed says in a few words which nodes are announced to which routers: "n1 n2 n3 to tor1, tor2;
// n1 to tor3".
func Routed(list []Route) string {
	var texts []string
	for i := 0; i < len(list); {
		nodes, routers := list[i].Nodes, []string{list[i].Router}
		for i++; i < len(list) && slices.Equal(list[i].Nodes, nodes); i++ {
			routers = append(routers, list[i].Router)
		}
		texts = append(texts, strings.Join(nodes, " ")+" to "+strings.Join(routers, ", "))
	}
	return strings.Join(texts, "; ")
}

// Hops are all nodes that an address is announced for to BGP routers, sorted.
func (v VIP) Hops() []string {
	var nodes []string
	for _, r := range v.Routes {
		nodes = append(nodes, r.Nodes...)
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// MarshalJSON writes lists without entries as [].
func (r Router) MarshalJSON() ([]byte, error) {
	type plain Router
	p := plain(r)
	p.Speakers, p.Up = list(r.Speakers), list(r.Up)
	return json.Marshal(p)
}

// MarshalJSON writes lists without entries as [].
func (r Route) MarshalJSON() ([]byte, error) {
	type plain Route
	p := plain(r)
	p.Nodes, p.Leaving, p.By = list(r.Nodes), list(r.Leaving), list(r.By)
	return json.Marshal(p)
}
