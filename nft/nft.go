// Package nft passes packets on by nftables, as package flows says. It speaks netlink to the kernel
// and needs NET_ADMIN, and no program called nft.
//
// There is a table "starling" of each IP family while anything of that family is passed, and none
// else. It holds:
//
//	map to       VIP -> address of the other node
//	set guard    VIP . source MAC that nothing is passed from
//	set flows    connections of which more than an end was passed in the last minute, for the metric:
//	             tests of forwarding end twice, and the second end belongs to nothing any more
//
//	chain in     hooked in front of NAT: a VIP in the map goes to the chain moved
//	chain moved  not from a guard, and of no connection of this kernel:
//	               TCP with neither SYN, FIN nor RST, state new     -> pass
//	               TCP with FIN or RST, state invalid               -> pass
//	               ICMP errors, state invalid                       -> pass
//	chain pass   sends a copy to the other node, drops
//
// The kernel takes a connection whose beginning it has not seen for a new one as soon as data comes
// (net.netfilter.nf_conntrack_tcp_loose, on by default), and calls it invalid when the first packet
// ends it. The copy ("dup to") leaves by the route to the other node, with a TTL that is one less.
// The drop keeps this kernel from remembering the connection.
//
// Each call writes everything in one transaction, so packets see the rules of before or those of
// after. The elements of the map end by themselves when nobody writes them again: a speaker that is
// gone for good leaves an empty map.
package nft

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/flows"
)

const (
	// tableName is that of the tables of this package.
	tableName = "starling"
	// chunk is how many elements go into one message: its parts have 64 KiB at most.
	chunk = 200
)

// Kernel is the nftables of a network namespace. All methods but Pass may be called by any
// goroutine.
type Kernel struct {
	namespace int           // a descriptor of it; 0: that of the process
	keep      time.Duration // for so long the kernel passes on without being told again

	made map[string]bool // by Pass: families that have a table; nil: not known
}

// New returns the nftables of the process's own network namespace. What is passed ends when it was
// not written again for so long. The registry may be nil.
func New(keep time.Duration, registry prometheus.Registerer) *Kernel {
	k := &Kernel{keep: keep}
	if registry != nil {
		registry.MustRegister(k.metric())
	}
	return k
}

// Pass makes the kernel pass these, and nothing else. None remove the tables, and are a test of
// whether they could be made. One goroutine may call it at a time.
func (k *Kernel) Pass(all []flows.Pass) error {
	made := map[string]bool{}
	for _, f := range families {
		part := slices.DeleteFunc(slices.Clone(all), func(p flows.Pass) bool { return p.VIP.Is4() != f.is4 })
		if made[f.name] = len(part) > 0; !made[f.name] && k.made != nil && !k.made[f.name] {
			continue // a transaction takes some ten milliseconds
		}
		if err := k.write(f, part); err != nil {
			k.made = nil
			if errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("missing NET_ADMIN: %w", err)
			}
			return fmt.Errorf("write nftables table %s %s: %w", f.name, tableName, err)
		}
	}
	k.made = made
	return nil
}

// writeLimit is how long the kernel may take: the loop waits for it.
const writeLimit = 2 * time.Second

func limited(c *netlink.Conn) error { return c.SetDeadline(time.Now().Add(writeLimit)) }

// write replaces what one family passes.
func (k *Kernel) write(f family, all []flows.Pass) error {
	c, err := nftables.New(nftables.WithNetNSFd(k.namespace), nftables.WithSockOptions(limited)) // opens nothing yet
	if err != nil {
		return err
	}
	t := f.table()
	c.AddTable(t.Table)
	if err := t.build(c); err != nil {
		return err
	}
	if len(all) == 0 {
		c.DelTable(t.Table)
		return c.Flush()
	}
	c.FlushSet(t.to)
	c.FlushSet(t.guard)
	to, guard, err := k.elements(all)
	if err != nil {
		return err
	}
	if err := errors.Join(add(c, t.to, to), add(c, t.guard, guard)); err != nil {
		return err
	}
	return c.Flush()
}

// elements are those of the map and of the set of guards.
func (k *Kernel) elements(all []flows.Pass) (to, guard []nftables.SetElement, err error) {
	for _, p := range all {
		to = append(to, nftables.SetElement{Key: p.VIP.AsSlice(), Val: p.To.AsSlice(), Timeout: k.keep})
		for _, text := range slices.Compact(slices.Sorted(slices.Values(p.MACs))) {
			mac, err := net.ParseMAC(text)
			if err != nil {
				return nil, nil, err
			}
			guard = append(guard, nftables.SetElement{Key: guardKey(p.VIP, mac)})
		}
	}
	return to, guard, nil
}

// guardKey is an address and a MAC, each in whole registers of four bytes.
func guardKey(vip netip.Addr, mac net.HardwareAddr) []byte {
	return append(append(vip.AsSlice(), mac...), 0, 0)
}

// add adds elements in messages that are not too long.
func add(c *nftables.Conn, s *nftables.Set, all []nftables.SetElement) error {
	for part := range slices.Chunk(all, chunk) {
		if err := c.SetAddElements(s, part); err != nil {
			return err
		}
	}
	return nil
}

// Passed is what the kernel passes, sorted by address: at the start of a process, what an earlier
// one left.
func (k *Kernel) Passed() ([]flows.Pass, error) {
	var all []flows.Pass
	err := k.each(func(c *nftables.Conn, t table) error {
		to, err := c.GetSetElements(t.to)
		if err != nil {
			return err
		}
		guard, err := c.GetSetElements(t.guard)
		if err != nil {
			return err
		}
		for _, e := range to {
			vip, _ := netip.AddrFromSlice(e.Key)
			there, _ := netip.AddrFromSlice(e.Val)
			p := flows.Pass{VIP: vip, To: there}
			for _, g := range guard {
				if n := len(e.Key); string(g.Key[:n]) == string(e.Key) {
					p.MACs = append(p.MACs, net.HardwareAddr(g.Key[n:n+6]).String())
				}
			}
			slices.Sort(p.MACs)
			p.MACs = slices.Compact(p.MACs)
			all = append(all, p)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b flows.Pass) int { return a.VIP.Compare(b.VIP) })
	// A set that has just grown may show an element twice (rhashtable).
	all = slices.CompactFunc(all, func(a, b flows.Pass) bool { return a.VIP == b.VIP })
	return all, err
}

// Flows counts the TCP connections of which packets were passed in the last minute, up to maxFlows
// of each IP family.
func (k *Kernel) Flows() (n int, err error) {
	err = k.each(func(c *nftables.Conn, t table) error {
		seen, err := c.GetSetElements(t.flows)
		keys := map[string]bool{}
		for _, e := range seen {
			keys[string(e.Key)] = true
		}
		n += len(keys)
		return err
	})
	return n, err
}

// each calls do for the table of each family that there is.
func (k *Kernel) each(do func(*nftables.Conn, table) error) error {
	for _, f := range families {
		if err := k.one(f, do); err != nil {
			return fmt.Errorf("read nftables table %s %s: %w", f.name, tableName, err)
		}
	}
	return nil
}

// one does so for one family.
func (k *Kernel) one(f family, do func(*nftables.Conn, table) error) error {
	c, err := nftables.New(nftables.WithNetNSFd(k.namespace)) // opens nothing yet
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(f.family)
	if err != nil || !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == tableName }) {
		return err
	}
	return do(c, f.table())
}
