package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// story is what a user wants to see, from the Service on.
func (d *demo) story(ctx context.Context) error {
	var vip netip.Addr
	err := d.Do("a Service of type LoadBalancer gets an address", func() (err error) {
		if err = workload.Everywhere(ctx, d.cluster, "hello"); err != nil {
			return err
		}
		vip, err = workload.Expose(ctx, d.cluster, "hello")
		return err
	})
	if err != nil {
		return err
	}
	if err := d.reach(ctx, vip); err != nil {
		return err
	}
	return d.cutOwner(ctx, vip)
}

// reach shows the Service as kubectl, a client and starling see it.
func (d *demo) reach(ctx context.Context, vip netip.Addr) error {
	services, err := d.cluster.Kubectl(ctx, "", "get", "svc", "hello")
	if err != nil {
		return err
	}
	d.Show("$ kubectl get svc hello", services)
	address := net.JoinHostPort(vip.String(), "80")
	var line string
	err = cluster.Until(ctx, 10*time.Second, "reach "+address, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		line, err = probe.Ask(ctx, d.cluster.Client.Dial, "tcp", address)
		return err
	})
	if err != nil {
		return err
	}
	d.Show("the client connects to "+address+"; pod and node that answered, and the address they saw:", line)
	url := starling.URL(d.cluster.Nodes[0])
	table, err := d.cluster.InClient(ctx, d.product.Binary, "status", "--server", url)
	if err != nil {
		return err
	}
	d.Show("$ starling status --server "+url, table+"\n ")
	return nil
}

// promised is the longest time without an answer after the announcer has died silently.
const promised = 1500 * time.Millisecond

// cutOwner cuts off the node that announces the address, silently, while a client asks every 5 ms.
func (d *demo) cutOwner(ctx context.Context, vip netip.Addr) error {
	watcher, err := probe.Watch(workload.Station(d.cluster.Client))
	if err != nil {
		return err
	}
	defer watcher.Close()
	owner, err := workload.Owner(ctx, d.cluster, watcher, vip)
	if err != nil {
		return err
	}
	err = d.Do(fmt.Sprintf("%s announces %s; its pods move to the other nodes", owner.Name, vip), func() error {
		if err := workload.Avoid(ctx, d.cluster, "hello", owner); err != nil {
			return err
		}
		return workload.Programmed(ctx, d.cluster, vip)
	})
	if err != nil {
		return err
	}
	prober, err := probe.Start(probe.Config{Dial: d.cluster.Client.Dial, Network: "udp", Address: net.JoinHostPort(vip.String(), "80")})
	if err != nil {
		return err
	}
	var next *cluster.Node
	err = d.Do(fmt.Sprintf("the link of %s is cut while the client asks every 5 ms", owner.Name), func() error {
		next, err = d.takeover(ctx, prober, watcher, owner, vip)
		return err
	})
	report := prober.Stop()
	if err != nil {
		return fmt.Errorf("%w (%s)", err, report)
	}
	d.Say("\n    %s\n    %s was announced by %s and is now announced by %s\n", report, vip, owner.Name, next.Name)
	if report.Gap > promised {
		return fmt.Errorf("the client waited %v, more than the %v that are promised", report.Gap, promised)
	}
	return nil
}

// takeover cuts the link, waits until another node answers and the client is served again, and
// heals the link.
func (d *demo) takeover(ctx context.Context, prober *probe.Prober, watcher *probe.Watcher, owner *cluster.Node, vip netip.Addr) (next *cluster.Node, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := prober.Await(ctx, 100); err != nil {
		return nil, err
	}
	if err := owner.Cut(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, owner.Heal()) }()
	err = cluster.Until(ctx, 15*time.Second, "take-over", func(ctx context.Context) error {
		next, err = workload.Owner(ctx, d.cluster, watcher, vip)
		if err == nil && next == owner {
			err = errors.New("the node that was cut off still answers")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return next, prober.Await(ctx, 200)
}
