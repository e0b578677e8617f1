package arpd

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

// Probe makes ips the addresses that are to be probed: whether a station has
// one that nobody should. State.Probed tells. Those of Assign are not. The list must
// not change afterwards.
func (r *Responder) Probe(ips []netip.Addr) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.others.Step(claims.Probing{IPs: ips}, now)
	r.act(now)
}

// probed is what is known of the addresses that are probed. Those that this
// node's own kernel has are not asked for. The caller holds mu.
func (r *Responder) probed() map[netip.Addr]claims.Probed {
	out := r.others.Probed()
	for ip, t := range out {
		if l := r.kernel.locals[ip]; l != nil {
			t.Known, t.MAC = true, l.MAC.String()
			out[ip] = t
		}
	}
	return out
}

// probe asks once for ip, which is probed or this node's own, if it concerns
// the port.
func (p *iface) probe(ip netip.Addr, m *metrics) error {
	v := p.view.Load()
	role := v.table.role(ip)
	if role != tried && !(role.ours() && v.on(ip)) {
		return nil
	}
	r, build := p.readers[0], packet.Probe4
	switch {
	case ip.Is6() && role.ours():
		r, build = p.readers[1], packet.Solicit6
	case ip.Is6():
		r, build = p.readers[1], packet.Probe6
	}
	frame, err := build(v.mac, ip)
	if err != nil {
		return err
	}
	p.write(r, frame, m.probes, m)
	return nil
}
