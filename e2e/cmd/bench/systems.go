package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// system is one way to notice that a node is dead: another node claims its address on the wire, or
// a router's BFD session with it goes down.
type system struct {
	name string
	seen func(node int) []sighting // What was seen of the node's address or session, oldest first.

	settled  time.Duration // As of departures.
	ips      []netip.Addr  // One for each node; nil for BFD.
	sessions *sessions     // Those of the router; nil for addresses.
}

// addresses are those of all systems.
func (d *detector) addresses() (ips []netip.Addr) {
	for _, s := range d.systems {
		ips = append(ips, s.ips...)
	}
	return ips
}

// moving adds a system that moves addresses.
func (d *detector) moving(name string, ips []netip.Addr) {
	d.systems = append(d.systems, &system{name: name, ips: ips, settled: settled, seen: func(node int) []sighting {
		return claimed(d.watcher.Claims(ips[node]), d.c.Nodes[node].MAC.String())
	}})
}

// claimed turns claims of an address into sightings: it is at home with that MAC.
func claimed(claims []probe.Claim, home string) (seen []sighting) {
	for _, c := range claims {
		seen = append(seen, sighting{at: c.At, home: c.MAC == home})
	}
	return seen
}

// startStarling makes Services until each node announces the address of one, and removes those that
// are too many. Which node announces an address follows from the address, so it always comes back
// there.
func (d *detector) startStarling(ctx context.Context, preset string) error {
	if err := bareBackends(d.c); err != nil {
		return err
	}
	ips, spare := make([]netip.Addr, len(d.c.Nodes)), []string(nil)
	for i := 0; slices.Contains(ips, netip.Addr{}); i++ {
		if i == 100 {
			return fmt.Errorf("100 Services, and no address for each node: %v", ips)
		}
		name := fmt.Sprintf("home-%d", i)
		ip, err := workload.ExposeBare(ctx, d.c, name)
		if err != nil {
			return err
		}
		for _, n := range d.c.Nodes {
			if err := n.Answer(ip); err != nil {
				return err
			}
		}
		owner, err := d.owner(ctx, ip)
		if err != nil {
			return err
		}
		if home := slices.Index(d.c.Nodes, owner); !ips[home].IsValid() {
			ips[home] = ip
		} else {
			spare = append(spare, name)
		}
	}
	for _, name := range spare { // Not before, or the next Service might get the same address.
		if err := d.c.Kube.CoreV1().Services(workload.Namespace).Delete(ctx, name, meta.DeleteOptions{}); err != nil {
			return err
		}
	}
	d.moving("starling "+preset, ips)
	return nil
}

func (d *detector) owner(ctx context.Context, ip netip.Addr) (owner *cluster.Node, err error) {
	return owner, cluster.Until(ctx, 15*time.Second, "owner of "+ip.String(), func(ctx context.Context) error {
		s, err := starling.StatusOf(ctx, d.c, d.c.Nodes[0])
		if err != nil {
			return err
		}
		if owner = d.c.Node(s.Owner(ip.String())); owner == nil {
			return errors.New("nobody")
		}
		return nil
	})
}

// startVRRP runs a keepalived for each interval of adverts on each node. A node has the highest
// priority for its own address, and the next node the next lower one.
func (d *detector) startVRRP(ctx context.Context) error {
	for i, adverts := range []string{"1", "0.1", "0.01"} {
		ips := make([]netip.Addr, len(d.c.Nodes))
		for home := range ips {
			ips[home] = netip.AddrFrom4([4]byte{198, 18, 65, byte(10*(i+1) + home)})
		}
		for at, n := range d.c.Nodes {
			var text []string
			for home, ip := range ips {
				after := (at - home + len(ips)) % len(ips)
				i := instance{fmt.Sprintf("home%d", home), int(ip.As4()[3]), 200 - 10*after, ip}
				text = append(text, i.text(adverts))
			}
			if err := runKeepalived(ctx, d.c, n, adverts+".", strings.Join(text, "")); err != nil {
				return err
			}
		}
		d.moving("keepalived "+adverts+" s", ips)
	}
	return nil
}
