// Package lantest makes hosts and switches out of network namespaces, for tests on the wire. It is
// imported by tests alone.
//
// A [Host] is a network namespace without a name. It goes when its last descriptor is closed, which
// the end of the process does at the latest, so nothing can be left behind. [Host.Bridge] makes it
// a switch, and [Host.Plug] connects a host to one by a pair of veth interfaces. Duplicate address
// detection is off, so an address can be used as soon as it is there.
package lantest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// bridge is the interface of a switch.
const bridge = "br0"

// Privileged skips a test where network namespaces cannot be made for want of privilege, which in
// CI is a failure. Any other reason is a failure anyway.
func Privileged(t testing.TB) {
	t.Helper()
	ns, err := unshare()
	switch {
	case err == nil:
		ns.Close()
	case errors.Is(err, unix.EPERM) && os.Getenv("CI") != "true":
		t.Skip("needs root: network namespaces")
	default:
		t.Fatalf("make a network namespace: %v", err)
	}
}

// unshare makes a namespace, on a thread that ends with it.
func unshare() (ns netns.NsHandle, err error) {
	made := make(chan struct{})
	go func() {
		defer close(made)
		runtime.LockOSThread() // the thread ends here
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			ns, err = netns.Get()
		}
	}()
	<-made
	return ns, err
}

// Host is a network namespace. Its methods end the test when something fails.
type Host struct {
	T  testing.TB
	NS netns.NsHandle
	NL *netlink.Handle
}

// New makes a host that lasts as long as the test.
func New(t testing.TB) *Host {
	t.Helper()
	ns, err := unshare()
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatalf("netlink in the namespace: %v", err)
	}
	h := &Host{T: t, NS: ns, NL: nl}
	t.Cleanup(func() { nl.Close(); h.NS.Close() })
	for _, key := range []string{"accept_dad", "dad_transmits", "router_solicitations"} {
		h.Sysctl("net/ipv6/conf/default/"+key, "0")
	}
	h.Up("lo")
	return h
}

// Must ends the test if there is an error.
func (h *Host) Must(what string, err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatalf("%s: %v", what, err)
	}
}

// Inside calls f on a thread in the namespace and returns its error.
func (h *Host) Inside(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends here
		if err := netns.Set(h.NS); err != nil {
			result <- err
			return
		}
		result <- f()
	}()
	return <-result
}

// Path names the namespace as a file, for whoever enters it by that.
func (h *Host) Path() string { return fmt.Sprintf("/proc/self/fd/%d", int(h.NS)) }

// Sysctl sets a key below /proc/sys.
func (h *Host) Sysctl(key, value string) {
	h.T.Helper()
	h.Must(key, h.Inside(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644) }))
}

// Link returns an interface.
func (h *Host) Link(name string) netlink.Link {
	h.T.Helper()
	l, err := h.NL.LinkByName(name)
	h.Must("find "+name, err)
	return l
}

// Up sets an interface up.
func (h *Host) Up(name string) { h.T.Helper(); h.Must("up "+name, h.NL.LinkSetUp(h.Link(name))) }

// Down sets an interface down.
func (h *Host) Down(name string) { h.T.Helper(); h.Must("down "+name, h.NL.LinkSetDown(h.Link(name))) }

// Address gives an interface addresses, each with the length of its network.
func (h *Host) Address(name string, texts ...string) {
	h.T.Helper()
	for _, text := range texts {
		h.Must("add "+text, h.NL.AddrAdd(h.Link(name), &netlink.Addr{IPNet: Net(text)}))
	}
}

// Bridge makes the host a switch.
func (h *Host) Bridge() *Host {
	h.T.Helper()
	h.Must("add bridge", h.NL.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}))
	h.Up(bridge)
	return h
}

// Plug connects a new interface of the host to a new port of a switch, and gives it addresses.
func (h *Host) Plug(sw *Host, name, port string, addrs ...string) {
	h.T.Helper()
	h.Must("add port", sw.NL.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: sw.Link(bridge).Attrs().Index},
		PeerName:  name, PeerNamespace: netlink.NsFd(int(h.NS)),
	}))
	sw.Up(port)
	h.Up(name)
	h.Address(name, addrs...)
}

// Net is a prefix, or an address with the length of its network, as package net has it.
func Net(text string) *net.IPNet {
	p := netip.MustParsePrefix(text)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
