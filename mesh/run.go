package mesh

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

const (
	// bindPause and bindPauseMost are the pauses between attempts to listen;
	// each is twice the one before.
	bindPause     = 250 * time.Millisecond
	bindPauseMost = 4 * time.Second
	// leaveLead is how much earlier than memberlist's own message of leaving
	// the goodbye is sent: a receiver works on its newest datagram first.
	leaveLead = 20 * time.Millisecond
	// leaveTime is how long a goodbye may take to be gossiped. Shutting down
	// takes no time worth a name.
	leaveTime = 500 * time.Millisecond
	// keepTick is the pause between looks at what time alone changes, and
	// keepTickFirst while the mesh has not settled.
	keepTick      = time.Second
	keepTickFirst = 50 * time.Millisecond
)

// Run listens, joins and stays until ctx ends; then it says goodbye, closes
// everything that it opened and returns nil, within a second. It may be
// called once.
func (m *Mesh) Run(ctx context.Context) error {
	if m.started.Swap(true) {
		return errors.New("run mesh: was run before")
	}
	done := make(chan struct{})
	var tasks sync.WaitGroup
	tasks.Go(func() { m.logs.run(done) })
	defer tasks.Wait()
	defer close(done)

	list, via := m.open(ctx)
	if list == nil {
		return nil
	}
	m.running.Store(list)
	defer m.running.Store(nil)
	var dials sync.WaitGroup
	defer dials.Wait() // Ends when leave has closed their connections.
	defer m.leave(list)
	j := &joiner{mesh: m, via: list, alias: map[netip.AddrPort]time.Time{}}
	dials.Go(func() { j.run(ctx) })
	k := &portProber{mesh: m, via: via}
	dials.Go(func() { k.run(ctx) })
	m.keep(ctx, list, via)
	return nil
}

// open starts memberlist, and tries forever: a port may come free, an
// address may appear. It returns nil when ctx ends first.
func (m *Mesh) open(ctx context.Context) (*memberlist.Memberlist, *ports) {
	var reported condition
	for pause := bindPause; ; pause = min(2*pause, bindPauseMost) {
		list, via, err := m.create()
		if err == nil {
			m.cleared(reported)
			at := m.table.summary().self
			m.logs.put(func(l *zerolog.Logger) { l.Info().Stringer("addr", at).Msg("gossip started") })
			return list, via
		}
		if why := bindCondition(m.cfg.Bind, err); why != reported {
			m.cleared(reported)
			m.see(why)
			reported = why
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(pause*3/4 + rand.N(pause/2)):
		}
	}
}

func (m *Mesh) cleared(reported condition) {
	if reported != (condition{}) {
		m.over(reported.who, kindBind)
	}
}

func (m *Mesh) create() (*memberlist.Memberlist, *ports, error) {
	p, h := m.cfg.protocol(), delegate{m}
	p.Keyring = m.ring
	p.Events, p.Conflict, p.Delegate, p.Alive, p.Ping = h, h, h, h, pings{m}
	p.Logger = log.New(m.libraryLog, "", 0)
	via := newPorts(m.cfg.listen, m.route, newGate(m.knows, m.see))
	have, err := via.follow(m.wanted())
	if len(have) == 0 {
		return nil, nil, err
	}
	m.refused(err)
	if m.table.listensOn(have) {
		m.saying.Lock()
		m.publish(m.table.ownSaying())
		m.saying.Unlock()
	}
	p.Transport = via
	list, err := memberlist.Create(p)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start memberlist: %w", err), via.Shutdown())
	}
	return list, via, nil
}

func bindCondition(bind netip.AddrPort, err error) condition {
	why := fmt.Sprintf("gossip cannot start: %v", err)
	if errors.Is(err, syscall.EADDRINUSE) {
		why = fmt.Sprintf("gossip port %d is in use", bind.Port())
	}
	return condition{kind: kindBind, who: bind.String(), other: why}
}

// keep tells what SetMeta changed, sends messages, and lets time pass.
func (m *Mesh) keep(ctx context.Context, list *memberlist.Memberlist, via *ports) {
	tick := time.NewTicker(keepTickFirst)
	defer tick.Stop()
	fast := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.metaChanged:
			m.spreadUrgent(list)
		case <-m.messagesQueued:
			m.spread(list)
		case now := <-tick.C:
			m.follow(via)
			if m.pass(now) && fast {
				tick.Reset(keepTick)
				fast = false
			}
		}
	}
}

// pass does what is due by time alone, and returns whether the mesh has
// settled for good.
func (m *Mesh) pass(now time.Time) bool {
	m.settle(func(*settling) {})
	if m.table.expire(now) {
		m.signal()
	}
	m.ended(m.conditions.expire(now))
	if m.refusals.expire(now) > 0 {
		m.signal()
	}
	if slices.ContainsFunc(m.refusals.names(), m.admits) {
		poke(m.rejoin)
	}
	return m.settledForGood()
}

// leave says goodbye to every member directly, lest it be taken for dead,
// then by gossip, then directly again to those whom the first did not reach.
func (m *Mesh) leave(list *memberlist.Memberlist) {
	m.table.goodbye(m.cfg.Name, time.Now())
	others := m.table.summary().others
	m.bid(list, others)
	if len(others) > 0 {
		time.Sleep(leaveLead)
	}
	if err := list.Leave(leaveTime); err != nil {
		m.logs.put(func(l *zerolog.Logger) { l.Warn().Err(err).Msg("cannot say goodbye to all members in time") })
	}
	m.bid(list, others)
	if err := list.Shutdown(); err != nil {
		m.logs.put(func(l *zerolog.Logger) { l.Warn().Err(err).Msg("cannot shut gossip down") })
	}
}

func (m *Mesh) bid(list *memberlist.Memberlist, others map[netip.AddrPort]string) {
	for addr, name := range others {
		// One that cannot be reached will see us die; there is no more to do.
		_ = list.SendToAddress(memberlist.Address{Addr: addr.String(), Name: name}, goodbye(m.cfg.Name, m.table.orderOf(m.cfg.Name)))
	}
}
