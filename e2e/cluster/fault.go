package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Cut takes the host's port out of the switch: nothing passes in either direction any more, and
// nobody learns of it, because the link itself stays up at both ends.
func (h *Host) Cut() error {
	return h.atPort(func(handle *netlink.Handle, port netlink.Link) error { return handle.LinkSetNoMaster(port) })
}

// Heal puts the port back into the switch.
func (h *Host) Heal() error {
	return h.atPort(func(handle *netlink.Handle, port netlink.Link) error {
		bridge, err := handle.LinkByName(h.bridge)
		if err != nil {
			return err
		}
		return handle.LinkSetMaster(port, bridge)
	})
}

// Unplug takes the carrier of the host's interface away, as a pulled cable does; Plug gives it
// back.
func (h *Host) Unplug() error {
	return h.atPort(func(handle *netlink.Handle, port netlink.Link) error { return handle.LinkSetDown(port) })
}

// Plug undoes Unplug.
func (h *Host) Plug() error {
	return h.atPort(func(handle *netlink.Handle, port netlink.Link) error { return handle.LinkSetUp(port) })
}

// Take gives the host an address of its segment, of which it says nothing unless it is asked.
func (h *Host) Take(ip netip.Addr) error {
	return h.withAddress(ip, (*netlink.Handle).AddrAdd)
}

// GiveUp takes back what Take gave.
func (h *Host) GiveUp(ip netip.Addr) error {
	return h.withAddress(ip, (*netlink.Handle).AddrDel)
}

// Readdress gives the host another IPv4 address in the place of the one that it has, as DHCP does.
func (h *Host) Readdress(old, now netip.Addr) error {
	return withHandle(h.Space, func(handle *netlink.Handle) error {
		link, err := handle.LinkByName(h.NIC)
		if err != nil {
			return err
		}
		on := func(ip netip.Addr) *netlink.Addr {
			mask := net.CIDRMask(netip.MustParsePrefix(Segment4).Bits(), ip.BitLen())
			return &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: mask}}
		}
		if err := errors.Join(handle.AddrDel(link, on(old)), handle.AddrAdd(link, on(now))); err != nil {
			return fmt.Errorf("change %s of %s to %s: %w", old, h.Name, now, err)
		}
		return nil
	})
}

func (h *Host) withAddress(ip netip.Addr, f func(*netlink.Handle, netlink.Link, *netlink.Addr) error) error {
	return withHandle(h.Space, func(handle *netlink.Handle) error {
		link, err := handle.LinkByName(h.NIC)
		if err != nil {
			return err
		}
		if err := f(handle, link, &netlink.Addr{IPNet: netlink.NewIPNet(ip.AsSlice()), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("address %s of %s: %w", ip, h.Name, err)
		}
		return nil
	})
}

func (h *Host) atPort(f func(*netlink.Handle, netlink.Link) error) error {
	err := h.network.inSwitch(func(handle *netlink.Handle) error {
		port, err := handle.LinkByName(h.Name)
		if err != nil {
			return err
		}
		return f(handle, port)
	})
	if err != nil {
		return fmt.Errorf("switch port of %s: %w", h.Name, err)
	}
	return nil
}

// faultTable is the nftables table that Block fills.
const faultTable = "starling_e2e_fault"

// Block makes the node drop what comes in for this port, by TCP and UDP, until Unblock.
func (n *Node) Block(ctx context.Context, port int) error {
	rules := fmt.Sprintf(`add table inet %[1]s
add chain inet %[1]s in { type filter hook input priority -10; }
add rule inet %[1]s in meta l4proto { tcp, udp } th dport %[2]d drop`, faultTable, port)
	_, err := n.Run(ctx, "nft", rules)
	return err
}

// Unblock removes all that Block has set.
func (n *Node) Unblock(ctx context.Context) error {
	_, err := n.Run(ctx, "nft", "delete table inet "+faultTable)
	return err
}

// Pids returns the processes on the node that run the program of that name, by their number on the
// machine.
func (n *Node) Pids(program string) ([]int, error) {
	all, err := n.Space.Processes()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(pid int) bool {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		first, _, _ := bytes.Cut(line, []byte{0})
		return filepath.Base(string(first)) != program
	}), nil
}

// Signal sends the signal to every process on the node that runs the program; there must be one.
func (n *Node) Signal(program string, signal syscall.Signal) error {
	pids, err := n.Pids(program)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("node %s runs no %s", n.Name, program)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil {
			return fmt.Errorf("signal %s on %s: %w", program, n.Name, err)
		}
	}
	return nil
}

// NodeByMAC returns the node one of whose interfaces has that address, nil if it is no node's.
func (c *Cluster) NodeByMAC(mac net.HardwareAddr) *Node {
	for _, n := range c.Nodes {
		if bytes.Equal(n.MAC, mac) || n.Second != nil && bytes.Equal(n.Second.MAC, mac) {
			return n
		}
	}
	return nil
}

// Kubectl runs the real kubectl on the machine, with input as its standard input, and returns its
// output.
func (c *Cluster) Kubectl(ctx context.Context, input string, args ...string) (string, error) {
	return command(ctx, input, append([]string{filepath.Join(c.options.Tools, "kubectl"), "--kubeconfig", c.Kubeconfig}, args...)...)
}

// InClient runs a command in the client's network namespace and returns its output.
func (c *Cluster) InClient(ctx context.Context, argv ...string) (out string, err error) {
	err = c.Client.Space.Do(func() error {
		out, err = command(ctx, "", argv...)
		return err
	})
	return strings.TrimSpace(out), err
}
