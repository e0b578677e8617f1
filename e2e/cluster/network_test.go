package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/starling-lb/starling/e2e/netspace"
)

// wire makes a switch with two hosts.
func wire(t *testing.T) (*network, *Host, *Host) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	n, err := newNetwork(fmt.Sprintf("starling-wire-%d-%s-", os.Getpid(), strings.ToLower(t.Name())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		spaces := []*netspace.Space{n.space}
		for _, h := range n.hosts {
			spaces = append(spaces, h.Space)
		}
		for _, s := range spaces {
			if err := s.Remove(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
	})
	var hosts []*Host
	for i, name := range []string{"n1", "n2"} {
		h, err := n.add(name, netip.AddrFrom4([4]byte{198, 18, 0, byte(11 + i)}), netip.MustParseAddr(fmt.Sprintf("2001:db8:18::%d", 11+i)))
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	return n, hosts[0], hosts[1]
}

// serve lets the host answer datagrams on that port.
func serve(t *testing.T, h *Host, port string) {
	t.Helper()
	var conn net.PacketConn
	err := h.Space.Do(func() (err error) { conn, err = net.ListenPacket("udp", ":"+port); return err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 64)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buf[:n], from)
		}
	}()
}

// talks reports whether from gets an answer at the address.
func talks(t *testing.T, from *Host, address string) bool {
	t.Helper()
	conn, err := from.Dial(t.Context(), "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}

// TestUnlink: a link that went by itself meanwhile, as the second end of a pair does, is no error.
func TestUnlink(t *testing.T) {
	n, a, b := wire(t)
	err := n.inSwitch(func(h *netlink.Handle) error {
		var ports []netlink.Link
		for _, name := range []string{a.Name, b.Name} {
			port, err := h.LinkByName(name)
			if err != nil {
				return err
			}
			ports = append(ports, port)
		}
		if err := h.LinkDel(ports[0]); err != nil {
			return err
		}
		return unlink(h, ports...)
	})
	if err != nil {
		t.Error(err)
	}
	links := 0
	if err := n.inSwitch(func(h *netlink.Handle) error {
		list, err := h.LinkList()
		links = len(list)
		return err
	}); err != nil || links != 2 {
		t.Errorf("%d links, %v, want the loopback and the bridge", links, err)
	}
}

func TestHostsTalk(t *testing.T) {
	_, a, b := wire(t)
	serve(t, b, "7")
	for _, ip := range []netip.Addr{b.IP4, b.IP6} {
		soon(t, a, netip.AddrPortFrom(ip, 7).String())
	}
}

// soon waits until from gets an answer: a port of a switch needs a moment to come up.
func soon(t *testing.T, from *Host, address string) {
	t.Helper()
	err := Until(t.Context(), 5*time.Second, "talk", func(context.Context) error {
		if !talks(t, from, address) {
			return fmt.Errorf("%s is silent", address)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCutIsSilent(t *testing.T) {
	_, a, b := wire(t)
	serve(t, b, "7")
	address := netip.AddrPortFrom(b.IP4, 7).String()
	soon(t, a, address)
	if err := b.Cut(); err != nil {
		t.Fatal(err)
	}
	if talks(t, a, address) {
		t.Error("a host that was cut off answers")
	}
	if !carrier(t, b) {
		t.Error("the host has noticed that it was cut off")
	}
	if err := b.Heal(); err != nil {
		t.Fatal(err)
	}
	soon(t, a, address)
}

func TestUnplugIsSeen(t *testing.T) {
	_, _, b := wire(t)
	for want, act := range map[bool]func() error{false: b.Unplug, true: b.Plug} {
		if err := b.Unplug(); err != nil {
			t.Fatal(err)
		}
		if err := act(); err != nil {
			t.Fatal(err)
		}
		if err := Until(t.Context(), 5*time.Second, "carrier", func(context.Context) error {
			if got := carrier(t, b); got != want {
				return fmt.Errorf("carrier is %v, want %v", got, want)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

func carrier(t *testing.T, h *Host) (up bool) {
	t.Helper()
	err := h.Space.Do(func() error {
		link, err := net.InterfaceByName(NIC)
		if err == nil {
			up = link.Flags&net.FlagRunning != 0
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func TestFaultOnUnknownPort(t *testing.T) {
	n, _, _ := wire(t)
	stranger := &Host{Name: "n9", network: n}
	if err := stranger.Cut(); err == nil || !strings.Contains(err.Error(), "n9") {
		t.Errorf("error %v does not name the host", err)
	}
}

func TestSignal(t *testing.T) {
	_, a, _ := wire(t)
	n := &Node{Host: a}
	if err := n.Signal("sleep", syscall.SIGKILL); err == nil {
		t.Error("signaled a program that does not run")
	}
	p := &process{name: "sleep", space: a.Space, log: filepath.Join(t.TempDir(), "log"), path: searchPath(""), argv: []string{"/bin/sleep", "1000"}}
	boot(t, a.Space)
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	if err := p.alive(); err != nil {
		t.Error(err)
	}
	if pids, err := n.Pids("sleep"); err != nil || !slices.Equal(pids, []int{p.cmd.Process.Pid}) {
		t.Errorf("Pids: %v, %v; want %d", pids, err, p.cmd.Process.Pid)
	}
	if err := n.Signal("sleep", syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-p.done
	if err := p.alive(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("error %v does not say how it ended", err)
	}
}

// boot gives the space a first process that ends with the test.
func boot(t *testing.T, s *netspace.Space) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "first")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nread forever\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Boot(script, "host", false); err != nil {
		t.Fatal(err)
	}
}

func TestProcessStopsAndStartsAgain(t *testing.T) {
	_, a, _ := wire(t)
	boot(t, a.Space)
	log := filepath.Join(t.TempDir(), "log")
	p := &process{name: "echo", space: a.Space, log: log, path: searchPath(""), argv: []string{"/bin/sh", "-c", "echo begun; sleep 1000"}}
	for range 2 {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		if err := p.stop(t.Context(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.stop(t.Context(), syscall.SIGKILL); err != nil {
		t.Errorf("stop of what has ended: %v", err)
	}
	p.argv = []string{"/no/such/program"}
	if err := p.start(); err == nil || !strings.Contains(err.Error(), "start echo") {
		t.Errorf("error %v does not say what failed", err)
	}
}

func TestRunSaysWhatFailed(t *testing.T) {
	_, a, _ := wire(t)
	boot(t, a.Space)
	n := &Node{Host: a}
	if out, err := n.Run(t.Context(), "sh", "-c", "hostname"); err != nil || out != "host\n" {
		t.Errorf("Run: %q, %v", out, err)
	}
	if _, err := n.Run(t.Context(), "sh", "-c", "echo reason >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "status 3: reason") {
		t.Errorf("error %v does not say what failed", err)
	}
	if _, err := n.Run(t.Context(), "no-such-program"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("error %v does not say what failed", err)
	}
}

func TestBlock(t *testing.T) {
	_, a, b := wire(t)
	boot(t, b.Space)
	serve(t, b, "7")
	n, address := &Node{Host: b}, netip.AddrPortFrom(b.IP4, 7).String()
	soon(t, a, address)
	if err := n.Block(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if talks(t, a, address) {
		t.Error("a blocked port answers")
	}
	if err := n.Unblock(t.Context()); err != nil {
		t.Fatal(err)
	}
	soon(t, a, address)
}

func TestMAC(t *testing.T) {
	a, b := mac("n1"), mac("n2")
	if a.String() == b.String() || a[0]&3 != 2 {
		t.Errorf("%s and %s must differ, be unicast and locally administered", a, b)
	}
	c := &Cluster{Nodes: []*Node{{Host: &Host{Name: "n1", MAC: a}}}}
	if n := c.NodeByMAC(mac("n1")); n == nil || n.Name != "n1" {
		t.Errorf("NodeByMAC: %v", n)
	}
	if n := c.NodeByMAC(b); n != nil {
		t.Errorf("NodeByMAC of a stranger: %v", n)
	}
	if c.Node("n1") == nil || c.Node("n2") != nil {
		t.Error("Node finds others than n1")
	}
}

func TestSysctlPath(t *testing.T) {
	for setting, want := range map[string][2]string{
		"net.ipv4.ip_forward=1": {"/proc/sys/net/ipv4/ip_forward", "1"},
		"a.b=c=d":               {"/proc/sys/a/b", "c=d"},
		"a":                     {"/proc/sys/a", ""},
	} {
		if path, value := sysctlPath(setting); path != want[0] || value != want[1] {
			t.Errorf("%s: %s, %s", setting, path, value)
		}
	}
	if err := setSysctls("no.such.setting=1"); !os.IsNotExist(err) && err == nil {
		t.Error("wrote a setting that does not exist")
	}
}
