package arpd

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Interface is a network interface of the node and what became of it.
type Interface struct {
	Name     string
	Index    int
	MAC      string
	Prefixes []netip.Prefix // connected, masked, sorted; no link-local ones and no single addresses
	Used     bool
	Reason   string // why it is not used, or ""
}

// Reasons why an interface is not used, or how they begin.
const (
	notAsked    = "not asked for"
	excluded    = "excluded by !"
	isLoopback  = "loopback"
	notEthernet = "not Ethernet"
	noARP       = "NOARP"
	isMember    = "member of "
	isVirtual   = "virtual: "
	isContainer = "container interface"
	noAddress   = "no address"
	isDown      = "down"
	noCarrier   = "no carrier"
)

// patterns is the choice that the user made with --interface.
type patterns struct{ include, exclude []string }

// parsePatterns checks all patterns and returns one error per mistake.
func parsePatterns(texts []string) (patterns, error) {
	var p patterns
	var errs []error
	for _, text := range texts {
		glob, not := strings.CutPrefix(text, "!")
		switch _, err := path.Match(glob, ""); {
		case glob == "":
			errs = append(errs, fmt.Errorf("interface pattern %q: empty", text))
		case err != nil:
			errs = append(errs, fmt.Errorf("interface pattern %q: %w", text, err))
		case not:
			p.exclude = append(p.exclude, glob)
		default:
			p.include = append(p.include, glob)
		}
	}
	return p, errors.Join(errs...)
}

// automatic reports whether no interface was asked for.
func (p patterns) automatic() bool { return len(p.include) == 0 }

func (p patterns) reason(name string) string {
	fits := func(glob string) bool {
		ok, _ := path.Match(glob, name) // checked by parsePatterns
		return ok
	}
	if i := slices.IndexFunc(p.exclude, fits); i >= 0 {
		return excluded + p.exclude[i]
	}
	if !p.automatic() && !slices.ContainsFunc(p.include, fits) {
		return notAsked
	}
	return ""
}

// choose says for every link whether it is used, sorted by name.
//
//	                                   automatic   asked for by name or glob
//	loopback, no Ethernet, NOARP       no          no: there are no neighbours to ask
//	member of a bridge, bond, switch   no          no: the master has the MAC and gets the frames
//	down, no carrier                   not now     not now
//	tunnel, dummy and other virtual    no          yes
//	made by a CNI plugin or containers no          yes
//	without an address                 no          yes
func choose(links []link, p patterns) []Interface {
	byIndex := make(map[int]*link, len(links))
	for i := range links {
		byIndex[links[i].index] = &links[i]
	}
	out := make([]Interface, 0, len(links))
	for i := range links {
		l := &links[i]
		i := Interface{Name: l.name, Index: l.index, Prefixes: l.prefixes()}
		if l.mac != (hw{}) {
			i.MAC = l.mac.String()
		}
		i.Reason = cmp.Or(p.reason(l.name), unfit(l, byIndex[l.master]), p.unwanted(l), asleep(l))
		i.Used = i.Reason == ""
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b Interface) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Index, b.Index))
	})
	return out
}

// unfit says why nobody can be answered on l, whatever the user wants.
func unfit(l, master *link) string {
	switch {
	case l.has(unix.IFF_LOOPBACK):
		return isLoopback
	case !l.ether || !l.mac.station():
		return notEthernet
	case l.has(unix.IFF_NOARP):
		return noARP
	case master != nil && slices.Contains(masters, master.kind):
		return isMember + master.kind + " " + master.name
	}
	return ""
}

// masters take the frames of their members. A VRF is not among them: it only
// chooses the routing table.
var masters = []string{"bridge", "bond", "team", "openvswitch"}

// unwanted says why l is left out by the automatic choice.
func (p patterns) unwanted(l *link) string {
	switch {
	case !p.automatic():
		return ""
	case slices.Contains(virtual, l.kind):
		return isVirtual + l.kind
	case container.MatchString(l.name):
		return isContainer
	case !l.reachable():
		return noAddress
	}
	return ""
}

// asleep says why l is not used at present.
func asleep(l *link) string {
	switch {
	case !l.has(unix.IFF_UP):
		return isDown
	case !l.up():
		return noCarrier
	}
	return ""
}

// virtual are the kinds that look like Ethernet and lead to no LAN. Bridges,
// bonds, VLANs, macvlans, veths and openvswitch are not among them: each can be
// a node's uplink.
var virtual = []string{
	"dummy", "erspan", "geneve", "gretap", "ifb", "ip6erspan", "ip6gretap", "netdevsim", "nlmon",
	"tun", "tuntap", "vcan", "vxlan", "wireguard",
}

// container are the names that container engines, hypervisors and CNI plugins
// give to the node's end of what they make.
var container = regexp.MustCompile(`^(` + strings.Join([]string{
	`veth.*`,                                     // Docker, containerd, the bridge and ptp plugins, kindnet
	`docker\d+|docker_gwbridge`,                  // Docker
	`br-[0-9a-f]{12}`,                            // Docker's networks; br-ex, br-lan and the like are uplinks
	`cni.*|nerdctl.*|podman.*|crio.*`,            // bridge plugin and its users
	`lxc.*|lxd.*|incus.*`,                        // Cilium's pods, LXC
	`cilium.*`,                                   // Cilium
	`cali.*|tunl\d*|vxlan(-v6)?\.calico`,         // Calico
	`flannel.*`,                                  // flannel
	`antrea-.*`,                                  // Antrea
	`ovs-system|br-int|br-tun|ovn.*`,             // Open vSwitch and OVN; br-ex is an uplink
	`(genev|vxlan|gre)_sys.*`,                    // Open vSwitch tunnels
	`weave|vethwe.*|kube-.*|dummy.*`,             // Weave, kube-router, kube-proxy's IPVS
	`nodelocaldns`,                               // NodeLocal DNSCache
	`azv.*|eni[0-9a-f]{8,}|gke.*`,                // pods in AKS, EKS, GKE
	`virbr.*|vnet\d+|tap.*|fwbr.*|fwpr.*|fwln.*`, // libvirt, Proxmox
}, `|`) + `)$`)
