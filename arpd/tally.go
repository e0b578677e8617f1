package arpd

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/arpd/packet"
)

// MaxTallied is of how many own addresses answers are counted one by one: of the first ones, in
// order.
const MaxTallied = 1000

// tally counts answers by address, where that is asked for. Only own addresses have a series, so
// one that goes takes its series along, and one that comes back begins at 0.
type tally struct {
	counters *prometheus.CounterVec
	given    []netip.Addr                                      // to keep, last
	of       atomic.Pointer[map[netip.Addr]prometheus.Counter] // the map never changes
}

// newTally registers the counters; a nil registry is allowed.
func newTally(reg prometheus.Registerer) (*tally, error) {
	t := &tally{counters: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_layer2_address_responses_sent_total",
		Help: "ARP replies and neighbor advertisements sent in response to requests, by address of this node. Only with --metrics-per-address.",
	}, []string{"address"})}
	t.of.Store(&map[netip.Addr]prometheus.Counter{})
	if reg != nil {
		if err := reg.Register(t.counters); err != nil {
			return nil, fmt.Errorf("register metric: %w", err)
		}
	}
	return t, nil
}

// keep counts for the first of the own addresses, which are sorted, and for no others any more. The
// list must not change afterwards: given again, it costs nothing. One caller at a time.
func (t *tally) keep(own []netip.Addr) {
	if t == nil || len(own) > 0 && len(own) == len(t.given) && &own[0] == &t.given[0] { // the same list
		return
	}
	t.given = own
	next := make(map[netip.Addr]prometheus.Counter)
	for _, ip := range own[:min(len(own), MaxTallied)] {
		next[ip] = t.counters.WithLabelValues(ip.String())
	}
	for ip := range *t.of.Load() {
		if next[ip] == nil {
			t.counters.DeleteLabelValues(ip.String())
		}
	}
	t.of.Store(&next)
}

// answered counts an answer that was sent, a whole frame. A nil tally counts nothing.
func (t *tally) answered(frame []byte) {
	if t == nil {
		return
	}
	if n := (*t.of.Load())[vipOf(frame)]; n != nil {
		n.Inc()
	}
}

// vipOf is the address that an answer is for: the sender of an ARP reply, the target of an
// advertisement.
func vipOf(frame []byte) netip.Addr {
	if binary.BigEndian.Uint16(frame[12:]) == packet.EtherARP {
		return netip.AddrFrom4([4]byte(frame[28:32]))
	}
	return netip.AddrFrom16([16]byte(frame[packet.EthLen+packet.IP6Len+8:]))
}
