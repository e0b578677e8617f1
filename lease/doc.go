// Package lease decides which Service holds which address, without a controller, a leader or a
// lock. It is pure: no I/O, no clock (time is an argument), no log. What it returns is sorted and
// does not depend on the order of maps.
//
// # The protocol
//
// A Service holds an address if its lease names it, which is an annotation on the Service itself,
// or if its status.loadBalancer.ingress shows it. This is so whatever the Service's type, class or
// age. (Users can write a lease, so of a lease only what may become bound counts; see void.go.) A
// Service is bound to an address if it is of type LoadBalancer, its lease says bound for this
// address, and its ingress shows it. Only then may the address be announced. Every other hold is a
// claim. All of this is per address, never per Service.
//
// Two Services are never bound to one address unless they may share it. Any speaker may take any
// step at any time, however late its news is, and may crash between any two:
//
//   - Claim writes a free address into the lease. Nothing is shown or announced.
//   - Check compares a claim with all other holds in one atomic snapshot of the ordered stream of
//     Services. The claim passes if no other Service holds the address. Otherwise the stronger hold
//     wins: bound comes before shown in ingress, and that before merely claimed. Of equals the older
//     Service wins, then the lower UID. Any speaker that sees the loser withdraws it, and the winner
//     waits for that.
//   - Bind writes lease and ingress of a claim that passed, in one write.
//
// Every write carries the UID and the resourceVersion of the snapshot that justified it. On a
// conflict the write is dropped, and never read again and retried. That makes it safe. Of two
// claims on one address, the snapshot of the later one contains the earlier one. And a bind lands
// only if nothing about its Service has changed since its snapshot. It also ends, because the order
// of precedence is total.
//
// Nothing else makes an address bound. What another implementation left in ingress, the second
// family, a changed request: all of these are holds that are checked. A new address is claimed
// beside the old one, and the bind swaps them. If two Services are bound to one address after all,
// as after the restore of a backup, the same order says which one keeps it. Speakers change a lease
// only if it names their own installation.
//
// # The annotation
//
// The lease is JSON in the annotation starling-lb.io/lease ([Lease]). The installation (by) is the
// UID of the namespace kube-system, which no other cluster has:
//
//	{"v":1,"by":"UID","holder":"n1","ips":[{"ip":"192.0.2.1","pool":"lan","state":"bound"}]}
//
// The state is claimed or bound. Of a later version (v) only by and the addresses are understood.
//
// # Sharing
//
// Services of different namespaces come to share an address only where its pool says so (see
// across). An edit may end the right to share. Then the Service that was edited loses the address.
// All speakers know which one that is, because the lease remembers what the Service shared by when
// the lease was written (key, ports, traffic policy, selector). An edit that does no harm is noted
// in the lease. If both Services were edited since, or neither, the order above decides.
//
// # Bounds
//
// What users write costs a bounded amount of work. Speakers read 4096 bytes and 16 addresses of a
// lease, 256 bytes of a request, and 64 addresses of ingress. Longer ones count as absent.
//
// # What is not needed for safety
//
// The following lives in the memory of one speaker, and may be lost or wrong:
//
//   - Rank. The first ready member for a pool acts at once, each next one when a step is overdue by
//     a second more. So normally there is one writer.
//   - A speaker avoids its own picks that the stream has not shown yet.
//   - A released address rests for 5 s, or until no node answers for it (package tentative).
//
// After a write that is refused, the speaker decides again after a wait that doubles from 0.2 s to
// 30 s.
// Each rank waits as long again as the one before it, so that many speakers try little more often
// than one. A speaker that becomes rank 0 waits 30 s at most.
//
// Speakers do not know the same of the wire. Any of them takes back a claim on an address that a
// station answers for. A claim that was taken back is repeated after a wait that doubles up to 30
// s. If a station appears at an address before anybody has used it, only one speaker hears it. That
// speaker claims another address beside it and notes the conflict in the lease, so that all prefer
// the claim (see evade).
//
// # Speakers with different pools
//
// While a configuration spreads, speakers have different pools. Each serves from the pools that it
// knows. A claim from a pool that a speaker does not know is left to its writer: no other speaker
// binds it or gives it up, unless the writer is dead or its time is over (see differ.go). While
// members are known to differ, bound addresses stay (View.Freeze), and the speakers with one
// configuration act a moment before those with the next (View.Behind), so that there is still one
// writer.
//
// Speakers correct what others write over a bound address (overwrite.go). An address that a Service
// lists in spec.externalIPs goes to no other Service (external.go). A Service that is deleted and
// made again gets its former address (former.go).
//
// Pools say which addresses there are, in which order they are tried, and by labels which Services
// they serve. Safety does not need that either. A Service that its pool no longer serves, or whose
// request has changed, holds its address until it has another one.
//
// # The machine
//
// [Table] is an index of all holds. [Table.Apply] advances it by atomic steps of the stream.
// [Table.Steps] looks at the Services whose state may have changed, oldest first, and plans for
// each what it is to hold now. The files are plan (what to do), fulfill (slots and what fills
// them), pick (free addresses), and write (the difference as one write). A Service without an
// address waits for one address, or in a queue for any address of a pool ([Table.Usage] counts
// them). It is looked at when one is freed.
//
// A free list finds the free addresses of a pool without a scan. Of those that were never held it
// chooses one whose announcer has the fewest addresses, then the lowest. Those that were released
// come last. The caller says which node would announce an address ([Spread]). So allocation spreads
// the load, and the election of announcers needs no state.
//
// The table keeps more than the Services (entries), because a turn of the loop must cost only what
// has changed, with ten thousand Services too. Without one of these indices something would look at
// all Services, or at all addresses:
//
//	holds      which Services hold an address: the check, what is free, whom a change concerns
//	flying     own picks that the stream has not shown: two picks of one turn differ
//	keys       the addresses with a sharing key: where a Service may join
//	externals  which Services list an address in externalIPs: it is not free
//	freeLists  the free addresses of a pool and family: a pick does not scan the pool
//	loads      how many addresses each announcer has: a pick does not count them
//	used       how full each pool is, and waiting how many wait: shown after each turn
//	dirty      the Services to look at, and timers those to look at later
//	wanted     which Services wait for an address, queues which for any of a pool: a free one wakes one
//	lacking    which Services cannot have what they ask for, and why: the oldest are shown each turn
//	spaces     the labels of namespaces: an edit wakes the Services of that one
//	vips       the bound addresses, and stale those to read again: most turns change none
//	formers    what Services had that are gone: nothing else remembers it
//
// The rest is small: what the last View said (seen, ranks, behind, conflicts, spacesAt), when
// somebody last did something in a pool (progress), the sum of Foreign, and what tests read and set
// (looks, off).
//
// Label selectors are of this package. Those of k8s.io/apimachinery log, which a pure package must
// not, and do not say where in the configuration a mistake is. The watcher uses them, for what the
// API server has checked already.
//
// The tests explore every interleaving of small worlds with these very functions. For each rule of
// the protocol they show that without it the search finds a double binding or an endless loop.
package lease
