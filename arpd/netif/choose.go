package netif

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

	"github.com/starling-lb/starling/arpd/packet"
)

// Interface is a network interface of the node, and whether it is used.
type Interface struct {
	Name     string
	Index    int            // the kernel's, 1 and up
	MAC      string         // as by net.HardwareAddr; empty: none
	Prefixes []netip.Prefix // connected, masked, sorted; no link-local ones and no single addresses
	Used     bool
	Reason   string // why it is not used, or ""
}

// Unlinked reports whether the interface would be used if it had a link.
func (i *Interface) Unlinked() bool { return i.Reason == isDown || i.Reason == noCarrier }

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

// Patterns is the choice that the user made with --interface. An interface is asked for if one of
// Include matches its name, or if that is empty, and none of Exclude does.
type Patterns struct{ Include, Exclude []string } // as of path.Match

// ParsePatterns reads patterns: names, globs as of path.Match, and exclusions that begin with "!".
// It returns one error per mistake, joined.
func ParsePatterns(texts []string) (Patterns, error) {
	var p Patterns
	var errs []error
	for _, text := range texts {
		glob, not := strings.CutPrefix(text, "!")
		switch _, err := path.Match(glob, ""); {
		case glob == "":
			errs = append(errs, fmt.Errorf("interface pattern %q: empty", text))
		case err != nil:
			errs = append(errs, fmt.Errorf("interface pattern %q: %w", text, err))
		case not:
			p.Exclude = append(p.Exclude, glob)
		default:
			p.Include = append(p.Include, glob)
		}
	}
	return p, errors.Join(errs...)
}

// Automatic reports whether no interface was asked for.
func (p Patterns) Automatic() bool { return len(p.Include) == 0 }

func (p Patterns) reason(name string) string {
	fits := func(glob string) bool {
		ok, _ := path.Match(glob, name) // checked by ParsePatterns
		return ok
	}
	if i := slices.IndexFunc(p.Exclude, fits); i >= 0 {
		return excluded + p.Exclude[i]
	}
	if !p.Automatic() && !slices.ContainsFunc(p.Include, fits) {
		return notAsked
	}
	return ""
}

// Near reports whether an interface that is not used for this reason is one that
// the user might have meant.
func (p Patterns) Near(reason string) bool {
	far := []string{notAsked, excluded}
	if p.Automatic() {
		far = append(far, isLoopback, notEthernet, noARP, isMember, isVirtual, isContainer)
	}
	return !slices.ContainsFunc(far, func(f string) bool { return strings.HasPrefix(reason, f) })
}

// Choose returns all links, whether each is used and why not, sorted by name.
//
//	                                   automatic   asked for by name or glob
//	loopback, no Ethernet, NOARP       no          no: there are no neighbors to ask
//	member of a bridge, bond, switch   no          no: the master has the MAC and gets the frames
//	down, no carrier                   not now     not now
//	tunnel, dummy and other virtual    no          yes
//	made by a CNI plugin or containers no          yes
//	without an address                 no          yes
func Choose(links []Link, p Patterns) []Interface {
	byIndex := make(map[int]*Link, len(links))
	for i := range links {
		byIndex[links[i].Index] = &links[i]
	}
	out := make([]Interface, 0, len(links))
	for i := range links {
		l := &links[i]
		i := Interface{Name: l.Name, Index: l.Index, Prefixes: l.Prefixes()}
		if l.MAC != (packet.HW{}) {
			i.MAC = l.MAC.String()
		}
		i.Reason = cmp.Or(p.reason(l.Name), unfit(l, byIndex[l.Master]), p.unwanted(l), asleep(l))
		i.Used = i.Reason == ""
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b Interface) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Index, b.Index))
	})
	return out
}

// Survey lists the interfaces of the process's namespace and which of them would be used with these
// patterns, without opening any. An error is a mistake in a pattern, or that of [Namespace.Links].
func Survey(patterns []string) ([]Interface, error) {
	choice, err := ParsePatterns(patterns)
	if err != nil {
		return nil, err
	}
	links, err := Namespace("").Links()
	if err != nil {
		return nil, err
	}
	return Choose(links, choice), nil
}

// unfit says why nobody can be answered on l, whatever the user wants.
func unfit(l, master *Link) string {
	switch {
	case l.has(unix.IFF_LOOPBACK):
		return isLoopback
	case !l.Ether || !l.MAC.Station():
		return notEthernet
	case l.has(unix.IFF_NOARP):
		return noARP
	case master != nil && slices.Contains(masters, master.Kind):
		return isMember + master.Kind + " " + master.Name
	}
	return ""
}

// masters take the frames of their members. A VRF is not among them: it only
// chooses the routing table.
var masters = []string{"bridge", "bond", "team", "openvswitch"}

// unwanted says why l is left out by the automatic choice.
func (p Patterns) unwanted(l *Link) string {
	switch {
	case !p.Automatic():
		return ""
	case slices.Contains(virtual, l.Kind):
		return isVirtual + l.Kind
	case container.MatchString(l.Name):
		return isContainer
	case !l.reachable():
		return noAddress
	}
	return ""
}

// asleep says why l is not used at present.
func asleep(l *Link) string {
	switch {
	case !l.has(unix.IFF_UP):
		return isDown
	case !l.Up():
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
