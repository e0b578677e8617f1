package report

import (
	"cmp"
	"net/netip"
	"strings"
	"testing"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// TestShortage holds what is said of addresses that nobody announces for want of endpoints, by what
// there is of them.
func TestShortage(t *testing.T) {
	t.Parallel()
	on := func(nodes ...string) watcher.Places { return watcher.Places{Nodes: nodes, Found: watcher.Serving} }
	empty, idle := watcher.Places{Found: watcher.NoEndpoint}, watcher.Places{Found: watcher.NotServing}
	key := lease.Key{Namespace: "default", Name: "web"}
	other := lease.Key{Namespace: "default", Name: "other"}
	v4, v6 := netip.MustParseAddr("198.18.64.1"), netip.MustParseAddr("2001:db8:64::1")
	type endpoints = map[watcher.Key]watcher.Endpoints
	of := func(v4, v6 watcher.Places) endpoints { return endpoints{key: {V4: v4, V6: v6}} }
	for _, tt := range []struct {
		name    string
		ip      netip.Addr
		code    health.Code // of the election, whose words begin the wording
		known   endpoints
		local   [][]string
		also    []lease.Key
		want    health.Code
		wording string
	}{
		{"no slice", v4, health.NoServingEndpoint, nil, nil, nil, health.NoEndpointSlice, "no serving endpoint: no EndpointSlice belongs to its Service"},
		{"slices of host names alone", v4, health.NoServingEndpoint, endpoints{key: {}}, nil, nil, health.NoEndpointSlice, "no serving endpoint: no EndpointSlice belongs to its Service"},
		{"an empty slice", v4, health.NoServingEndpoint, of(empty, watcher.Places{}), nil, nil, health.NoEndpoint, "no serving endpoint: the EndpointSlices of its Service are empty"},
		{"empty slices of both families", v6, health.NoServingEndpoint, of(empty, empty), nil, nil, health.NoEndpoint, "no serving endpoint: the EndpointSlices of its Service are empty"},
		{"an empty slice of the other family", v6, health.NoServingEndpoint, of(empty, watcher.Places{}), nil, nil, health.NoEndpointSlice, "no serving endpoint: no EndpointSlice belongs to its Service"},
		{"no slice of the family", v6, health.NoServingEndpoint, of(on("n1"), watcher.Places{}), nil, nil, health.EndpointsOfOtherFamily, "no serving endpoint: all endpoints of its Service are of IPv4"},
		{"an empty slice of the family", v4, health.NoServingEndpoint, of(empty, on("n1")), nil, nil, health.EndpointsOfOtherFamily, "no serving endpoint: all endpoints of its Service are of IPv6"},
		{"the other family does not serve either", v4, health.NoServingEndpoint, of(empty, idle), nil, nil, health.EndpointsOfOtherFamily, "no serving endpoint: all endpoints of its Service are of IPv6"},
		{"none serves", v4, health.NoServingEndpoint, of(idle, on("n1")), nil, nil, health.NoServingEndpoint, "no serving endpoint: no endpoint of its Service is ready"},
		{
			"shared, the furthest counts", v4, health.NoServingEndpoint,
			endpoints{key: {V4: empty}, other: {V4: idle}},
			nil,
			[]lease.Key{other},
			health.NoServingEndpoint, "no serving endpoint: no endpoint of its Services is ready",
		},
		{"shared, nothing", v4, health.NoServingEndpoint, nil, nil, []lease.Key{other}, health.NoEndpointSlice, "no serving endpoint: no EndpointSlice belongs to its Services"},
		{"without a node", v4, health.NoLocalEndpoint, of(on(""), watcher.Places{}), [][]string{{""}}, nil, health.EndpointsWithoutNode, "no ready node has a local endpoint: the endpoints of its Service name no node"},
		{"with a node that is not ready", v4, health.NoLocalEndpoint, of(on("n9"), watcher.Places{}), [][]string{{"n9"}}, nil, "", "no ready node has a local endpoint"},
		{"some with a node", v4, health.NoLocalEndpoint, of(on("", "n9"), watcher.Places{}), [][]string{{"", "n9"}}, nil, "", "no ready node has a local endpoint"},
		{"another reason", v4, health.NoEligibleNode, nil, nil, nil, "", "no ready node is on the network of 198.18.64.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &World{Cluster: watcher.State{Endpoints: tt.known}, Candidates: owner.New(nil)}
			v := lease.VIP{IP: tt.ip, Services: append([]lease.Key{key}, tt.also...)}
			candidate, result := owner.VIP{IP: tt.ip, Local: tt.local}, owner.Result{Code: tt.code, Reason: strings.SplitN(tt.wording, ": ", 2)[0]}
			if got := w.shortage(v, candidate, result); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			code, words := w.Why(v, candidate, result)
			if words != tt.wording || code != cmp.Or(tt.want, tt.code) || (Todo(code) == "") != (tt.want == "") {
				t.Errorf("%s %q with the advice %q; want %q", code, words, Todo(code), tt.wording)
			}
		})
	}
}
