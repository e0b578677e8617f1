package mesh

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// Detection is how fast a silent member is declared dead, and how much a slow one
// is forgiven.
//
// Every member probes one other per interval, in shuffled rounds. A probe
// that is not answered within its timeout is repeated through up to three
// others and by TCP; one that is not answered at all within the interval
// makes the target a suspect, which everybody learns, the suspect
// included. A suspect that does not object is dead after
//
//	lowest  = mult * max(1, log10 members) * interval
//	highest = most * lowest
//
// the highest when nobody else confirms the suspicion, the lowest when
// mult-2 others do, or when there are not that many others.
type Detection string

// The presets, with the time from a silent death until every other member
// has noticed, over 3 to 10 members (TestSilentDeath holds the figures).
const (
	// Fast takes about 0.4 s. One member's opinion is enough (mult-2 = 0), so
	// a process that was stopped for 0.3 s may be declared dead: for networks and
	// nodes that are never starved.
	Fast Detection = "fast"
	// Default takes about 0.5 s and survives a process that stops for 0.3 s.
	Default Detection = "default"
	// Calm takes about 5 s, for links that lose or delay a lot.
	Calm Detection = "calm"
)

// ParseDetection reads the name of a preset.
func ParseDetection(s string) (Detection, error) {
	switch d := Detection(s); d {
	case Fast, Default, Calm:
		return d, nil
	}
	return "", fmt.Errorf("%q is not one of fast, default, calm", s)
}

// Watch is how often one member asks the kernel of another whether it is there;
// after four probes in a row without a reply its host is silent. So it is declared dead
// after 0.2 s by default, 0.15 s or 2.5 s, without waiting for gossip.
func (d Detection) Watch() time.Duration {
	switch d {
	case Fast:
		return 30 * time.Millisecond
	case Calm:
		return 500 * time.Millisecond
	}
	return 40 * time.Millisecond
}

// pace sets what the presets differ in.
func (d Detection) pace(c *memberlist.Config) {
	// The timeout is below half of the interval on purpose: a member that is
	// asked to probe too, and gets no answer either, says so after one more
	// timeout, and only when that arrives within the interval does the prober
	// know that not itself is the slow one (a slow one stretches its interval
	// up to eightfold). With half of the interval, one death raised the
	// survivors' scores to 1 to 3; with this, it never did. A direct answer
	// that comes later than the timeout still counts.
	c.ProbeInterval, c.ProbeTimeout = 100*time.Millisecond, 40*time.Millisecond
	// The library's 6 would let an unconfirmed suspicion wait six times as
	// long; the node that was cut off from everybody else always is in that
	// position.
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 2
	// A suspicion, an objection or a goodbye spreads one hop per interval.
	// A tick with nothing to say costs microseconds and sends nothing.
	c.GossipInterval = 20 * time.Millisecond
	switch d {
	case Fast:
		c.SuspicionMult = 2
	case Calm:
		c.ProbeInterval, c.ProbeTimeout = time.Second, 450*time.Millisecond
		c.SuspicionMult, c.SuspicionMaxTimeoutMult = 4, 3
		c.GossipInterval = 100 * time.Millisecond
	}
}

// exchangeEvery lies between two exchanges of state that a member begins, in a mesh of up to 32.
const exchangeEvery = 5 * time.Second

// protocol returns memberlist's configuration without the delegates of a Mesh.
func (c Config) protocol() *memberlist.Config {
	p := memberlist.DefaultLANConfig()
	c.Detection.pace(p)
	p.Name = c.Name
	// Two clusters on one LAN that find each other must not merge: what does
	// not carry our label is dropped before it is decrypted, and the label is
	// authenticated with the key.
	p.Label, p.SkipInboundLabelCheck = c.Label, false
	if c.Advertise.IsValid() {
		p.AdvertiseAddr, p.AdvertisePort = c.Advertise.Addr().String(), int(c.Advertise.Port())
	}

	// How long the reads and writes of a stream may take. Dialing has a
	// shorter limit of its own (dialTime).
	p.TCPTimeout = 5 * time.Second
	// A probe that got no answer by UDP is repeated by TCP. Where only UDP is
	// blocked, members would otherwise die and come back with every exchange
	// of state, and addresses would move each time; and it tells us about the
	// block. It costs no time: both ways end at the same deadline.
	p.DisableTcpPings = false
	// How many others are asked to probe too; all in a cluster of five.
	p.IndirectChecks = 3
	// A member that loses answers to its own probes takes itself for slow and
	// stretches its interval, up to eightfold, until answers come again.
	p.AwarenessMaxMultiplier = 8
	// Fan-out, and how often each member passes a message on: 6 * log10(members
	// + 1), rounded up; 6 times in a small mesh. It matters for objections: a
	// suspect objects to an accusation once, and probes that it answers do not
	// clear it. With the library's 4, and a process that stops for 0.3 s and
	// then has much to say, one stop in 200 ended in death; with 6 none of
	// 2,000 did (TestFreezeIsNoDeath).
	p.GossipNodes, p.RetransmitMult = 3, 6
	// A dead member is remembered, and gossiped to, for this long. Shorter,
	// and a peer that slept meanwhile brings the dead one back for a moment;
	// longer, and gossip is wasted on the dead. Forgotten ones are found
	// through their seeds.
	p.GossipToTheDeadTime = 30 * time.Second
	// A node that comes back with another address has its name back after
	// this; until then it is a second node of that name. The library's
	// default is never.
	p.DeadNodeReclaimTime = 5 * time.Second
	// Two members, at random, compare everything they know. It repairs what
	// gossip lost; above 32 members the library stretches it.
	p.PushPullInterval = exchangeEvery
	// A packet must pass tunnels and IPv6's smallest MTU of 1280 bytes with
	// its headers: no fragments, which firewalls drop.
	p.UDPBufferSize = 1200
	// Packets are small and encrypted; LZW only costs time and memory.
	p.EnableCompression = false
	return p
}
