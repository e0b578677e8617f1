package arpd

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// setting is how the kernel treats ARP on an interface
// (Documentation/networking/ip-sysctl.rst of Linux). The larger of the values of
// an interface and of "all" is in force, a switch is on if either is.
type setting struct {
	arpIgnore, arpAnnounce int
	proxyARP, proxyPVLAN   bool
	forwarding             bool
}

// and joins the settings of an interface with those of "all".
func (s setting) and(all setting) setting {
	return setting{
		arpIgnore: max(s.arpIgnore, all.arpIgnore), arpAnnounce: max(s.arpAnnounce, all.arpAnnounce),
		proxyARP: s.proxyARP || all.proxyARP, proxyPVLAN: s.proxyPVLAN, forwarding: s.forwarding,
	}
}

// proxies reports whether the kernel may answer for what it would forward.
func (s setting) proxies() bool { return s.forwarding && (s.proxyARP || s.proxyPVLAN) }

// Kinds of findings.
const (
	// KernelHas: a VIP is an address of an announcing interface.
	KernelHas = "kernel-has-address"
	// KernelAnswers: a VIP is an address of another interface, as of kube-proxy's
	// kube-ipvs0, and the kernel answers for it on all of them.
	KernelAnswers = "kernel-answers"
	// KernelAsks: the kernel does not answer for such a VIP, but asks others in
	// its name, and so moves it to this node in their caches.
	KernelAsks = "kernel-asks"
	// ProxyARP: the kernel answers for what it would forward.
	ProxyARP = "proxy-arp"
)

// Finding is something on this node by which its kernel interferes with VIPs,
// whoever announces them.
type Finding struct {
	Kind      string
	Interface string // on which neighbours are told or asked
	Text      string // what is so, and what comes of it
	Advice    string // what to do
}

func (f Finding) String() string { return f.Text + ": " + f.Advice }

// ipvs is the interface to which kube-proxy in IPVS mode gives all addresses of
// Services.
const ipvs = "kube-ipvs0"

// investigate looks for what the kernel does with VIPs on the interfaces that
// are used.
func investigate(used []*link, settings map[string]setting, locals map[netip.Addr]*link, vips map[netip.Addr]role) []Finding {
	var out []Finding
	for _, u := range used {
		s := settings[u.name].and(settings["all"])
		here, there := holders(u, locals, vips)
		for _, ip := range here {
			out = append(out, Finding{
				KernelHas, u.name,
				fmt.Sprintf("%s is an address of %s, so this node's kernel answers for it, whoever announces it", ip, u.name),
				fmt.Sprintf("remove it (ip address del %s dev %s) or exclude it from its pool", ip, u.name),
			})
		}
		for _, h := range there {
			out = append(out, elsewhere(u, h, s)...)
		}
		out = append(out, proxy(u, s, vips)...)
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
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
func holders(u *link, locals map[netip.Addr]*link, vips map[netip.Addr]role) (here []netip.Addr, there []holder) {
	of := make(map[string][]netip.Addr)
	for ip, l := range locals {
		bound := vips[ip]&(own|watch) != 0
		switch {
		case l.index == u.index && bound:
			here = append(here, ip)
		case l.index == u.index || !ip.Is4():
		case bound:
			of[l.name] = append(of[l.name], ip)
		case l.name == ipvs:
			of[l.name] = append(of[l.name], nil...)
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
func elsewhere(u *link, h holder, s setting) []Finding {
	what := fmt.Sprintf("addresses of Services are on %s", h.name)
	if len(h.vips) > 0 {
		what = fmt.Sprintf("%s is an address of %s", some(h.vips), h.name)
	}
	advice := fmt.Sprintf("remove it from there, or set net.ipv4.conf.%s.arp_ignore=1 and arp_announce=2", u.name)
	if h.name == ipvs {
		advice = "set strictARP: true in the section ipvs of kube-proxy's configuration and restart kube-proxy, or set net.ipv4.conf.all.arp_ignore=1 and arp_announce=2"
	}
	switch {
	case s.arpIgnore == 0:
		return []Finding{{
			KernelAnswers, u.name,
			fmt.Sprintf("%s and arp_ignore of %s is 0, so this node's kernel answers for it too, whoever announces it", what, u.name), advice,
		}}
	case s.arpAnnounce < 2 && len(h.vips) > 0:
		return []Finding{{
			KernelAsks, u.name,
			fmt.Sprintf("%s and arp_announce of %s is %d, so this node's kernel may ask its neighbours in the name of that address, which moves it here in their caches", what, u.name, s.arpAnnounce), advice,
		}}
	}
	return nil
}

// proxy is what proxy ARP does on u. Within u's own network the kernel proxies
// only for private VLANs (RFC 3069); what it would send out elsewhere, always.
func proxy(u *link, s setting, vips map[netip.Addr]role) []Finding {
	if !s.proxies() {
		return nil
	}
	var hit []netip.Addr
	for ip, r := range vips {
		if r&(own|watch) == 0 || !ip.Is4() {
			continue
		}
		inside := slices.ContainsFunc(u.prefixes(), func(p netip.Prefix) bool { return p.Contains(ip) })
		if inside && s.proxyPVLAN || !inside && s.proxyARP {
			hit = append(hit, ip)
		}
	}
	if len(hit) == 0 {
		return nil
	}
	slices.SortFunc(hit, netip.Addr.Compare)
	name := "proxy_arp"
	if !s.proxyARP {
		name = "proxy_arp_pvlan"
	}
	return []Finding{{
		ProxyARP, u.name,
		fmt.Sprintf("%s is on for %s, so this node's kernel may answer for %s, whoever announces it", name, u.name, some(hit)),
		fmt.Sprintf("set net.ipv4.conf.%s.%s=0", u.name, name),
	}}
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
	used := make([]*link, 0, len(r.ports))
	r.proxied = false
	for _, p := range r.ports {
		used = append(used, &p.link)
		s := r.settings[p.link.name].and(r.settings["all"])
		r.proxied = r.proxied || s.proxies()
	}
	now := investigate(used, r.settings, r.locals, r.roles)
	if slices.Equal(now, r.findings) {
		return
	}
	for _, f := range now {
		if !slices.Contains(r.findings, f) {
			r.log.Warn().Str("iface", f.Interface).Str("reason", f.Kind).Str("advice", f.Advice).Msg(f.Text)
		}
	}
	r.findings = now
	poke(r.changed)
}
