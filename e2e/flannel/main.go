// Command flannel is the daemon of flannel, made of its packages: VXLAN, with its configuration and
// the nodes' parts of it from Kubernetes. Flannel's own program has the backends of some clouds
// besides, whose modules nobody needs here.
//
// It does what that program does with --kube-subnet-mgr and --ip-masq. The node's name comes in
// NODE_NAME.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan" // Registers itself.
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
)

// resync is after how many seconds flannel looks after its rules, as in its own program.
const resync = 5

func main() {
	kubeconfig := flag.String("kubeconfig", "", "`FILE` for the API server")
	config := flag.String("config", "", "`FILE` with flannel's configuration of the network")
	result := flag.String("subnet-file", "/run/flannel/subnet.env", "`FILE` to write the node's part of the network to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *kubeconfig, *config, *result); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, kubeconfig, file, result string) error {
	manager, err := kube.NewSubnetManager(ctx, "", kubeconfig, "flannel.alpha.coreos.com", file, true)
	if err != nil {
		return err
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	network, err := register(ctx, &work, manager, config)
	if err != nil {
		return err
	}
	if err := rules(ctx, config, network); err != nil {
		return err
	}
	lease := network.Lease()
	if err := manager.HandleSubnetFile(result, config, true, lease.Subnet, lease.IPv6Subnet, network.MTU()); err != nil {
		return err
	}
	work.Go(func() { network.Run(ctx) })
	err = manager.CompleteLease(ctx, lease, &work)
	work.Wait()
	return err
}

// register makes the devices on the interface of the default route, and tells the other nodes.
func register(ctx context.Context, work *sync.WaitGroup, manager subnet.Manager, config *subnet.Config) (backend.Network, error) {
	families, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	nic, err := ipmatch.LookupExtIface("", "", "", families, ipmatch.PublicIPOpts{})
	if err != nil {
		return nil, err
	}
	b, err := backend.NewManager(ctx, manager, nic).GetBackend(config.BackendType)
	if err != nil {
		return nil, err
	}
	return b.RegisterNetwork(ctx, work, config)
}

// rules has the node forward what pods send, and translate it where it leaves the network.
func rules(ctx context.Context, config *subnet.Config, network backend.Network) error {
	var m iptables.IPTablesManager
	if err := m.Init(ctx); err != nil {
		return err
	}
	var none4 ip.IP4Net
	none6 := ip.IP6Net{IP: new(ip.IP6)}
	err := m.SetupAndEnsureMasqRules(ctx, config.Network, none4, none4, config.IPv6Network, none6, none6, network.Lease(), resync, false)
	if err != nil {
		return err
	}
	m.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, resync)
	return nil
}
