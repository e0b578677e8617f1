// Package peers holds everything that this node believes about the other nodes' speakers and about
// itself as one of them: which are alive, suspect, absent or dead, at which MACs each node is, and
// what to probe or send to find out. It is pure: it does no I/O, reads no clock and logs nothing.
// [Peers.Step] takes an event, [Peers.Ready] returns what to send and when to call again, and
// [Peers.Snapshot] is what the rest of the program may rely on. The model is etcd's raft package.
//
// # Three sources
//
// Gossip finds out which speakers can be reached by UDP and TCP. The wire finds out, by ARP and
// neighbor discovery, whether a host's kernel replies and whether a speaker runs on the host. The
// peers themselves send messages about those that they do not hear.
//
// None of the three is right alone. Gossip needs about half a second for a death and stops at a
// firewall. A kernel replies although the speaker on it has ended. And a node that hears nobody
// cannot tell whether the others have died or its own link has.
//
// Somebody with the gossip key can make up members. So as soon as any Nodes of Kubernetes are
// known, a member is a peer only if there is a Node of its name.
//
// # States
//
// "Agrees" means that another node suspects the peer as well.
//
//	gossip     host      speaker on the wire   other peers       state
//	alive      replies   (not probed)          any               Alive
//	alive      silent    any                   none agrees       Alive, suspect
//	alive      silent    silent                one agrees (a)    Dead
//	alive      silent    replies               any               Alive
//	alive      (b)       (b)                   two agree         Dead
//	alive      replies   says that it is away  any               Absent (c)
//	left       replies   said so               any               Absent (c)
//	dead       replies   does not reply        any               Absent (c)
//	any        silent    silent                one agrees (d)    Dead or Left, Absent before
//	any        any       does not reply        it drops (e)      Dead or Left, Absent before
//	dead       any       replies               any               Wire: gossip to it is blocked
//	dead       any       not known yet         any               Wire for 200 ms, if it was ready
//	dead       any       silent, port open     any               Wire for 400 ms, if it was ready
//	dead       any       silent                any               Dead
//	left       any       replies               any               Wire
//	left       any       silent                any               Left
//	unknown    any       replies               any               Wire, by the address of its Node
//
// (a) On a network of two nodes there is no third one, and none is needed. (b) The peer has no
// network in common with this node, so this node cannot probe it. (c) For its grace, if all of this
// holds: it was ready when last heard; its MACs are known; this or a third node is on its network;
// and every peer that gossip reaches can be a deputy. Otherwise the rows without Absent hold. (d)
// As (a). If nobody agrees, 0.4 s after this node suspected the peer: an absent peer cannot refute,
// and gossip finds out nothing more. Watchers that hear its host refute in its name. (e) A tester
// has said within the last 5 s that the node does not forward (package forward).
//
// If several rows match, those with Absent come first. So a peer that gossip has declared dead is
// Absent at once, and Wire as soon as its speaker replies.
//
// A peer that is Dead although gossip has it alive is alive again when it replies or refutes, or
// after ten seconds: by then gossip should have found the same. The two rows with a time are only
// for peers that this node did not believe dead before. "Port open" means that the kernel of the
// peer's host accepted a connection to its gossip port after gossip declared it dead. Only its
// kernel knows whether a silent process has exited or is merely stopped.
//
// A peer that is Alive, Wire or Absent takes part in the election; the others do not. For a Wire
// peer its replies carry what an election must know: whether it is ready, in touch with the API
// server, or returning (see [Word]). If gossip is blocked between one node and all others, one way
// or both, that node goes from Alive to Wire, with a moment of Absent where (c) holds. Its
// addresses stay.
//
// The host watch does not notice a process that is stopped while its host lives. Gossip declares it
// dead after about half a second, and then it is Absent. Where (c) does not hold, its open port
// gives it 0.4 s more, and after that it is Dead. When the process goes on, it is Alive again by
// gossip, or Wire after its next reply, at most a second later: silent speakers are probed once a
// second. If it was stopped for longer than its grace it is returning, see below. Package claims
// says what becomes of its addresses.
//
// # Absent
//
// A speaker is not the node. The node's kernel forwards packets for an address, also while the
// speaker is restarted. So an absent peer keeps its addresses, and deputies answer for them with
// its MAC (package speaker).
//
// A speaker that receives SIGTERM says "away" where (c) can hold and the node itself stays.
// Otherwise it hands its addresses over. A speaker that starts says "away" until it is ready. The
// watchers of its host tell it that they took it for absent; then it is not returning. A node that
// started later takes their word that a peer is absent.
//
// Testers go on testing an absent peer's node. As soon as one says that the node drops packets,
// that its kube-proxy is gone, or that nothing of it can be tested, the absence is over. It does
// not begin again. A peer that is not back within its grace is Dead, or Left.
//
// When all speakers restart at once, the first ones find nobody whose word they could take. So a
// node also takes those peers for absent that an earlier process of its own knew a moment ago
// ([Member].Recalled), for their grace from the start of this process. It is not returning itself
// then. This ends when it meets a process that the earlier one knew, since that one has seen
// everything since.
//
// # Host watch
//
// Three other nodes watch each peer: those on its networks that rank highest for its name
// (rendezvous hashing, package owner). They probe the kernel of its host at a steady pace, every 40
// ms unless the user says otherwise ([Config.Pace]). After two misses in a row the peer is suspect,
// and the watcher sends Suspect to all peers, the suspect included, up to five times. After four
// misses its host is silent.
//
// A peer that never replied to a host probe is not watched: a firewall or another release is no
// death. If such a peer is absent it is suspect, since nobody can tell whether its host lives.
// While its speaker lives, its watchers report that ([Peer].KernelSilent). So they do when a kernel
// that replied falls silent and its speaker does not.
//
// The host of an absent peer is probed every 15 ms (probe.Rhythms.Close). It is suspect after two
// misses, silent after five, and so dead in about 0.1 s.
//
// Members say in their metadata whose hosts they watch of those that they take for absent. If many
// nodes die at once, or messages are lost, the three may take a peer for dead that others take for
// absent. Then they no longer watch it. So a node that has taken a peer for absent for a second
// watches its host as well, as long as no member that ranks higher says that it does.
//
// # Suspect and refute
//
// A node that suspects a peer, or receives Suspect, at once probes the peer's kernel and speaker.
// It believes in the death when both are silent and one other node suspects the peer. It then sends
// Suspect to that other node in return, because two of the three watchers may be dead as well. So
// all nodes come to their result when the watchers do. Meanwhile the suspect has the time of two
// probes to send Refute to all, which ends the suspicion. A node that had to refute announces its
// addresses again, since neighbors may have learned another owner.
//
// The messages are those of SWIM (Das, Gupta, Motivala: SWIM, DSN 2002), sent directly rather than
// gossiped.
//
// # Probes
//
// Package probe repeats a question to one MAC for as long as anybody wants the answer. It has the
// one table of how often, and of how many misses in a row are silence. Peers that gossip does not
// reach get questions to their speakers. While this node is not fit to own addresses, or meets
// nobody by gossip, it sends a question to everybody on its networks. While all its peers are
// dead it does so four times a second: it has taken their addresses, and if only a link was broken,
// two nodes answer for each until it finds one of them.
//
// # This node
//
// Testers send a node that drops packets a [Message] about that, again and again while it lasts.
// The node then says of itself that others go first, and it is returning when that has ended.
//
// The node has three properties that it says to its peers:
//
//   - It is returning for Timing.Hold (3 s) after it became ready, was stopped or was cut off. Others
//     go first meanwhile. Each further return within five minutes doubles that, up to a minute (see
//     [hold]).
//   - Its contact with the API server is one of three values: in touch, unsure after 30 s without,
//     out of touch after 60 s. It is in touch again after 30 s without a break (see [contact]).
//   - It takes itself for cut off while all its peers, at least two, are dead.
//
// Metadata carry all of it. A reply on the wire has room for three bits ([Word.Code]): 0, it may
// own nothing; 1 to 3, in touch, unsure, out of touch; 4 to 6, the same and returning; 7, it has no
// kube-proxy or does not forward.
//
// # Times
//
// [Times] has all of them, and [Timing] says what each is for. Suspect is sent five times, the
// first pause is 50 ms, and each further one is twice as long. It counts for 1 s after it was last
// heard. What a tester says counts for 5 s. A process that comes a second later than it was to was
// stopped.
package peers
