package lease

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/health"
)

// View is what a speaker knows at one moment besides the Services. Steps are decided from the table
// and a View alone.
type View struct {
	Now time.Time
	// Installation names this set of speakers, the same on all of them and always. Leases of
	// another one are respected and never touched.
	Installation string
	// Classes are those of --lb-class.
	Classes Classes
	Pools   *Pools
	// Self goes into the lease as its holder, for people to read.
	Self string
	// Rank is this speaker's rank among the ready members for a name of a pool (also for a name
	// that is no pool's): 0 acts at once, k when a step is overdue by k intervals, -1 not at all.
	// Nil means 0.
	Rank func(pool string) int
	// Behind is how many other configurations come before this speaker's, while members have
	// different ones: those who have them act first, each a moment before the next.
	Behind int
	// Alive reports whether the speaker of a node lives, as far as this one knows: only then a
	// claim of that node on an address that this configuration does not allow may still become
	// something. Nil: none does.
	Alive func(node string) bool
	// Reserved says why an address must not be handed out, such as "node n1's address", or "".
	// It must be quick and should be true of few addresses. Nil means "".
	Reserved func(netip.Addr) string
	// Used says which station was seen to have an address that nobody holds, such as "MAC
	// 02:00:00:00:00:03", or "". The address is not handed out then, but one that its Service shows
	// already is adopted: there the station is the implementation before us. Nil means "".
	Used func(netip.Addr) string
	// Conflicts are bound addresses that nobody has used yet and that stations answer for, each
	// with the MAC of the station. The Services that hold them, and ask for no address, are moved
	// to other ones by this speaker. The map must not change. Nil means that there are none.
	Conflicts map[netip.Addr]string
	// Proof says until when it is not known whether a station has an address; a claim is not bound
	// before. It is asked first when the address is picked. Nil means that all are known.
	Proof func(netip.Addr) time.Time
	// Rested says until when an address must rest that was released at a time, so that nobody
	// answers for its old holder any more, or when to ask again. It is asked while a Service waits
	// for the address. Nil means for as long as [Rest].
	Rested func(ip netip.Addr, released time.Time) time.Time
	// Spread says which node would announce an address. Nil: the lowest free address is picked.
	Spread *Spread
	// NamespaceLabels are the labels of a namespace: not nil if it is known, even if it has none;
	// they must not change. NamespaceEdits differs whenever it may answer otherwise than before.
	// Nil means that no namespace is known.
	NamespaceLabels func(namespace string) Labels
	NamespaceEdits  uint64
	// Freeze keeps bound addresses whatever the pools and the class of this configuration say. To
	// be set while members are known to have different configurations, so that they do not undo
	// each other.
	Freeze bool
}

// Kinds of steps.
const (
	Claim    = "claim"    // picks an address: it is held, and not shown
	Bind     = "bind"     // a claim passed the check: it is shown and may be announced
	Withdraw = "withdraw" // gives up a claim
	Release  = "release"  // gives up what was bound or shown: nobody wants it, or its Service may not have it
	Repair   = "repair"   // gives up what another Service is bound to
	Note     = "note"     // writes down by which rules a bound address is held
	Tell     = "tell"     // writes nothing, has only events
)

// Step is one write to one Service, and the events that belong to it. The write must carry UID and
// Version and must be dropped, not retried, when the server knows another version. Done has to be
// called with the outcome. A step of kind Tell has no write and needs no Done.
type Step struct {
	Kind         string
	Service      Key
	UID, Version string
	Annotations  map[string]string // to write; "" removes
	Ingress      []string          // the whole list, primary family first
	SetIngress   bool
	Events       []Event // to be emitted once the write was accepted

	names []string // see plan
}

// bound are the addresses that the step binds.
func (s *Step) bound() (ips []netip.Addr) {
	for _, e := range s.Events {
		if e.Reason == IPAllocated {
			ips = append(ips, e.IP)
		}
	}
	return ips
}

// Event is an event on the Service of its step.
type Event struct {
	Warning         bool
	Reason, Message string
	Code            health.Code // of the condition that the event tells; of AllocationFailed: which rule refused
	IP              netip.Addr  // of IPAllocated: the address that is bound now
}

// Reasons of events.
const (
	// IPAllocated tells that the Service has an address now, from which pool, and who announces it.
	IPAllocated = "IPAllocated"
	// IPReleased tells that the Service has given up an address, and why.
	IPReleased = "IPReleased"
	// StatusOverwritten tells that another client wrote to status.loadBalancer.ingress of a Service
	// that had its address, and which one; speakers correct that.
	StatusOverwritten = "StatusOverwritten"
	// AllocationFailed tells which rule or which full pool keeps the Service from an address.
	AllocationFailed = "AllocationFailed"
	// AddressConflict tells that something else has the address too: another machine, a node
	// itself, or another Service by an edited lease. If nobody has used the address yet, it names
	// the one that the Service has instead.
	AddressConflict = "AddressConflict"
)

// VIP is an address to announce: a bound one, or one that another allocator has given.
type VIP struct {
	IP       netip.Addr
	Pool     string // that contains it, or keeps it; "" for none
	Services []Key  // sorted; several when they share it
}

// Usage counts the addresses of one pool.
type Usage struct {
	Pool    string
	Size    uint64 // at most the largest uint64
	Used    uint64 // held by any Service, in any way
	Free    uint64 // neither held nor reserved, so that any Service may get them
	Waiting uint64 // Services that have no address because this pool has none for them

	Families []FamilyUsage // those that it has ranges of, IPv4 first
}

// FamilyUsage counts the addresses of one family of a pool.
type FamilyUsage struct {
	Family           string // "IPv4" or "IPv6"
	Size, Used, Free uint64 // as of Usage
}
