package nft

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// proxy makes a host forward what comes for a VIP's port 80 to one backend, as kube-proxy does.
type proxy func(h *host, f family, vip, backend netip.Addr)

// proxies runs a test for each family and each way in which kube-proxy writes its rules.
func proxies(t *testing.T, run func(*testing.T, family, proxy)) {
	for name, p := range map[string]proxy{
		"nftables": (*host).nftables, "iptables-nft": iptables("nft"), "iptables-legacy": iptables("legacy"),
	} {
		t.Run(name, func(t *testing.T) {
			families4And6(t, func(t *testing.T, f family) { run(t, f, p) })
		})
	}
}

// asIptables are rules as kube-proxy writes them in its mode iptables, for one Service with one
// endpoint: the VIP, the backend, and the backend with its port. FORWARD drops all else, as some
// firewalls have it.
const asIptables = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-EXT-A - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-A - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -m comment --comment "default/a loadbalancer IP" -m tcp -p tcp -d %[1]s --dport 80 -j KUBE-EXT-A
-A KUBE-EXT-A -j KUBE-MARK-MASQ
-A KUBE-EXT-A -j KUBE-SVC-A
-A KUBE-SVC-A -m statistic --mode random --probability 1.0 -j KUBE-SEP-A
-A KUBE-SEP-A -s %[2]s -j KUBE-MARK-MASQ
-A KUBE-SEP-A -m tcp -p tcp -j DNAT --to-destination %[3]s
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*filter
:FORWARD DROP [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`

// iptables writes the rules by a variant of iptables: nft or legacy.
func iptables(variant string) proxy {
	return func(h *host, f family, vip, backend netip.Addr) {
		h.T.Helper()
		program := map[bool]string{true: "iptables-", false: "ip6tables-"}[f.is4] + variant + "-restore"
		path, err := exec.LookPath(program)
		switch {
		case err != nil && os.Getenv("CI") != "true":
			h.T.Skipf("needs %s: run scripts/deps", program)
		case err != nil:
			h.T.Fatalf("%v: run scripts/deps", err)
		}
		h.Must(program, h.Inside(func() error {
			cmd := exec.Command(path)
			cmd.Stdin = strings.NewReader(fmt.Sprintf(asIptables, vip, backend, netip.AddrPortFrom(backend, port)))
			cmd.Env = append(os.Environ(), "XTABLES_LOCKFILE="+h.T.TempDir()+"/lock")
			out, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		}))
	}
}
