package report

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/routes"
	"github.com/starling-lb/starling/watcher"
)

// World is what one turn of the loop knows and has decided, as far as somebody may want to see it.
// Nobody changes it after the turn, so any goroutine may look at it then. Before the first turn Now
// is zero.
type World struct {
	Self    string // name of this node
	Version string // of the program
	Now     time.Time

	// What the turn begins with.
	Cluster watcher.State
	Wire    arpd.State
	Pools   *lease.Pools
	Gossip  []mesh.Member     // as the mesh has them, without the following
	Members []mesh.Member     // as they are believed to be, sorted by name, this node as of this turn
	Meta    mesh.Meta         // what this node says of itself
	Names   map[string]string // node by MAC
	// SilentKernels are nodes that this one watches and whose kernels reply to no probe, sorted.
	SilentKernels []string
	Lacks         []health.Condition // why this node may own nothing
	Peers         []health.Condition // as the mesh finds them
	Mistakes      []health.Condition // of the configuration
	ProxyLost     bool               // kube-proxy of this node is missing
	Overlap       Overlap

	// What it decides.
	VIPs       []lease.VIP          // sorted
	Election   func(i int) Election // of VIPs
	Candidates *owner.Nodes
	Scope      func(pool string) *owner.Scope // where a pool's addresses may be announced; nil: anywhere
	Own        []netip.Addr                   // this node's by election, sorted; never changed in place
	Mine       int                            // of these, without those that are left to others
	Deputies   map[netip.Addr]elect.Deputy    // who answers for addresses of nodes whose speakers are away
	Deputized  int                            // of these, by this node
	Kernels    map[netip.Addr]bool            // bound addresses that are also a node's own
	Plan       *routes.Plan                   // what is announced by BGP; nil: nothing can be
	Sessions   []routes.Session               // of this node with BGP routers, sorted
	Unread     []health.Condition             // passwords of BGP routers
	Usage      []lease.Usage                  // of the pools
	Elsewhere  lease.Foreign
	Moves      []api.Move         // the last ones of addresses, the latest first
	Found      []health.Condition // what the loop itself finds wrong

	// What is wrong, see Evaluate.
	Reasons  []health.Condition // what keeps the node from doing its whole job
	Problems []health.Condition // what else concerns this node
	Unwell   []health.Condition // of members, and of nodes without a speaker
	Without  Speakerless        // nodes

	isolation          *isolation // see isolated
	lookedForIsolation bool
}

// Election is a bound address at its election.
type Election struct {
	Candidate owner.VIP
	Place     *elect.Place // where the address may be announced; nil: anywhere
	Result    owner.Result // what holds
	Since     time.Time    // since when the owner is it
	From      string       // the owner before
	Cause     string       // of the change, one of those below
}

// Why an address has another owner than before.
const (
	CauseNew      = "new"         // it was not known before
	CauseEligible = "eligible"    // nobody was eligible before
	CauseLost     = "member-lost" // the owner is gone
	CauseMoved    = "moved"       // another node is to have it now
)

// Fit reports whether the node may own addresses.
func (w *World) Fit() bool { return len(w.Lacks) == 0 }

// Find returns where the address is among the bound ones.
func (w *World) Find(ip netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(w.VIPs, ip, func(v lease.VIP, ip netip.Addr) int { return v.IP.Compare(ip) })
}

// Ownerless counts the addresses that somebody is to announce and nobody may.
func (w *World) Ownerless() int {
	n := 0
	for i := range w.VIPs {
		if r := w.Election(i).Result; r.Owner == "" && !r.Elsewhere {
			n++
		}
	}
	return n
}

// Announced are the addresses that this node announces, sorted: without those that are left to
// another node.
func (w *World) Announced() []netip.Addr {
	if len(w.Wire.Yields) == 0 {
		return w.Own
	}
	return slices.DeleteFunc(slices.Clone(w.Own), func(ip netip.Addr) bool {
		_, left := w.Wire.Yields[ip]
		return left
	})
}

// Count counts the members in a state.
func (w *World) Count(state mesh.State) int {
	n := 0
	for _, m := range w.Members {
		if m.State == state {
			n++
		}
	}
	return n
}
