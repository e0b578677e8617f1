// Package bgp holds the sessions with routers (BGP-4, RFC 4271).
//
// It is given whole sets of paths (package routes) and says what became of the sessions. It decides
// nothing, and a speaker without the key bgp in its configuration starts none of it: no goroutine
// beside Run, no port.
//
// # What it is not
//
// No BGP router. It announces and takes nothing: it has no routing table, no policy and no port of
// TCP, and what a router sends it reads and forgets. So the codecs of GoBGP are all that it needs
// of that library; a GoBGP server for each router cost 24 MB more, kept to itself why a session
// failed, and could not run BFD with two routers. Tests hold sessions with BIRD, FRR and GoBGP.
//
// # A session
//
// Each router has one goroutine. It connects, sends OPEN, waits for the router's OPEN and
// KEEPALIVE, sends all paths and End-of-RIB, and from then on what changed: first what is
// announced, then what is withdrawn, so that no prefix is without a path between the two. A path
// that changes in any other way than its next hop replaces the one before it. A session that fails
// is tried again after 1 s to 16 s, one that comes and goes after 1 s to two minutes. See backoff.
//
// IPv4 and IPv6 go over one session (RFC 4760), if the router takes both. Several paths for a
// prefix (RFC 7911) are told apart by a number, the last 32 bits of the next hop, so that a speaker
// that restarts uses the same ones. A router that takes only one gets the first that stays.
//
// Packets have the TTL 255, as routers with the TTL security of RFC 5082 demand and others do not
// mind; with Multihop that number.
//
// # Ends
//
//	why                                the router hears    the router's routes
//	the process ends, Restart is set   nothing             stay for Restart (RFC 4724)
//	the process ends otherwise         Cease, shutdown     go
//	the router is not in the set       Cease, removed      go
//	the router's settings change       as at the process's end, and a session follows at once
//	the process dies                   nothing             as at its end
//
// What was applied last is sent before. So who leaves applies paths that are Leaving (RFC 8326),
// then none, then a set without routers, and then ends.
//
// # BFD
//
// With BFD a session of RFC 5880 runs between the same addresses for as long as the BGP session
// stands, on UDP port 3784, or 4784 with Multihop. When the path is lost the BGP session ends. It
// listens only where a session needs it. A port that is taken is tried again; BGP does without
// meanwhile, and the session says so.
package bgp
