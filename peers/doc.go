// Package peers holds everything that is believed about the other nodes' speakers, and about
// this node as one of them: who is alive, who is suspect, who is dead, at which MAC each node
// is, and what must be asked or said to know it. It is pure: it does no I/O, reads no clock and
// logs nothing. [Peers.Step] takes what happened, [Peers.Ready] says what to send and when to
// call again, [Peers.Snapshot] is what the rest of the program may rely on. The model is etcd's
// raft package.
//
// # Three sources
//
// Gossip says which speakers can be reached by UDP and TCP. The wire says, by ARP and neighbor
// discovery, whether a host's kernel is there and whether a speaker runs on it. The peers
// themselves say, by messages, whom they do not hear. None is right alone: gossip needs about
// half a second for a death and stops at a firewall, a kernel answers for a speaker that has
// ended, and a node that hears nobody cannot tell whether the others have died or its own link
// has.
//
// A member that is made up with the gossip key is no peer: once any Nodes of Kubernetes are known, a
// peer must have a Node of its name.
//
// # States
//
//	gossip     host      speaker on the wire   other peers      state
//	alive      replies   (not asked)           any              Alive
//	alive      silent    any                   none agrees      Alive, suspect
//	alive      silent    silent                one agrees (a)   Dead
//	alive      silent    replies               any              Alive
//	alive      (b)       (b)                   two agree        Dead
//	alive      replies   says that it is away  any              Absent (c)
//	left       replies   said so               any              Absent (c)
//	dead       replies   does not reply        any              Absent (c)
//	any        silent    silent                one agrees (d)   Dead or Left, absent before
//	any        any       does not reply        it drops (e)     Dead or Left, absent before
//	dead       any       replies               any              Wire: gossip to it is blocked
//	dead       any       no verdict yet        any              Wire for 200 ms, if it was ready
//	dead       any       silent, port open     any              Wire for 400 ms, if it was ready
//	dead       any       silent                any              Dead
//	left       any       replies               any              Wire
//	left       any       silent                any              Left
//	unknown    any       replies               any              Wire, by the address of its Node
//
// (a) Not needed on a network of two nodes: there is nobody to agree.
// (b) It has no network in common with this node, so it cannot be asked.
// (c) For its grace, if it was ready when last heard, its MACs are known, this or a third node is
// on its network, and all that gossip reaches can be deputies. Else the rows without Absent hold.
// (d) As (a). Without anybody who agrees, 0.4 s after this node suspected it: an absent peer cannot
// refute, and gossip finds out nothing more. Watchers that hear its host refute in its name.
//
// (e) A tester says so (package forward), and has within the last 5 s.
//
// Of rows that match alike those with Absent come first: a peer that gossip has given up is Absent
// at once, and Wire as soon as its speaker replies.
//
// A peer that is Dead while gossip has it alive is alive again when it replies or refutes, or after
// ten seconds: by then gossip should have found the same. The two rows with a time are for peers
// only that this node did not believe dead before. "Port open" means that the kernel of the peer's
// host accepted a connection to its gossip port after gossip gave it up: only its kernel knows
// whether a silent process has exited or is merely stopped.
//
// A peer that is Alive, Wire or Absent takes part in the election; the others do not. What an
// election must know of a Wire peer (ready, in touch with the API server, returning) its replies
// say, see [Word]. When gossip is blocked between all and one node, one way or both, that node goes
// from Alive to Wire, with a moment of Absent where (c) holds, and its addresses stay.
//
// A process that is stopped while its host lives is no case for the host watch. Gossip gives it up
// after about half a second, and then it is Absent. Where (c) does not hold, its open port gives it
// 0.4 s more, and after that it is Dead. When it goes on it is Wire after its next reply, at most a
// second later (silent speakers are asked once a second), or Alive again by gossip. After a stop
// that is longer than its grace it is returning, see below. Package claims says what
// becomes of its addresses.
//
// # Absent
//
// A speaker is not the node: packets for an address are forwarded by the node's kernel, also while
// its speaker is restarted. So who is absent keeps its addresses, and others answer for them with
// its MAC (deputies, see package speaker). SIGTERM says "away" where (c) can hold and the node
// itself stays; else the speaker hands over. A speaker that begins says that it is away until it is
// ready, and hears from the watchers of its host that it was taken for absent: then it is not
// returning. Its node goes on being tested: once a tester says that it drops what comes for addresses
// the absence is over, also after that is forgotten. A node that started later takes their word that a peer is absent. Who is not back
// within the grace is dead, or has left.
//
// When all speakers restart at once, those that come first find nobody to take a word from. So a node
// also takes those for absent that an earlier process of its own knew a moment ago ([Member].Recalled),
// for their grace from when this process began; and it is not returning itself. That
// ends when it meets a process that the earlier one knew, which has seen everything since.
//
// # Host watch
//
// Every peer is watched by the three others on its networks that rank highest for its name
// (rendezvous hashing, package owner). They probe the kernel of its host at a steady pace, every
// 40 ms unless the user says otherwise ([Config.Pace]). After two misses in a row the peer is
// suspect, and the watcher sends Suspect to all peers, the suspect included, up to five times.
// After four its host is silent. A peer that never replied to a host probe is not watched: a
// firewall or another release is no death. If it is absent it is suspect: nobody can tell whether
// it is there. The host of an absent peer is asked every 15 ms (probe.Rhythms.Close): it is suspect
// after two misses, silent after five, and dead in about 0.1 s.
//
// # Suspect and refute
//
// Who suspects a peer, or hears Suspect, probes its kernel and speaker at once. It believes in the
// death when both are silent and one other node suspects the peer, and says Suspect to that one in
// return: of the three that watch a host two may be dead as well. So the verdicts of all are ready
// when that of the watchers is, and the suspect has the time of two probes to answer Refute to all,
// which ends the suspicion. It then announces its addresses again, since neighbors may have been
// told otherwise. The messages are those of SWIM (Das, Gupta, Motivala: SWIM, DSN 2002), sent
// directly rather than gossiped.
//
// # Probes
//
// Package probe has the questions, which go to one MAC again and again as long as anybody wants
// to know, and the one table of how often, and of how many misses in a row are silence. Peers
// that gossip does not reach are asked for their speakers. While this node is not fit to own
// addresses, or meets nobody by gossip, it asks everybody on its networks.
//
// # This node
//
// Testers say to a node whose speaker is well that it drops what comes for addresses ([Message]), again
// and again as long as it does. It then says of itself that others go first, and is returning when
// that has ended.
//
// The node itself has three properties that it says to its peers. It is returning for a while
// after it became ready, was stopped or was cut off, and lets others go first (see [hold]); the
// while is Timing.Hold. Its contact with the API server is one of three values with slack between
// them (see [contact]). And it takes itself for cut off while all its peers, at least two, are dead.
package peers
