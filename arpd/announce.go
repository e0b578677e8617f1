package arpd

import (
	"context"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/arpd/announce"
)

// announce sends what the schedule says, no faster than the pace.
func (r *Responder) announce(ctx context.Context) {
	pace := announce.NewPacer(r.rate)
	for ctx.Err() == nil {
		ip, u, ports, wake := r.next(time.Now())
		if ip.IsValid() {
			sent := r.transmit(ports, ip, u)
			if wait := pace.Spend(sent, time.Now()); wait > 0 {
				pause(ctx, wait)
			}
			continue
		}
		var timer <-chan time.Time
		if !wake.IsZero() {
			timer = time.After(time.Until(wake))
		}
		select {
		case <-ctx.Done():
		case <-r.due:
		case <-timer:
		}
	}
}

// next is the address to announce now and where, or when to ask again.
func (r *Responder) next(now time.Time) (ip netip.Addr, u announce.Urgency, ports []*iface, wake time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ip, u, ok := r.schedule.Next(now)
	if !ok {
		return netip.Addr{}, 0, nil, r.schedule.Wake()
	}
	for _, p := range r.ifaces {
		ports = append(ports, p)
	}
	return ip, u, ports, time.Time{}
}

// transmit announces ip on all ports that answer for it and returns the number of
// frames. A defense is one frame, as RFC 5227 wants it, and so is a refresh,
// which every host on the link has to read forever.
func (r *Responder) transmit(ports []*iface, ip netip.Addr, u announce.Urgency) int {
	brief := u == announce.Defense || u == announce.Refresh
	sum := 0
	for _, p := range ports {
		sent, err := p.announce(ip, brief, r.metrics)
		if err != nil {
			r.sampled.send.Error().Err(err).Stringer("vip", ip).Msg("cannot announce")
		}
		sum += sent
	}
	return sum
}
