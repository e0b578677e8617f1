package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// probeTries is how often a probe is sent: one datagram may be lost.
const probeTries = 3

// Probe sends a probe of gossip to a node, member or not, and returns how long
// its answer took: gossip by UDP passes there and back, and the node has our
// key and label. It is for people who look for a fault, and changes nothing.
func (m *Mesh) Probe(ctx context.Context, name string, addr netip.AddrPort) (time.Duration, error) {
	list := m.running.Load()
	if list == nil {
		return 0, errors.New("gossip has not started")
	}
	var err error
	for range probeTries {
		var rtt time.Duration
		if rtt, err = list.Ping(name, net.UDPAddrFromAddrPort(addr)); err == nil {
			return rtt, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return 0, fmt.Errorf("probe %s at %s: %w", name, addr, err)
}
