package arpd

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// interruptEvery is how often a reader is asked to leave until it has.
const interruptEvery = 2 * time.Millisecond

// echoRate is how many echoes a second one interface sends for each family: pings
// are for people who look whether an address is there, not for loads.
const echoRate = 1000

// protocol is one of the two things that an interface reads.
type protocol struct {
	etherType uint16
	decide    func(*view, []byte, int) verdict
	program   func(*table) []bpf.Instruction
}

func protocols() []protocol {
	return []protocol{
		{packet.EtherARP, (*view).arp, arpProgram},
		{packet.EtherIPv6, (*view).nd, ndProgram},
	}
}

// pingProtocols answer ICMP echo for VIPs. The kernel sees the same packets: it
// takes them for those of somebody else, which is why nobody is answered unless
// it is asked for (Config.AnswerPing).
func pingProtocols() []protocol {
	return []protocol{
		{packet.EtherIPv4, (*view).ping4, ping4Program},
		{packet.EtherIPv6, (*view).ping6, ping6Program},
	}
}

// iface is a used interface: two readers, the groups, and a way to send.
type iface struct {
	link    netif.Link // changed by the follower only, under the Responder's lock
	view    atomic.Pointer[view]
	readers []*reader
	groups  *groups
	regroup chan struct{} // capacity 1: the wanted groups changed
	quit    chan struct{} // closed: the interface goes
	left    sync.WaitGroup

	mu       sync.Mutex // guards all following fields; held while the announcer sends, never by a reader
	closed   bool       // the sockets are gone, or about to
	filtered *table     // whose filters stand; nil: none
	groupErr error
}

// reader answers one protocol on one interface.
type reader struct {
	protocol
	sock      socket
	index     int // of the interface
	view      *atomic.Pointer[view]
	claims    chan<- claim
	answers   chan<- claim // to questions of ours: a flood of claims must not hold them up
	metrics   *metrics
	heartbeat *heartbeat // nil: the process is never stopped
	stops     uint32     // of heartbeat, as of the last frame
	echoes    *rate.Limiter

	filtered []bpf.RawInstruction // by the interface, under its lock
}

// openInterface opens the sockets; nothing passes their filters before assign.
func openInterface(sys system, l netif.Link, protocols []protocol, claims, answers chan<- claim, m *metrics, beat *heartbeat) (*iface, error) {
	p := &iface{link: l, regroup: make(chan struct{}, 1), quit: make(chan struct{})}
	p.groups = newGroups(l.Index, sys.Groups)
	p.view.Store(&view{mac: l.MAC, table: &table{}})
	for _, proto := range protocols {
		s, err := sys.Packet(l.Index, proto.etherType)
		if err != nil {
			for _, r := range p.readers {
				err = errors.Join(err, r.sock.Close())
			}
			return nil, err
		}
		p.readers = append(p.readers, &reader{protocol: proto, sock: s, index: l.Index, view: &p.view, claims: claims, answers: answers, metrics: m, heartbeat: beat, stops: beat.stops.Load(), echoes: rate.NewLimiter(echoRate, echoRate)})
	}
	return p, nil
}

// start runs the readers and the group keeper until close. trouble is called
// when the interface must be looked at: fatal if it must be opened anew.
func (p *iface) start(trouble func(err error, fatal bool)) {
	for _, r := range p.readers {
		p.left.Go(func() { r.run(trouble) })
	}
	p.left.Go(func() { p.keepGroups(trouble) })
}

// run reads until the socket is interrupted or fails. A link that goes down
// gives one ENETDOWN, after which reads block until it is up again.
func (r *reader) run(trouble func(error, bool)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b := make([]byte, packet.FrameSize)
	for {
		n, err := r.sock.Read(b)
		switch {
		case err == nil && r.overslept():
		case err == nil:
			r.frame(b, n)
		case errors.Is(err, errInterrupted):
			return
		case errors.Is(err, unix.ENETDOWN):
			trouble(err, false)
		default:
			trouble(err, true)
			return
		}
	}
}

// overslept reports whether the frame just read is of a time when the process was
// stopped; then all that wait behind it are dropped too.
func (r *reader) overslept() bool {
	if r.heartbeat == nil {
		return false
	}
	if n := r.heartbeat.stops.Load(); n != r.stops {
		r.stops = n
		r.metrics.dropped[stale].Add(float64(1 + r.sock.Drain()))
		return true
	}
	if r.heartbeat.late() {
		r.metrics.dropped[stale].Inc()
		return true
	}
	return false
}

// frame is the hot path: decide, answer, count. It neither allocates nor waits.
func (r *reader) frame(b []byte, n int) {
	with := r.view.Load()
	v := r.decide(with, b, n)
	v.claim.on = r.index
	if with.proofs != nil {
		with.proofs.complete(&v, b, n)
	}
	if v.request {
		r.metrics.requests.Inc()
	}
	if v.echo && !r.echoes.Allow() {
		v.answer, v.drop = 0, limited
	}
	if v.answer > 0 {
		switch err := r.sock.Write(b[:v.answer]); {
		case err != nil:
			v.drop = writeFailed
		case v.request:
			r.metrics.responses.Inc()
			r.metrics.tally.answered(b)
		case v.echo:
			r.metrics.echoes.Inc()
		}
	}
	if v.claim.kind != nothing {
		to := r.claims
		if v.claim.kind == hostReply || v.claim.kind == greeting || v.claim.kind == held {
			to = r.answers
		}
		select {
		case to <- v.claim:
		default:
			v.drop = overrun
		}
	}
	if v.drop != kept {
		r.metrics.dropped[v.drop].Inc()
	}
}

// assign makes v what the interface answers for. When it returns, nothing else is
// answered any more. The lookup is swapped first and the filter after it, so an
// address that goes is silent at once.
func (p *iface) assign(v view) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.view.Store(&v)
	if p.closed {
		return nil
	}
	if !v.table.covered(p.filtered) {
		for _, r := range p.readers {
			if err := r.filter(p.link.Index, v.table); err != nil {
				return fmt.Errorf("filter of interface %q: %w", p.link.Name, err)
			}
		}
		p.filtered = v.table
	}
	poke(p.regroup)
	return nil
}

// filter lets pass what concerns the addresses of a table.
func (r *reader) filter(index int, t *table) error {
	prog, err := packet.Assemble(index, r.program(t))
	if err != nil || slices.Equal(prog, r.filtered) {
		return err
	}
	if err = r.sock.Filter(prog); err == nil {
		r.filtered = prog
	}
	return err
}

// announce sends the frames for ip if the interface answers for it, and counts them.
func (p *iface) announce(ip netip.Addr, brief bool, m *metrics) (sent int, err error) {
	v := p.view.Load()
	role := v.table.role(ip)
	if !role.ours() && role&deputized == 0 {
		return 0, nil
	}
	frames, err := packet.Announcement(v.mac, v.stationOf(role, ip), ip, brief)
	if err != nil {
		return 0, err
	}
	r := p.readers[0]
	if ip.Is6() {
		r = p.readers[1]
	}
	for _, f := range frames {
		if !p.write(r, f, m.gratuitous, m) {
			break
		}
		sent++
	}
	return sent, nil
}

// keepGroups joins and leaves groups behind the scenes: ten thousand joins take
// a while, and nothing needs to wait for them.
func (p *iface) keepGroups(trouble func(error, bool)) {
	retry := backoff{}
	for {
		select {
		case <-p.quit:
			return
		case <-p.regroup:
		case <-retry.after():
		}
		err := p.groups.sync(p.view.Load().table)
		retry.note(err, time.Now())
		p.mu.Lock()
		was := p.groupErr
		p.groupErr = err
		p.mu.Unlock()
		if (was == nil) != (err == nil) {
			trouble(err, false)
		}
	}
}

// groupError is why groups could not be joined, or nil.
func (p *iface) groupError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.groupErr
}

// silence makes the interface answer for nothing and nobody.
func (p *iface) silence() { p.view.Store(&view{table: &table{}}) }

// write tries to send one frame and counts it, as sent or as dropped. It does
// nothing and returns false when the interface is closed.
func (p *iface) write(r *reader, frame []byte, sent prometheus.Counter, m *metrics) (open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return false
	case r.sock.Write(frame) == nil:
		sent.Inc()
	default:
		m.dropped[writeFailed].Inc()
	}
	return true
}

// close silences the interface and returns when its readers have left.
func (p *iface) close() error {
	p.silence()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	close(p.quit)
	left := make(chan struct{})
	go func() { p.left.Wait(); close(left) }()
	tick := time.NewTicker(interruptEvery)
	defer tick.Stop()
	for waiting := true; waiting; {
		for _, r := range p.readers {
			r.sock.Interrupt()
		}
		select {
		case <-left:
			waiting = false
		case <-tick.C:
		}
	}
	err := p.groups.close()
	for _, r := range p.readers {
		err = errors.Join(err, r.sock.Close())
	}
	return err
}
