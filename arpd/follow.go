package arpd

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/wake"
)

const (
	// rescanEvery is how often interfaces are listed although nothing happened.
	rescanEvery = 30 * time.Second
	// rescanRest is the least time between two lists. Nodes make and remove pod
	// interfaces in bursts; one list shows the whole burst. Where a list takes
	// long, the rest is longer, so that lists never take more than a tenth of a
	// processor.
	rescanRest    = 20 * time.Millisecond
	rescanRestMax = time.Second
)

// follower is the state of the goroutine that keeps ports in step with the
// interfaces.
type follower struct {
	*Responder
	lists    backoff
	attempts map[int]*attempt
}

// attempt remembers an interface that could not be opened, or failed later.
type attempt struct {
	backoff
	err  error
	link netif.Link // as it was; when it changes, the next attempt is due at once
}

// follow lists interfaces whenever something says so, and opens and closes ports.
func (r *Responder) follow(ctx context.Context) {
	f := follower{Responder: r, attempts: make(map[int]*attempt)}
	defer f.closeAll()
	for {
		begun := time.Now()
		wait := f.scan(begun)
		select {
		case <-ctx.Done():
			return
		case <-r.urgent:
			continue
		case <-time.After(min(max(rescanRest, 10*time.Since(begun)), rescanRestMax)):
		}
		select {
		case <-ctx.Done():
			return
		case <-r.rescan:
		case <-r.urgent:
		case <-time.After(time.Until(wait)):
		}
	}
}

// subscribe keeps a subscription to netlink, and makes a new one when it breaks.
func (r *Responder) subscribe(ctx context.Context) {
	var retry backoff
	for ctx.Err() == nil {
		begun := time.Now()
		err := r.sys.Watch(ctx, r.noted)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > retryLast {
			retry = backoff{}
		}
		r.log.Warn().Err(err).Msg("subscription to interface changes ended")
		retry.note(err, time.Now())
		poke(r.rescan)
		pause(ctx, time.Until(retry.until))
	}
}

// errGone says that the interface of a port was removed. Its sockets would not
// come to life if another interface took the index. The event may come late,
// when the port is already that of the new interface; then it is opened in vain.
var errGone = errors.New("interface was removed")

// noted takes an event of netlink: a reason to look, and a memory of links that
// were down or away, if only for a moment.
func (r *Responder) noted(c netif.Change) {
	r.mu.Lock()
	if c.Down {
		r.flapped[c.Index] = struct{}{}
	}
	if c.Down && r.ifaces[c.Index] != nil {
		poke(r.urgent)
	}
	if c.Gone {
		r.failed[c.Index] = errGone
	}
	r.mu.Unlock()
	poke(r.rescan)
}

// scan lists all interfaces, brings the ports in line and returns when to scan
// again at the latest.
func (f *follower) scan(now time.Time) time.Time {
	links, err := f.sys.Links()
	f.lists.note(err, now)
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.listing.err = nil
		if !f.listing.known || f.lists.fails > 2 { // one dump in passing may be spoilt by a change
			f.listing.err = err
		}
		f.review()
		return f.lists.until
	}
	list := netif.Choose(links, f.choice)
	f.study(list)
	byIndex := make(map[int]netif.Link, len(links))
	for _, l := range links {
		byIndex[l.Index] = l
	}
	gone := f.shut(list, now)
	fresh, wait := f.open(list, byIndex, now)
	f.adopt(list, byIndex, fresh, netif.Via(list, byIndex, f.reach), len(gone)+len(fresh) > 0, now)
	for _, p := range fresh {
		p.start(f.disturbance(p.link.Index))
	}
	for _, p := range gone { // last: the kernel takes its time
		f.close(p)
	}
	return wake.Earlier(wait, now.Add(rescanEvery))
}

// reach is the interface by which the kernel reaches an address of a network, 0: none.
func (f *follower) reach(n netif.Network, to netip.Addr) int {
	index, err := f.sys.Route(to, n.VRF)
	if err != nil { // there is none, as with the address that another daemon has not finished
		f.sampled.read.Debug().Err(err).Stringer("network", n.Prefix).Msg("cannot find the interface of a network")
	}
	return index
}

// study reads how the kernel treats the interfaces that are used.
func (f *follower) study(list []netif.Interface) {
	var names []string
	for _, i := range list {
		if i.Used {
			names = append(names, i.Name)
		}
	}
	settings, err := f.sys.Settings(names)
	if err != nil {
		f.sampled.read.Warn().Err(err).Msg("cannot read the settings of interfaces")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kernel.settings = settings
}

// shut silences and returns the ports of interfaces that are not used any longer,
// and those that broke.
func (f *follower) shut(list []netif.Interface, now time.Time) (gone []*iface) {
	used := make(map[int]bool, len(list))
	for _, i := range list {
		used[i.Index] = i.Used
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for index, p := range f.ifaces {
		err := f.failed[index]
		if err != nil && !errors.Is(err, errGone) { // a removal is no failure: open anew at once
			f.attempt(p.link, err, now)
		}
		if err != nil || !used[index] {
			delete(f.ifaces, index)
			p.silence()
			gone = append(gone, p)
		}
	}
	clear(f.failed)
	return gone
}

func (f *follower) close(p *iface) {
	if err := p.close(); err != nil {
		f.log.Warn().Err(err).Str("iface", p.link.Name).Msg("cannot close the sockets of an interface")
	}
}

func (f *follower) closeAll() {
	f.mu.Lock()
	ports := f.ifaces
	f.ifaces = make(map[int]*iface)
	f.mu.Unlock()
	for _, p := range ports {
		f.close(p)
	}
}

// attempt records a failure of l.
func (f *follower) attempt(l netif.Link, err error, now time.Time) {
	a := f.attempts[l.Index]
	if a == nil || now.Sub(a.until) > retryLast {
		a = &attempt{}
		f.attempts[l.Index] = a
	}
	a.err, a.link = err, l
	a.note(err, now)
}

// open opens a port for every interface that is used and has none. Those that
// fail are marked in list with the reason and tried again later: wait is when.
func (f *follower) open(list []netif.Interface, links map[int]netif.Link, now time.Time) (fresh []*iface, wait time.Time) {
	for n := range list {
		i := &list[n]
		if !i.Used || f.ifaces[i.Index] != nil {
			continue
		}
		l := links[i.Index]
		a := f.attempts[l.Index]
		if a == nil || !a.until.After(now) || l.Differs(&a.link) {
			p, err := openInterface(f.sys, l, f.spoken, f.claims, f.answers, f.metrics, f.heartbeat)
			if err == nil {
				fresh = append(fresh, p)
				continue
			}
			f.attempt(l, err, now)
			a = f.attempts[l.Index]
		}
		i.Used, i.Reason = false, a.err.Error()
		wait = wake.Earlier(wait, a.until)
	}
	return fresh, wait
}

// adopt makes list the known interfaces and fresh part of the ports. When
// anything on the wire moved, all addresses are spread over the ports and
// announced anew.
func (f *follower) adopt(list []netif.Interface, links map[int]netif.Link, fresh []*iface, via map[netif.Network]int, moved bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	renumbered := false
	moved = moved || !maps.Equal(via, f.wiring.via)
	f.wiring.via = via
	for index, p := range f.ifaces {
		l := links[index]
		renumbered = renumbered || l.Addr4() != p.link.Addr4()
		disturbed := l.Differs(&p.link) || f.disturbed(index, links)
		if disturbed {
			f.wiring.part(index)
		}
		moved = moved || disturbed
		p.link = l
	}
	moved = f.forgetWires(now) || moved
	for _, p := range fresh {
		f.ifaces[p.link.Index] = p
	}
	clear(f.flapped)
	f.kernel.locals = make(map[netip.Addr]*netif.Link)
	f.wiring.rename(links, now)
	for _, l := range links {
		for _, ip := range l.Own {
			f.kernel.locals[ip] = &l
		}
	}
	f.listing.known, f.listing.err, f.listing.denied = true, nil, nil
	for index, a := range f.attempts {
		if _, there := links[index]; !there {
			delete(f.attempts, index)
		} else if f.ifaces[index] == nil && refused(a.err) {
			f.listing.denied = a.err
		}
	}
	f.publish(list)
	if moved || renumbered {
		f.spread()
	}
	if moved {
		f.schedule.Restart(now)
		poke(f.due)
	}
	f.inspect()
	f.review()
}

// disturbed reports whether a port's interface was down for a moment, or a member
// of it that may have carried its frames. The members of bridges come and go
// with pods and do not count.
func (r *Responder) disturbed(index int, links map[int]netif.Link) bool {
	if _, ok := r.flapped[index]; ok {
		return true
	}
	for i := range r.flapped {
		if l, ok := links[i]; ok && l.Master == index && slices.Contains([]string{"bond", "team"}, links[index].Kind) {
			return true
		}
	}
	return false
}

// disturbance is what a port calls when something is wrong with it.
func (r *Responder) disturbance(index int) func(error, bool) {
	return func(err error, fatal bool) {
		if fatal {
			r.mu.Lock()
			r.failed[index] = err
			r.mu.Unlock()
		}
		r.noted(netif.Change{Index: index, Down: errors.Is(err, unix.ENETDOWN)})
	}
}
