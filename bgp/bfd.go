package bgp

import (
	"math/rand/v2"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bfd"
)

// slowBFD is how often a session that is not up sends at most (RFC 5880, 6.8.3).
const slowBFD = time.Second

// detection is one end of a BFD session in asynchronous mode (RFC 5880). It does no input or output
// and reads no clock.
type detection struct {
	interval   time.Duration // between two packets, of ours and of the router's, if the router wants no longer one
	multiplier uint8
	local      uint32 // discriminators, which name the session at either end
	remote     uint32

	state   bfd.StateType
	reason  bfd.DiagnosticType // of the last change
	polling bool               // the router has not acknowledged the interval yet

	// What the router says of itself.
	sends time.Duration // it sends no more often
	takes time.Duration // it takes no more often; 0: nothing
	times uint8         // so many of its packets must be lost
}

func newDetection(interval time.Duration, multiplier uint8, local uint32) *detection {
	return &detection{interval: interval, multiplier: multiplier, local: local, state: bfd.StateDown, takes: 1}
}

// hear takes a packet of the router (RFC 5880, 6.8.6). It reports whether the router wants an
// answer at once, and why the path is lost, "" if it is not.
func (d *detection) hear(h *bfd.BFDHeader) (answer bool, lost string) {
	if !d.mine(h) {
		return false, ""
	}
	d.remote, d.times = h.MyDiscriminator, h.DetectTimeMultiplier
	d.sends, d.takes = micro(h.DesiredMinTxInterval), micro(h.RequiredMinRxInterval)
	if h.Final {
		d.polling = false
	}
	return h.Poll, d.step(h.State)
}

// mine reports whether a packet may be of this session.
func (d *detection) mine(h *bfd.BFDHeader) bool {
	if h.Version != 1 || h.DetectTimeMultiplier == 0 || h.MyDiscriminator == 0 {
		return false
	}
	if h.YourDiscriminator == 0 {
		return h.State == bfd.StateDown || h.State == bfd.StateAdminDown
	}
	return h.YourDiscriminator == d.local
}

// step follows the router's state. One that ended its session on purpose says nothing of the path
// (RFC 5882, 3.2).
func (d *detection) step(router bfd.StateType) (lost string) {
	was := d.state
	switch {
	case router == bfd.StateAdminDown && was != bfd.StateDown:
		d.down(bfd.DiagnosticNeighborSignaledSessionDown)
	case router == bfd.StateDown && was == bfd.StateDown:
		d.state = bfd.StateInit
	case router == bfd.StateInit && was != bfd.StateUp, router == bfd.StateUp && was == bfd.StateInit:
		d.state, d.reason, d.polling = bfd.StateUp, bfd.DiagnosticNoDiagnostic, true
	case router == bfd.StateDown && was == bfd.StateUp:
		d.down(bfd.DiagnosticNeighborSignaledSessionDown)
		return "BFD: the router does not hear this node"
	}
	return ""
}

func (d *detection) down(why bfd.DiagnosticType) {
	d.state, d.reason, d.remote, d.polling = bfd.StateDown, why, 0, false
}

// expire is called when the router said nothing for patience. It says why the path is lost, "" if
// it never stood.
func (d *detection) expire() (lost string) {
	was := d.state
	d.down(bfd.DiagnosticControlDetectionTimeExpired)
	if was != bfd.StateUp {
		return ""
	}
	return "BFD: the router fell silent"
}

// notUp says why the session is not up, "" it is.
func (d *detection) notUp() string {
	switch {
	case d.state == bfd.StateUp:
		return ""
	case d.state == bfd.StateInit:
		return "the router does not hear this node"
	case d.reason == bfd.DiagnosticNeighborSignaledSessionDown:
		return "the router has turned it off"
	}
	return "nothing comes from the router"
}

// patience is how long the router may be silent; 0: as long as it likes.
func (d *detection) patience() time.Duration {
	if d.state != bfd.StateInit && d.state != bfd.StateUp {
		return 0
	}
	return time.Duration(d.times) * max(d.interval, d.sends)
}

// ours is how often this end wants to send.
func (d *detection) ours() time.Duration {
	if d.state == bfd.StateUp {
		return d.interval
	}
	return max(d.interval, slowBFD)
}

// apart is how far packets are apart at most.
func (d *detection) apart() time.Duration { return max(d.ours(), d.takes) }

// pause is how long to wait before the next packet, less some chance (RFC 5880, 6.8.7).
func (d *detection) pause() time.Duration {
	p := d.apart()
	if d.multiplier == 1 {
		return p*3/4 + rand.N(p*3/20)
	}
	return p*3/4 + rand.N(p/4)
}

// quiet reports whether the router wants no packets (RFC 5880, 6.8.7).
func (d *detection) quiet() bool { return d.takes == 0 }

// say is the next packet.
func (d *detection) say(answer bool) *bfd.BFDHeader {
	return &bfd.BFDHeader{
		Version: 1, Diagnostic: d.reason, State: d.state,
		Poll: d.polling && !answer, Final: answer,
		DetectTimeMultiplier: d.multiplier, MyDiscriminator: d.local, YourDiscriminator: d.remote,
		DesiredMinTxInterval: micros(d.ours()), RequiredMinRxInterval: micros(d.interval),
	}
}

func micro(n uint32) time.Duration  { return time.Duration(n) * time.Microsecond }
func micros(d time.Duration) uint32 { return uint32(min(d.Microseconds(), 1<<32-1)) }
