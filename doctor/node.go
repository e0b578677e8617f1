package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// socket reports whether ARP and NDP can be answered at all.
func (e *Examiner) socket() []Check {
	if err := e.Socket(); err != nil {
		return []Check{{
			"packet-socket", Fail, fmt.Sprintf("no packet socket can be opened: %v", err),
			"let the container have the capability NET_RAW, and the namespace be privileged (label pod-security.kubernetes.io/enforce)", health.NoNetRaw,
		}}
	}
	return []Check{{"packet-socket", OK, "a packet socket can be opened (NET_RAW)", "", ""}}
}

// interfaces tells on which one addresses are announced.
func interfaces(s api.Snapshot) []Check {
	var used, unused []string
	for _, i := range s.Interfaces {
		if i.Used {
			used = append(used, i.Name)
		} else if !strings.HasPrefix(i.Reason, "loopback") {
			unused = append(unused, fmt.Sprintf("%s (%s)", i.Name, i.Reason))
		}
	}
	switch {
	case len(used) > 0:
		return []Check{{"interfaces", OK, "announces on " + strings.Join(used, ", "), "", ""}}
	case len(s.Interfaces) == 0:
		return []Check{{"interfaces", Unknown, "the speaker has not listed the interfaces yet", "ask again in a moment", health.InterfacesUnlisted}}
	case len(unused) == 0:
		return []Check{{"interfaces", Fail, "there is no interface but the loopback", "run the speaker with hostNetwork: true", health.NoInterface}}
	}
	return []Check{{
		"interfaces", Fail, "no interface can be used: " + strings.Join(unused, ", "),
		"bring the link up, or name the right interface by --interface", health.NoInterface,
	}}
}

// ipvs is where kube-proxy in IPVS mode puts the addresses of Services; what the speaker finds of
// it, strict-arp tells.
const ipvs = "kube-ipvs0"

// byIPVS reports whether kube-proxy works so, by the interface that it makes.
func byIPVS(s api.Snapshot) bool {
	return slices.ContainsFunc(s.Interfaces, func(i api.Interface) bool { return i.Name == ipvs })
}

// kubeProxy tells how kube-proxy works, and in IPVS mode whether the kernel leaves ARP to us:
// kube-proxy puts every address of a Service on a dummy interface of every node then, and all
// kernels answer for it.
func (e *Examiner) kubeProxy(ctx context.Context, s api.Snapshot) []Check {
	for _, c := range s.Conditions {
		if c.Code == health.KubeProxyMissing && c.Subject == health.Node(s.Node) {
			return []Check{found("kube-proxy", Fail, c)}
		}
	}
	mode, err := e.Proxy(ctx)
	if byIPVS(s) {
		mode, err = "ipvs", nil
	}
	if err != nil {
		return []Check{{
			"kube-proxy", Unknown, fmt.Sprintf("kube-proxy does not tell its mode: %v", err),
			"nothing, if the network plugin stands in for kube-proxy; else see that kube-proxy runs", "",
		}}
	}
	list := []Check{{"kube-proxy", OK, "mode " + mode, "", ""}}
	if mode != "ipvs" {
		return list
	}
	for _, want := range []struct{ name, value string }{{"arp_ignore", "1"}, {"arp_announce", "2"}} {
		got, err := e.inForce(want.name, s)
		switch {
		case err != nil:
			list = append(list, Check{"strict-arp", Unknown, err.Error(), "see that kube-proxy's configuration says strictARP: true", ""})
		case got < want.value:
			return append(list[:1], Check{
				"strict-arp", Fail, fmt.Sprintf("kube-proxy is in IPVS mode without strictARP (%s is %s): every node answers for every address", want.name, got),
				"`kubectl -n kube-system edit configmap kube-proxy`, set ipvs.strictARP: true, and restart kube-proxy", health.KernelAnswers,
			})
		}
	}
	if len(list) == 1 {
		list = append(list, Check{"strict-arp", OK, "kube-proxy is in IPVS mode with strictARP", "", ""})
	}
	return list
}

// inForce is the lowest value of a setting of ARP on the interfaces that are used: for each the
// kernel takes the higher one of its own and of that for all.
func (e *Examiner) inForce(name string, s api.Snapshot) (string, error) {
	path := func(iface string) string { return "net/ipv4/conf/" + iface + "/" + name }
	all, err := e.Sysctl(path("all"))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path("all"), err)
	}
	all = strings.TrimSpace(all)
	var values []string
	for _, i := range s.Interfaces {
		if i.Used {
			own, _ := e.Sysctl(path(i.Name)) // may be gone: then it has none
			values = append(values, max(all, strings.TrimSpace(own)))
		}
	}
	if len(values) == 0 {
		return all, nil
	}
	return slices.Min(values), nil
}
