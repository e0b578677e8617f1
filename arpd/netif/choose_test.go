package netif

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
)

func TestChoose(t *testing.T) {
	kind := func(k string) func(*Link) { return func(l *Link) { l.Kind = k } }
	flags := func(f uint32) func(*Link) { return func(l *Link) { l.Flags = f } }
	member := func(of int) func(*Link) { return func(l *Link) { l.Master = of } }
	loopback := Link{Name: "lo", Index: 1, Kind: "device", Flags: running | unix.IFF_LOOPBACK, Addrs: prefixes("127.0.0.1/8", "::1/128")}
	eth0 := nic("eth0", 2, "198.18.0.1/24", "fe80::1/64")
	usual := []string{"lo: loopback", "eth0: used"}

	for _, tc := range []struct {
		name     string
		patterns []string
		links    []Link
		want     []string
	}{
		{"a node", nil, []Link{loopback, eth0}, usual},
		{"two cards", nil, []Link{loopback, eth0, nic("ens4", 3, "2001:db8::1/64")}, append(usual, "ens4: used")},
		{"an uplink that is a veth", nil, []Link{but(eth0, kind("veth"))}, []string{"eth0: used"}},
		{
			"macvlan, VLAN", nil,
			[]Link{but(nic("mac0", 3, "198.18.1.1/24"), kind("macvlan")), but(nic("eth0.10", 4, "198.18.2.1/24"), kind("vlan"))},
			[]string{"mac0: used", "eth0.10: used"},
		},
		{"down", nil, []Link{but(eth0, flags(unix.IFF_BROADCAST))}, []string{"eth0: down"}},
		{"no carrier", nil, []Link{but(eth0, flags(unix.IFF_UP|unix.IFF_BROADCAST))}, []string{"eth0: no carrier"}},
		{"no ARP", nil, []Link{but(eth0, flags(running|unix.IFF_NOARP))}, []string{"eth0: NOARP"}},
		{"no Ethernet", nil, []Link{but(eth0, func(l *Link) { l.Ether = false })}, []string{"eth0: not Ethernet"}},
		{"no address", nil, []Link{nic("eth1", 3)}, []string{"eth1: no address"}},
		{"link-local only", nil, []Link{nic("eth1", 3, "fe80::1/64", "169.254.1.1/16")}, []string{"eth1: no address"}},
		{"single address", nil, []Link{nic("eth1", 3, "198.18.0.1/32")}, []string{"eth1: used"}},
		{
			"bridge is the uplink", nil,
			[]Link{but(nic("br0", 3, "198.18.0.1/24"), kind("bridge")), but(nic("eth0", 2, "198.18.0.9/24"), member(3))},
			[]string{"br0: used", "eth0: member of bridge br0"},
		},
		{
			"bond", nil,
			[]Link{but(nic("bond0", 3, "198.18.0.1/24"), kind("bond")), but(nic("eth0", 2), member(3)), but(nic("eth1", 4), member(3))},
			[]string{"bond0: used", "eth0: member of bond bond0", "eth1: member of bond bond0"},
		},
		{
			"OpenShift", nil,
			[]Link{
				but(nic("br-ex", 3, "198.18.0.1/24"), kind("openvswitch")), but(nic("ens3", 2), member(4)),
				but(nic("ovs-system", 4), kind("openvswitch")), nic("br-int", 5, "198.18.9.1/24"), nic("ovn-k8s-mp0", 6, "198.18.8.1/24"),
			},
			[]string{"br-ex: used", "ens3: member of openvswitch ovs-system", "ovs-system: container interface", "br-int: container interface", "ovn-k8s-mp0: container interface"},
		},
		{
			"VRF", nil,
			[]Link{but(nic("blue", 3), func(l *Link) { l.Kind, l.Flags = "vrf", running|unix.IFF_NOARP }), but(eth0, member(3))},
			[]string{"blue: NOARP", "eth0: used"},
		},
		{"master in another namespace", nil, []Link{but(eth0, member(99))}, []string{"eth0: used"}},
		{
			"virtual kinds", nil,
			[]Link{but(nic("d0", 3, "198.18.3.1/24"), kind("dummy")), but(nic("vx0", 4, "198.18.4.1/24"), kind("vxlan")), but(nic("t0", 5, "198.18.5.1/24"), kind("tuntap"))},
			[]string{"d0: virtual: dummy", "vx0: virtual: vxlan", "t0: virtual: tuntap"},
		},

		{"by name", []string{"eth0"}, []Link{loopback, eth0, nic("eth1", 3, "198.18.1.1/24")}, []string{"lo: not asked for", "eth0: used", "eth1: not asked for"}},
		{"by glob", []string{"eth*"}, []Link{eth0, nic("ens4", 3, "198.18.1.1/24"), nic("eth1", 4, "198.18.2.1/24")}, []string{"eth0: used", "ens4: not asked for", "eth1: used"}},
		{"glob but one", []string{"eth*", "!eth1"}, []Link{eth0, nic("eth1", 4, "198.18.2.1/24")}, []string{"eth0: used", "eth1: excluded by !eth1"}},
		{"exclusion first", []string{"!eth1", "eth*"}, []Link{eth0, nic("eth1", 4, "198.18.2.1/24")}, []string{"eth0: used", "eth1: excluded by !eth1"}},
		{"automatic but one", []string{"!ens*"}, []Link{loopback, eth0, nic("ens4", 3, "198.18.1.1/24")}, append(usual, "ens4: excluded by !ens*")},
		{"asked for without address", []string{"eth1"}, []Link{nic("eth1", 3)}, []string{"eth1: used"}},
		{"asked for a container's bridge", []string{"docker0"}, []Link{but(nic("docker0", 3, "198.18.1.1/24"), kind("bridge"))}, []string{"docker0: used"}},
		{"asked for a dummy", []string{"d*"}, []Link{but(nic("d0", 3), kind("dummy"))}, []string{"d0: used"}},
		{"asked for and down", []string{"eth0"}, []Link{but(eth0, flags(0))}, []string{"eth0: down"}},
		{"asked for loopback", []string{"lo"}, []Link{loopback}, []string{"lo: loopback"}},
		{"asked for a member", []string{"*"}, []Link{but(nic("br0", 3), kind("bridge")), but(eth0, member(3))}, []string{"br0: used", "eth0: member of bridge br0"}},
		{"asked for what is not there", []string{"eth9"}, []Link{eth0}, []string{"eth0: not asked for"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := ParsePatterns(tc.patterns)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			for _, i := range Choose(tc.links, p) {
				got[i.Name] = i.Reason
				if i.Used {
					got[i.Name] = "used"
				}
				if i.Used != (i.Reason == "") {
					t.Errorf("%s: used %v, reason %q", i.Name, i.Used, i.Reason)
				}
			}
			want := make(map[string]string)
			for _, w := range tc.want {
				name, what, _ := strings.Cut(w, ": ")
				want[name] = what
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("interfaces (-want +got):\n%s", diff)
			}
		})
	}
}

// TestChooseDescribes checks the whole value and the order.
func TestChooseDescribes(t *testing.T) {
	eth0 := nic("eth0", 7, "2001:db8::1/64", "198.18.0.1/24", "198.18.0.2/24", "198.18.9.9/32", "fe80::1/64")
	got := Choose([]Link{nic("eth1", 9), eth0, but(nic("eth1", 8), func(l *Link) { l.MAC = packet.HW{} })}, Patterns{})
	want := []Interface{
		{Name: "eth0", Index: 7, MAC: "02:00:00:00:01:07", Prefixes: prefixes("198.18.0.0/24", "2001:db8::/64"), Used: true},
		{Name: "eth1", Index: 8, Reason: "not Ethernet"},
		{Name: "eth1", Index: 9, MAC: "02:00:00:00:01:09", Reason: "no address"},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
}

// TestContainerNames lists what is found on nodes, and what must not be taken
// for it.
func TestContainerNames(t *testing.T) {
	for name, want := range map[string]bool{
		"veth3fa81b2": true, "veth0": true, "docker0": true, "docker_gwbridge": true, "br-1f0a2b3c4d5e": true,
		"cni0": true, "cni-podman0": true, "nerdctl0": true, "podman1": true, "lxc_health": true, "lxcbr0": true, "lxdbr0": true,
		"cilium_host": true, "cilium_vxlan": true, "cali0123456789a": true, "tunl0": true, "vxlan.calico": true, "vxlan-v6.calico": true,
		"flannel.1": true, "flannel-v6.1": true, "antrea-gw0": true, "ovs-system": true, "ovn0": true, "genev_sys_6081": true,
		"weave": true, "vethwe-bridge": true, "kube-ipvs0": true, "kube-bridge": true, "nodelocaldns": true,
		"azv12345": true, "eni0123abcd": true, "gke52c1": true, "virbr0": true, "virbr0-nic": true, "vnet12": true, "tap0": true,

		"eth0": false, "ens3": false, "enp1s0f0": false, "eno1": false, "end0": false, "enX0": false, "em1": false, "bond0": false, "team0": false,
		"br0": false, "br-ex": false, "br-lan": false, "vmbr0": false, "eth0.10": false, "vlan10": false, "wlan0": false, "lan0": false,
		"bridge0": false, "net0": false, "macvlan0": false, "eni0": false,
	} {
		if got := container.MatchString(name); got != want {
			t.Errorf("%s: container %v, want %v", name, got, want)
		}
	}
}

func TestParsePatterns(t *testing.T) {
	for name, tc := range map[string]struct {
		in   []string
		want []string // parts of the error
	}{
		"none":         {nil, nil},
		"all kinds":    {[]string{"eth0", "ens*", "!eth1", "br[0-9]"}, nil},
		"empty":        {[]string{""}, []string{`interface pattern "": empty`}},
		"only a mark":  {[]string{"!"}, []string{`interface pattern "!": empty`}},
		"open bracket": {[]string{"eth[", "ok", "![a-"}, []string{`"eth[": syntax error`, `"![a-": syntax error`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePatterns(tc.in)
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("error %v", err)
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			if err != nil && len(strings.Split(err.Error(), "\n")) != len(tc.want) {
				t.Errorf("error %q is not one line per mistake", err)
			}
		})
	}
}

func TestSurvey(t *testing.T) {
	all, err := Survey(nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(i Interface) bool { return i.Name == "lo" })
	if i < 0 || all[i].Used || all[i].Reason != isLoopback {
		t.Errorf("interfaces %+v: the loopback is missing or used", all)
	}
	if _, err := Survey([]string{"["}); err == nil {
		t.Error("a bad pattern is taken")
	}
}
