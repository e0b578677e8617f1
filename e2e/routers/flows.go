package routers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	core "k8s.io/api/core/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// Pool is the name of the pool that only routers learn of.
const Pool = "routed"

// Pools are those of the configuration: the segment's, and one of addresses that only routers learn
// of.
func Pools() string {
	return fmt.Sprintf(`pools:
- name: default
  ranges: [%s, %s]
- name: %s
  ranges: [%s, %s]
  autoAssign: false
  announce: [bgp]
`, cluster.Pool4, cluster.Pool6, Pool, cluster.Routed4, cluster.Routed6)
}

// Service asks for an address of the pool. What comes for it stays on the node that the router has
// sent it to, so that the answer names that node.
func Service(s *core.Service) {
	s.Annotations = map[string]string{"starling-lb.io/address-pool": Pool}
	s.Spec.ExternalTrafficPolicy = core.ServiceExternalTrafficPolicyLocal
}

// Named is such a Service of a workload, to be created.
func Named(name, backend string) *core.Service { return workload.Service(name, backend, Service) }

// Spread waits until the router's kernel spreads flows to an address over these nodes, and no
// others.
func Spread(ctx context.Context, r *cluster.Router, ip netip.Addr, nodes ...*cluster.Node) error {
	var want []netip.Addr
	for _, n := range nodes {
		if ip.Is4() {
			want = append(want, n.IP4)
		} else {
			want = append(want, n.IP6)
		}
	}
	return cluster.Until(ctx, 90*time.Second, "routes to "+ip.String(), func(ctx context.Context) error {
		hops, err := r.Hops(ctx, ip)
		if err == nil && !slices.Equal(hops, want) {
			err = fmt.Errorf("via %v, want %v", hops, want)
		}
		return err
	})
}

// Mode waits until all speakers have sessions of a mode with the router.
func Mode(ctx context.Context, c *cluster.Cluster, mode string) error {
	return cluster.Until(ctx, 30*time.Second, "sessions "+mode, func(ctx context.Context) error {
		for _, n := range c.Nodes {
			s, err := starling.StatusOf(ctx, c, n)
			if err != nil {
				return err
			}
			if len(s.Routers) == 0 || s.Routers[0].Sessions != mode {
				return fmt.Errorf("%s has %v", n.Name, s.Routers)
			}
		}
		return nil
	})
}

// Count is how many flows there are: so many that each of three nodes is sure to have one, but for
// one time in 5,000.
const Count = 24

// Flows are clients behind the router that ask an address by UDP, each from a port of its own, so
// that the router spreads them.
type Flows []*probe.Prober

// Start begins to ask, and waits until all are answered.
func Start(ctx context.Context, r *cluster.Router, ip netip.Addr) (f Flows, err error) {
	for range Count {
		p, err := probe.Start(probe.Config{Dial: r.Client.Dial, Network: "udp", Address: net.JoinHostPort(ip.String(), "80"), Every: 5 * time.Millisecond})
		if err != nil {
			f.Stop()
			return nil, err
		}
		f = append(f, p)
	}
	if err := f.Await(ctx); err != nil {
		f.Stop()
		return nil, err
	}
	return f, nil
}

// Await waits until each flow has had a hundred more answers.
func (f Flows) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	errs := make([]error, len(f))
	var all sync.WaitGroup
	for i, p := range f {
		all.Go(func() { errs[i] = p.Await(ctx, 100) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Report is what all flows have seen together.
type Report struct {
	Asked, Lost int
	Gap         time.Duration // the longest of any flow
	GapBegan    time.Time
	Lossy       int // flows that lost some
	Nodes       map[string]int
}

// Stop ends the flows, all at once, since each waits for late answers, and reports.
func (f Flows) Stop() Report {
	reports := make([]probe.Report, len(f))
	var all sync.WaitGroup
	for i, p := range f {
		all.Go(func() { reports[i] = p.Stop() })
	}
	all.Wait()
	r := Report{Nodes: map[string]int{}}
	for _, one := range reports {
		r.Asked, r.Lost = r.Asked+one.Asked, r.Lost+one.Lost
		if one.Gap > r.Gap {
			r.Gap, r.GapBegan = one.Gap, one.GapBegan
		}
		if one.Lost > 0 {
			r.Lossy++
		}
		for node, n := range one.By {
			r.Nodes[node] += n
		}
	}
	return r
}

// String is one line for people.
func (r Report) String() string {
	return fmt.Sprintf("longest gap of %d flows %v (at %s), %d of %d datagrams lost, by %d flows",
		Count, r.Gap.Round(time.Millisecond), r.GapBegan.Format("15:04:05.000"), r.Lost, r.Asked, r.Lossy)
}

// Expose creates a Service of a workload with an address of the pool, and waits until kube-proxy
// knows it and the router spreads flows over all nodes.
func Expose(ctx context.Context, c *cluster.Cluster, r *cluster.Router, name string) (netip.Addr, error) {
	ip, err := workload.Expose(ctx, c, name, Service)
	if err != nil {
		return ip, err
	}
	if err := workload.Programmed(ctx, c, ip); err != nil {
		return ip, err
	}
	return ip, Spread(ctx, r, ip, c.Nodes...)
}
