package arpd

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/lantest"
)

// nft runs commands of nftables in a host.
func (h *host) nft(commands string) {
	h.T.Helper()
	if _, err := exec.LookPath("nft"); err != nil && os.Getenv("CI") != "true" {
		h.T.Skip("needs nft")
	}
	h.do(func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(commands)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	})
}

// forwards has a host send on what comes for the VIPs, as kube-proxy does it for policy Cluster.
func (h *host) forwards() {
	h.T.Helper()
	for key, value := range map[string]string{
		"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", "net/ipv4/conf/all/send_redirects": "0", "net/ipv4/conf/eth0/send_redirects": "0",
	} {
		h.Sysctl(key, value)
	}
	for family, to := range map[string]string{"ip": vip4.String() + " tcp dport 80 dnat to 198.18.0.9:8080", "ip6": vip6.String() + " tcp dport 80 dnat to [2001:db8::9]:8080"} {
		h.nft(fmt.Sprintf(`table %[1]s t {
			chain pre { type nat hook prerouting priority -100; %[1]s daddr %[2]s; }
			chain post { type nat hook postrouting priority 100; masquerade; }
		}`, family, to))
	}
}

// listen accepts connections in a host.
func (h *host) listen(port int) {
	h.T.Helper()
	h.do(func() error {
		l, err := net.Listen("tcp", fmt.Sprint(":", port))
		if err == nil {
			h.T.Cleanup(func() { l.Close() })
		}
		return err
	})
}

// connections counts the TCP sockets of a host that are in a state, as of proc_net_tcp.
func (h *host) connections(state string) (n int) {
	h.T.Helper()
	h.do(func() error {
		for _, file := range []string{"tcp", "tcp6"} {
			text, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err != nil {
				return err
			}
			for line := range bytes.Lines(text) {
				if f := bytes.Fields(line); len(f) > 3 && string(f[3]) == state {
					n++
				}
			}
		}
		return nil
	})
	return n
}

// States of TCP sockets (net/tcp_states.h of Linux).
const (
	synReceived = "03"
	listening   = "0A"
)

// TestForwarding: a node tests two others, which forward to a host that listens. As long as they do
// they answer, by IPv4 and IPv6. After "nft flush ruleset" one is silent and the other is not. The
// host keeps no connection that is half open, although nobody answers for the addresses but by the
// frames of the test.
func TestForwarding(t *testing.T) {
	lantest.Privileged(t)
	l := newLAN(t)
	hosts := map[int]*host{}
	for _, n := range []int{1, 2, 3, 9} {
		hosts[n] = newHost(t)
		l.plug(hosts[n], "eth0", fmt.Sprintf("198.18.0.%d/24", n), fmt.Sprintf("2001:db8::%d/64", n))
	}
	tester, backend := hosts[1], hosts[9]
	backend.listen(8080)
	for _, n := range []int{2, 3} {
		hosts[n].forwards()
		for _, ip := range []string{"198.18.0.9", "2001:db8::9"} {
			hosts[n].reach(netip.MustParseAddr(ip), backend.mac("eth0"))
		}
		tester.reach(netip.MustParseAddr(fmt.Sprintf("198.18.0.%d", n)), hosts[n].mac("eth0"))
	}
	speaker := tester.speakWith(1, Config{Testing: true})
	last := uint64(0)
	answered := func(by int, ip netip.Addr, limit time.Duration) (from string) {
		t.Helper()
		last++
		speaker.Test([]forward.Question{{ID: last, MAC: hosts[by].mac("eth0").String(), To: netip.AddrPortFrom(ip, 80)}})
		for late := time.After(limit); ; {
			for _, r := range speaker.Replies() {
				if r, ok := r.(forward.Reply); ok && r.ID == last {
					return r.MAC
				}
			}
			select {
			case <-speaker.Replied():
			case <-late:
				return ""
			}
		}
	}
	mac := func(n int) string { return hosts[n].mac("eth0").String() }
	for _, ip := range []netip.Addr{vip4, vip6} {
		for by := range 2 {
			if answered(by+2, ip, patience) != mac(by+2) {
				t.Errorf("%s by node %d is not answered", ip, by+2)
			}
		}
	}
	hosts[2].nft("flush ruleset")
	for _, ip := range []netip.Addr{vip4, vip6} {
		if answered(2, ip, 300*time.Millisecond) != "" {
			t.Errorf("%s is answered without rules", ip)
		}
		if answered(3, ip, patience) != mac(3) {
			t.Errorf("%s is not answered by the node that has its rules", ip)
		}
		if answered(3, ip.Next(), 300*time.Millisecond) != "" {
			t.Errorf("%s is answered, which is no address of a Service", ip.Next())
		}
	}
	// A node without rules is a router: what another one announces, that one answers.
	hosts[3].speak(1).Set([]netip.Addr{vip4, vip6})
	for _, ip := range []netip.Addr{vip4, vip6} {
		for late := time.Now().Add(patience); answered(2, ip, 100*time.Millisecond) != mac(3); {
			if time.Now().After(late) {
				t.Fatalf("%s is not routed", ip)
			}
		}
	}
	if n := backend.connections(listening); n != 1 {
		t.Errorf("%d sockets listen, want 1", n)
	}
	for late, tick := time.After(patience), time.Tick(10*time.Millisecond); backend.connections(synReceived) > 0; {
		select {
		case <-tick:
		case <-late:
			t.Fatalf("%d connections are half open", backend.connections(synReceived))
		}
	}
}
