package arpd

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/ndp"
)

// patrolLeast lies between any two questions for an own address. Every host on
// the link has to read them, so 10,000 addresses take some three minutes.
const patrolLeast = 20 * time.Millisecond

// patrol asks for the own addresses one after the other, for ever. A station that
// has one of them and never says so by itself is heard by its answer, which is a
// claim as any other. The question is such that nobody learns anything by it:
//
//   - for IPv4 the probe of RFC 5227, section 2.1.1, from 0.0.0.0;
//   - for IPv6 an ordinary solicitation from the link-local address. That of
//     duplicate address detection would not do: its answer goes to all nodes with
//     the override flag (RFC 4861, section 7.2.4), and the caches of all would
//     follow the other station.
//
// An address that is on no network of an interface is not asked for there: a
// router that answers for all that it has a route to (proxy ARP) is no rival.
// Who answers that is a node of this cluster is not listened to, see hear.
func (r *Responder) patrol(ctx context.Context) {
	if r.every < 0 {
		return
	}
	for last := (netip.Addr{}); ; {
		ip, ports, gap := r.patrolled(last)
		for _, p := range ports {
			if err := p.probe(ip, r.metrics); err != nil {
				r.noise.send.Error().Err(err).Stringer("vip", ip).Msg("cannot ask for an own address")
			}
		}
		if last = ip; !pause(ctx, gap) {
			return
		}
	}
}

// patrolled is the own address that follows last in their order, where to ask for
// it, and when to go on. It is invalid while there is none.
func (r *Responder) patrolled(last netip.Addr) (ip netip.Addr, ports []*port, gap time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.own) == 0 {
		return netip.Addr{}, nil, r.every
	}
	i, found := slices.BinarySearchFunc(r.own, last, netip.Addr.Compare)
	if found {
		i++
	}
	for _, p := range r.ports {
		ports = append(ports, p)
	}
	return r.own[i%len(r.own)], ports, max(r.every/time.Duration(len(r.own)), patrolLeast)
}

// patrolling reports whether a claim can only be the answer to a question of patrol's.
// What a node of this cluster says to that is no news: a speaker that takes itself
// for the owner announces the address, and of a kernel that answers for it, as
// with IPVS, the node's own speaker tells. The caller holds mu.
func (r *Responder) patrolling(c claim) bool {
	return r.roles[c.ip].ours() && r.inquiries[Question{IP: c.ip, MAC: c.mac.String()}] == nil
}

// patrol6 is the solicitation of address resolution (RFC 4861, section 7.2.2).
func patrol6(mac hw, ip netip.Addr) ([]byte, error) {
	ns := &ndp.NeighborSolicitation{
		TargetAddress: ip,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac[:]}},
	}
	from, to := linkLocal(mac), solicitedNode(ip)
	body, err := ndp.MarshalMessageChecksum(ns, from, to)
	if err != nil {
		return nil, fmt.Errorf("encode solicitation for %s: %w", ip, err)
	}
	return ndFrame(multicastHW(to.As16()), mac, from, to, body), nil
}
