package arpd

import (
	"os"
	"strconv"
	"strings"
)

// Settings reads the settings of ARP for the interfaces and for "all". What
// cannot be read is as good as off: the kernel lacks it, or the interface went.
func (l linux) Settings(names []string) (map[string]setting, error) {
	out := make(map[string]setting, len(names)+1)
	err := l.inside(func() error {
		for _, name := range append([]string{"all"}, names...) {
			read := func(key string) int { return sysctl("net/ipv4/conf/" + name + "/" + key) }
			out[name] = setting{
				arpIgnore: read("arp_ignore"), arpAnnounce: read("arp_announce"),
				proxyARP: read("proxy_arp") > 0, proxyPVLAN: read("proxy_arp_pvlan") > 0,
				forwarding: read("forwarding") > 0,
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
