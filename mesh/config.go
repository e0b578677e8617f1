package mesh

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Config says which member this is.
type Config struct {
	// Name is the member's name: the node's name.
	Name string
	// Bind is the address and port, tcp and udp, that gossip is received on.
	// Port 0 takes any free port.
	Bind netip.AddrPort
	// Local returns the addresses and ports to listen on now, in place of Bind, the first of them
	// to be advertised. A node may have one of each family, and another one tomorrow: it is asked
	// once a second and must not block. An empty list says that nothing is known. Nil: Bind alone.
	Local func() []netip.AddrPort
	// Advertise is the address that others get. The zero value is Bind; it must be
	// set when Bind is unspecified. Port 0 is the bound port.
	Advertise netip.AddrPort
	// Label is the identity of the cluster. Clusters with different labels
	// never merge, whatever their keys. At most 255 bytes.
	Label string
	// Keys is the keyring to start with, the primary key first, 32 bytes each;
	// SetKeys changes it. An empty ring turns encryption off for good, which is
	// for tests.
	Keys [][]byte
	// First is what the member says of itself until SetMeta changes it: others learn it with its
	// name.
	First Meta
	// Detection is the failure detector's preset. The zero value is Default.
	Detection Detection
	// Seeds returns the gossip addresses of all nodes; this node's own may be
	// among them, and should be: a list of nothing else proves that the node
	// is alone, an empty list only that nothing is known yet. It is asked
	// before every round of joining and must not block for long. Addresses of
	// a family on which this node does not listen are left out. Nil: no
	// others.
	Seeds func() []Seed
	// Admit reports whether a name may be that of a member: Kubernetes has a Node of it. It is
	// asked under memberlist's lock, for every alive message, and must not block. Nil: any name.
	Admit func(name string) bool
	// Log receives changes of state at level info, and memberlist's own log.
	Log zerolog.Logger
	// Registry takes the metrics; nil registers none.
	Registry prometheus.Registerer

	// listen opens the transport; tests have networks of their own.
	listen func(netip.AddrPort) (memberlist.NodeAwareTransport, error)
}

// Seed is where a node's gossip may be found.
type Seed struct {
	Node string // Its name, by which it is known whether it is a member; "" if that is not known.
	Addr netip.AddrPort
}

func (c Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("mesh: "+format, args...)) }
	if c.Name == "" {
		wrong("member name is empty")
	}
	if !c.Bind.IsValid() {
		wrong("bind address %q is invalid", c.Bind)
	} else if c.Bind.Addr().IsUnspecified() && !c.Advertise.IsValid() {
		wrong("bind address %s needs an address to advertise", c.Bind)
	}
	if c.Advertise.IsValid() && c.Advertise.Addr().IsUnspecified() {
		wrong("cannot advertise %s", c.Advertise)
	}
	if len(c.Label) > memberlist.LabelMaxSize {
		wrong("label has %d bytes, at most %d are allowed", len(c.Label), memberlist.LabelMaxSize)
	}
	if err := checkKeys(c.Keys); err != nil {
		wrong("%w", err)
	}
	if c.Detection != "" {
		if _, err := ParseDetection(string(c.Detection)); err != nil {
			wrong("failure detection: %w", err)
		}
	}
	return errors.Join(errs...)
}
