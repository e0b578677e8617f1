package netif

import (
	"os"
	"strconv"
	"strings"
)

// Setting is how the kernel treats ARP on an interface
// (Documentation/networking/ip-sysctl.rst of Linux). The larger of the values of
// an interface and of "all" is in force, a switch is on if either is.
type Setting struct {
	ARPIgnore, ARPAnnounce int
	ProxyARP, ProxyPVLAN   bool
	Forwarding             bool
}

// And joins the settings of an interface with those of "all".
func (s Setting) And(all Setting) Setting {
	return Setting{
		ARPIgnore: max(s.ARPIgnore, all.ARPIgnore), ARPAnnounce: max(s.ARPAnnounce, all.ARPAnnounce),
		ProxyARP: s.ProxyARP || all.ProxyARP, ProxyPVLAN: s.ProxyPVLAN, Forwarding: s.Forwarding,
	}
}

// Proxies reports whether the kernel may answer for what it would forward.
func (s Setting) Proxies() bool { return s.Forwarding && (s.ProxyARP || s.ProxyPVLAN) }

// Settings reads the settings of ARP for the named interfaces and for "all", by name. What cannot
// be read is as good as off: the kernel lacks it, or the interface went. An error is that of the
// namespace.
func (n Namespace) Settings(names []string) (map[string]Setting, error) {
	out := make(map[string]Setting, len(names)+1)
	err := n.Inside(func() error {
		for _, name := range append([]string{"all"}, names...) {
			read := func(key string) int { return sysctl("net/ipv4/conf/" + name + "/" + key) }
			out[name] = Setting{
				ARPIgnore: read("arp_ignore"), ARPAnnounce: read("arp_announce"),
				ProxyARP: read("proxy_arp") > 0, ProxyPVLAN: read("proxy_arp_pvlan") > 0,
				Forwarding: read("forwarding") > 0,
			}
		}
		return nil
	})
	return out, err
}

// sysctl is a setting of the kernel for the namespace of the thread.
func sysctl(key string) int {
	text, err := os.ReadFile("/proc/sys/" + key)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}
