// Package lease decides which Service holds which address, without a controller, a leader or a
// lock. It is pure: no I/O, no clock (time is an argument), no log; what it returns is sorted and
// does not depend on the order of maps.
//
// # The protocol
//
// A Service holds every address in its lease, which is an annotation on itself, and every address in
// its status.loadBalancer.ingress, whatever its type, class or age. (Of a lease only what may become
// bound counts, since users can write it; see void.go.) It is bound to an address, and
// only then the address may be announced, if it is of type LoadBalancer, the lease says bound for
// this address, and ingress shows it. Everything else that is held is a claim. All of this is per
// address, never per Service.
//
// Two Services are never bound to one address unless they may share it. Any speaker may take any
// step at any time, at any lag, and crash between any two:
//
//   - Claim writes a free address into the lease. Nothing is shown or announced.
//   - Check compares a claim with all other holds in one atomic snapshot of the ordered stream of
//     Services. It passes if nobody else holds the address. Else the stronger hold wins: bound comes
//     before shown in ingress, that before merely claimed; of equals the older Service wins, then
//     the lower UID. The loser is withdrawn by whoever sees it, the winner waits for that.
//   - Bind writes lease and ingress of a claim that passed, in one write.
//
// Every write carries the UID and the resourceVersion from the snapshot that justified it, and is
// dropped on conflict: never read again and retried. That is why it is safe: of two claims the later
// one's snapshot contains the earlier hold, and a bind lands only if nothing about the Service has
// changed since its snapshot. It ends because the order of precedence is total.
//
// Nothing else makes an address bound. Adoption of what another implementation left in ingress, the
// second family, a changed request: all are holds that are checked. A new address is claimed beside
// the old one and swapped at bind. Should two be bound to one address after all (a restored backup),
// the same order says who keeps it. A lease is changed only by the installation that it names.
//
// Services of different namespaces come to share an address only where its pool says so; see across. Services
// that share an address may stop being allowed to: one of them is edited. It is the one that
// loses the address, and all speakers know which it is, because the lease remembers what the Service shared
// by when it was written (key, ports, traffic policy, selector). An edit that does no harm is noted in the
// lease. If both were edited since, or neither, the order above decides.
//
// What users write costs a bounded amount of work: of a lease 4096 bytes and 16 addresses are read, of a
// wish 256 bytes, of ingress 64 addresses, and whatever is longer is as if it were not there.
//
// What is not needed for safety: rank (the first ready member for a pool acts at once, the next ones
// when a step is overdue, so that in peace there is one writer), avoiding own picks in flight, and
// letting released addresses rest until nobody answers for them. It lives in the memory of one speaker and may be lost or wrong.
//
// A write that is refused is decided again after a wait that doubles up to 30 s. Each rank waits as long again as the one
// before it, so that many speakers try little more often than one. Who becomes rank 0 waits 30 s at most.
//
// Speakers do not know the same of the wire: any of them takes back a claim on an address that a station
// answers for, and a claim that was taken back is repeated after a wait that doubles up to 30 s.
//
// A station that appears at an address before anybody has used it is heard by one speaker alone. That one
// claims another address beside it and notes the conflict in the lease, so that all prefer the claim;
// see evade.
//
// Speakers do not have the same pools while a configuration spreads. Each serves from the pools that it
// knows, and a claim from a pool that it does not know is its writer's business: nobody else binds it or
// gives it up, unless the writer is dead or has had its time; see differ.go. While members are known to
// differ bound addresses stay (View.Freeze), and those of one configuration act a moment before those of
// the next (View.Behind), so that there is one writer still.
//
// What is bound and what others write over it is put right; see overwrite.go. An address that a Service lists
// in spec.externalIPs goes to no other one; see external.go. A Service made again gets its former address; see former.go.
//
// Pools say which addresses there are, in which order they are tried, and by labels which Services they
// serve. Safety does not need that either: a Service that its pool does not serve any more holds
// its address until it has another one, like one whose wish has changed.
//
// # The machine
//
// [Table] is an index of all holds, fed with atomic advances of the stream by [Table.Apply].
// [Table.Steps] looks at the Services whose state may have changed, oldest first, and plans for each
// what it is to hold now: plan (what to do), serve (slots and what fills them), pick (free
// addresses), write (the difference as one write). Services without an address wait for one address
// or in a queue for any of a pool ([Table.Usage] counts them), and are looked at when one is freed.
//
// A shelf finds the free addresses of a pool without a scan. Of those that were never held it chooses
// one whose announcer has the fewest addresses, then the lowest; those that were released come last.
// Who would announce an address the caller says ([Spread]); so the load is spread by allocation, and
// the election of announcers needs no state.
//
// The table keeps more than the Services (entries), because a turn of the loop must cost what has
// changed, with ten thousand Services too. Without one of these indices something would look at all
// Services, or at all addresses:
//
//	holds      who holds an address: the check, what is free, whom a change concerns
//	flying     own picks that the stream has not shown: two picks of one turn differ
//	keys       the addresses with a sharing key: where a Service may join
//	externals  who lists an address in externalIPs: it is not free
//	shelves    the free addresses of a pool and family: a pick does not scan the pool
//	loads      how many addresses each announcer has: a pick does not count them
//	used       how full each pool is, and waiting how many wait: shown after each turn
//	dirty      the Services to look at, and alarms those to look at later
//	wanted     who waits for an address, queues who for any of a pool: a free one wakes one
//	lacking    who cannot have what it wants, and why: the oldest are shown after each turn
//	spaces     the labels of namespaces as told: an edit wakes the Services of that one
//	vips       the bound addresses, and stale those to read again: most turns change none
//	formers    what Services had that are gone: nothing else remembers it
//
// The rest is small: what the last View said (seen, ranks, behind, conflicts, spacesAt), when
// somebody last did something in a pool (progress), the sum of Elsewhere, and what tests read and
// set (looks, off).
//
// Label selectors are of this package. Those of k8s.io/apimachinery log, which a pure room must not,
// and do not say where in the configuration a mistake is. The watcher uses them, for what the API
// server has checked already.
//
// The tests explore every interleaving of small worlds with these very functions, and show for each
// rule of the protocol that without it the search finds a double binding or an endless loop.
package lease
