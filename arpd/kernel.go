package arpd

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/health"
)

// ipvs is the interface to which kube-proxy in IPVS mode gives all addresses of
// Services.
const ipvs = "kube-ipvs0"

// investigate looks for what the kernel does with VIPs on the interfaces that
// are used, by which it interferes with them, whoever announces them. Sorted.
func investigate(used []*netif.Link, settings map[string]netif.Setting, locals map[netip.Addr]*netif.Link, vips map[netip.Addr]role) []health.Condition {
	var out []health.Condition
	for _, u := range used {
		s := settings[u.Name].And(settings["all"])
		here, there := holders(u, locals, vips)
		for _, ip := range here {
			out = append(out, health.New(health.KernelHasAddress, health.Node(""),
				fmt.Sprintf("%s is an address of %s, so this node's kernel answers for it, whichever node announces it", ip, u.Name)).
				Do(fmt.Sprintf("remove it (ip address del %s dev %s) or exclude it from its pool", ip, u.Name)))
		}
		for _, h := range there {
			out = append(out, elsewhere(u, h, s)...)
		}
		out = append(out, proxy(u, s, vips)...)
	}
	slices.SortFunc(out, health.Condition.Compare)
	return out
}

// holder is an interface that has VIPs as its addresses.
type holder struct {
	name string
	vips []netip.Addr // IPv4, sorted
}

// holders are the VIPs that u has as its own addresses, and the interfaces that
// have others of IPv4. For IPv6 the kernel answers only where the address is. An
// interface of kube-proxy counts before it has any.
func holders(u *netif.Link, locals map[netip.Addr]*netif.Link, vips map[netip.Addr]role) (here []netip.Addr, there []holder) {
	of := make(map[string][]netip.Addr)
	for ip, l := range locals {
		bound := vips[ip]&(own|watch) != 0
		switch {
		case l.Index == u.Index && bound:
			here = append(here, ip)
		case l.Index == u.Index || !ip.Is4():
		case bound:
			of[l.Name] = append(of[l.Name], ip)
		case l.Name == ipvs:
			of[l.Name] = append(of[l.Name], nil...)
		}
	}
	for name, ips := range of {
		slices.SortFunc(ips, netip.Addr.Compare)
		there = append(there, holder{name, ips})
	}
	slices.SortFunc(here, netip.Addr.Compare)
	return here, there
}

// elsewhere is what the kernel does on u with VIPs of another interface.
func elsewhere(u *netif.Link, h holder, s netif.Setting) []health.Condition {
	what := fmt.Sprintf("addresses of Services are on %s", h.name)
	if len(h.vips) > 0 {
		what = fmt.Sprintf("%s is an address of %s", some(h.vips), h.name)
	}
	advice := fmt.Sprintf("remove it from there, or set net.ipv4.conf.%s.arp_ignore=1 and arp_announce=2", u.Name)
	if h.name == ipvs {
		advice = "set strictARP: true in the section ipvs of kube-proxy's configuration and restart kube-proxy, or set net.ipv4.conf.all.arp_ignore=1 and arp_announce=2"
	}
	switch {
	case s.ARPIgnore == 0:
		return []health.Condition{health.New(health.KernelAnswers, health.Node(""),
			fmt.Sprintf("%s and arp_ignore of %s is 0, so this node's kernel answers for it too, whichever node announces it", what, u.Name)).Do(advice)}
	case s.ARPAnnounce < 2 && len(h.vips) > 0:
		return []health.Condition{health.New(health.KernelAsks, health.Node(""),
			fmt.Sprintf("%s and arp_announce of %s is %d, so this node's kernel may ask its neighbors in the name of that address, which moves it here in their caches", what, u.Name, s.ARPAnnounce)).Do(advice)}
	}
	return nil
}

// deadRoutes are the networks that the kernel reaches by an interface without a link,
// while another one on them is used.
func deadRoutes(used []*netif.Link, list []netif.Interface, via map[netif.Network]int) (out []health.Condition) {
	for _, u := range used {
		for _, n := range u.Networks() {
			i := slices.IndexFunc(list, func(i netif.Interface) bool {
				return i.Index == via[n] && i.Unlinked()
			})
			if i < 0 {
				continue
			}
			family := "ipv4"
			if n.Prefix.Addr().Is6() {
				family = "ipv6"
			}
			words := fmt.Sprintf("%s has no link and this node's kernel still sends to %s through it: clients there reach addresses on %s and get no answers", list[i].Name, n.Prefix, u.Name)
			out = append(out, health.New(health.RouteWithoutLink, health.Node(""), words).
				Do(fmt.Sprintf("set net.%s.conf.%s.ignore_routes_with_linkdown=1, or have its addresses removed when its link is lost", family, list[i].Name)))
		}
	}
	return out
}

// proxy is what proxy ARP does on u. Within u's own network the kernel proxies
// only for private VLANs (RFC 3069); what it would send out elsewhere, always.
func proxy(u *netif.Link, s netif.Setting, vips map[netip.Addr]role) []health.Condition {
	if !s.Proxies() {
		return nil
	}
	var hit []netip.Addr
	for ip, r := range vips {
		if r&(own|watch) == 0 || !ip.Is4() {
			continue
		}
		inside := slices.ContainsFunc(u.Prefixes(), func(p netip.Prefix) bool { return p.Contains(ip) })
		if inside && s.ProxyPVLAN || !inside && s.ProxyARP {
			hit = append(hit, ip)
		}
	}
	if len(hit) == 0 {
		return nil
	}
	slices.SortFunc(hit, netip.Addr.Compare)
	name := "proxy_arp"
	if !s.ProxyARP {
		name = "proxy_arp_pvlan"
	}
	return []health.Condition{health.New(health.ProxyARP, health.Node(""),
		fmt.Sprintf("%s is on for %s, so this node's kernel may answer for %s, whichever node announces it", name, u.Name, some(hit))).
		Do(fmt.Sprintf("set net.ipv4.conf.%s.%s=0", u.Name, name))}
}

// some names addresses, but not all of many.
func some(ips []netip.Addr) string {
	if len(ips) == 1 {
		return ips[0].String()
	}
	return fmt.Sprintf("%s (and %d more)", ips[0], len(ips)-1)
}

// inspect finds anew what the kernel does with VIPs, and tells of a change. The
// caller holds mu.
func (r *Responder) inspect() {
	used := make([]*netif.Link, 0, len(r.ifaces))
	r.kernel.proxied = false
	for _, p := range r.ifaces {
		used = append(used, &p.link)
		s := r.kernel.settings[p.link.Name].And(r.kernel.settings["all"])
		r.kernel.proxied = r.kernel.proxied || s.Proxies()
	}
	now := append(investigate(used, r.kernel.settings, r.kernel.locals, r.roles), deadRoutes(used, r.listing.all, r.wiring.via)...)
	slices.SortFunc(now, health.Condition.Compare)
	if slices.Equal(now, r.kernel.findings) {
		return
	}
	for _, f := range now {
		if !slices.Contains(r.kernel.findings, f) {
			r.log.Warn().Str("reason", string(f.Code)).Str("advice", f.Advice).Msg(f.Words)
		}
	}
	r.kernel.findings = now
	poke(r.changed)
}
