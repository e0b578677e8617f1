package arpd

import (
	"context"
	"net/netip"
	"time"
)

// recheck asks for the own addresses: at once when one is gained, and now and then
// without end, see [claims.Recheck]. A station that has one of them and never says so by
// itself is heard by its answer, which is a claim as any other. The question is
// such that nobody learns anything by it:
//
//   - for IPv4 the probe of RFC 5227, section 2.1.1, from 0.0.0.0;
//   - for IPv6 an ordinary solicitation from the link-local address. That of
//     duplicate address detection would not do: its answer goes to all nodes with
//     the override flag (RFC 4861, section 7.2.4), and the caches of all would
//     follow the other station.
//
// An address that is on no network of an interface is not asked for there: a
// router that answers for all that it has a route to (proxy ARP) is no rival.
// An answer of a node of this cluster does not count, see package claims.
func (r *Responder) recheck(ctx context.Context) {
	for ctx.Err() == nil {
		ip, ports, rest, wake := r.nextRecheck(time.Now())
		for _, p := range ports {
			if err := p.probe(ip, r.metrics); err != nil {
				r.sampled.send.Error().Err(err).Stringer("vip", ip).Msg("cannot recheck an address of this node")
			}
		}
		if ip.IsValid() {
			pause(ctx, rest)
			continue
		}
		var timer <-chan time.Time
		if !wake.IsZero() {
			timer = time.After(time.Until(wake))
		}
		select {
		case <-ctx.Done():
		case <-r.gained:
		case <-timer:
		}
	}
}

// nextRecheck is the own address to ask for now, where, and how long to rest after that; it is
// invalid while there is none, and wake says when there is.
func (r *Responder) nextRecheck(now time.Time) (ip netip.Addr, ports []*iface, rest time.Duration, wake time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ip, rest, wake = r.others.Recheck(now); !ip.IsValid() {
		return ip, nil, 0, wake
	}
	for _, p := range r.ifaces {
		ports = append(ports, p)
	}
	return ip, ports, rest, time.Time{}
}
