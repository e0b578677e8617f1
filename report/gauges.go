package report

import (
	"net/netip"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
)

// Gauge is a metric that is read from a turn.
type Gauge struct {
	Name   string // without the program's
	Help   string
	Labels []string
}

// Emit takes one series of a gauge.
type Emit func(name string, value float64, labels ...string)

// Gauges are those of every speaker, for [World.Measure].
func Gauges() []Gauge {
	return []Gauge{
		{"ready", "1 if this node may own addresses.", nil},
		{"owned_addresses", "Addresses that this node owns.", nil},
		{"deputised_addresses", "Addresses that this node answers for as the deputy of nodes whose speakers are away.", nil},
		{"addresses", "Bound addresses that this speaker knows.", nil},
		{"addresses_without_owner", "Bound addresses that no node may announce.", nil},
		{"routed_addresses", "Bound addresses that BGP routers learn of.", nil},
		{"router_sessions_wanted", "Sessions with BGP routers that this node is to have.", nil},
		{"router_sessions_missing", "Of these, those that are not established.", nil},
		{"members_on_wire", "Members that gossip does not reach and that answer on the wire.", nil},
		{"members_with_other_config", "Live members with other pools or another class than this node.", nil},
		{"kube_proxy_missing", "1 if kube-proxy does not run on this node, although it did or other nodes have one.", nil},
		{"nodes_not_selected", "Nodes that the DaemonSet does not select and that run no speaker.", nil},
		{"conflicts", "Addresses of this node that another station answers for, by kind: stranger, member.", []string{"kind"}},
		{"problems", "Conditions with severity error or warning. The status and the page list them.", nil},
		{"allocator_addresses_total", "Addresses of a pool.", []string{"pool"}},
		{"allocator_addresses_in_use_total", "Addresses of a pool that Services hold.", []string{"pool"}},
		{"allocator_services_waiting", "Services that wait for an address of a pool.", []string{"pool"}},
		{"services_waiting", "Services that wait for an address, by the pool that counts them (empty where no pool could help) and by the code of the condition; 0 where there is none.", []string{"pool", "code"}},
		{"pool_addresses", "Addresses of a pool, by family: IPv4, IPv6.", []string{"pool", "family"}},
		{"pool_addresses_free", "Addresses of a pool that no Service holds and no reservation keeps, by family: IPv4, IPv6.", []string{"pool", "family"}},
		{"pool_addresses_in_use", "Addresses of a pool that Services hold, by family: IPv4, IPv6.", []string{"pool", "family"}},
		{"conditions", "Conditions as the status lists them, by code and severity; 0 where there is none.", []string{"code", "severity"}},
		{"allocator_addresses_of_nodes", "Addresses of a pool that are a node's own and never handed out.", []string{"pool"}},
	}
}

// AddressGauges are those of each address that this node announces, for [World.MeasureAddresses].
// All nodes together so have one series of each address, and one that goes takes its series along.
func AddressGauges() []Gauge {
	const only = " Only with --metrics-per-address."
	return []Gauge{
		{"address_announced", "1 for each address that this node announces, and each Service that has it." + only, []string{"address", "pool", "service_namespace", "service_name"}},
		{"address_conflicts", "1 for each address of this node that another station answers for, by kind: stranger, member." + only, []string{"address", "kind"}},
		{"addresses_without_series", "Addresses that this node announces beyond those that have a series." + only, nil},
	}
}

// Measure gives each series of [Gauges]. Wrong is what [World.Conditions] says, lacks are all
// Services that wait.
func (w *World) Measure(wrong []health.Condition, lacks []lease.Lack, emit Emit) {
	count := func(name string, n int, labels ...string) { emit(name, float64(n), labels...) }
	is := func(name string, yes bool) {
		if yes {
			emit(name, 1)
		} else {
			emit(name, 0)
		}
	}
	is("ready", w.Fit())
	is("kube_proxy_missing", w.ProxyLost)
	count("owned_addresses", w.Mine)
	count("deputised_addresses", w.Deputized)
	count("addresses", len(w.VIPs))
	count("addresses_without_owner", w.Ownerless())
	addresses, wanted, have := w.Routed()
	count("routed_addresses", addresses)
	count("router_sessions_wanted", wanted)
	count("router_sessions_missing", wanted-have)
	count("members_on_wire", w.Count(mesh.OnWire))
	count("members_with_other_config", len(w.Others()))
	count("nodes_not_selected", len(w.Without.Unselected))
	severities, codes := health.Count(wrong), map[health.Code]int{}
	for _, c := range wrong {
		codes[c.Code]++
	}
	count("problems", severities[health.Error]+severities[health.Warning])
	for _, r := range health.Rules() {
		count("conditions", codes[r.Code], string(r.Code), string(r.Severity))
	}
	kinds := map[string]int{"stranger": 0, "member": 0} // from the beginning
	for _, c := range w.Wire.Conflicts {
		kinds[c.Kind]++
	}
	for kind, n := range kinds {
		count("conflicts", n, kind)
	}
	for _, u := range w.Usage {
		emit("allocator_addresses_total", float64(u.Size), u.Pool)
		emit("allocator_addresses_in_use_total", float64(u.Used), u.Pool)
		emit("allocator_services_waiting", float64(u.Waiting), u.Pool)
		count("allocator_addresses_of_nodes", w.Overlap.Counts[u.Pool], u.Pool)
		for _, f := range u.Families {
			emit("pool_addresses", float64(f.Size), u.Pool, f.Family)
			emit("pool_addresses_free", float64(f.Free), u.Pool, f.Family)
			emit("pool_addresses_in_use", float64(f.Used), u.Pool, f.Family)
		}
	}
	w.measureLacks(lacks, count)
}

// measureLacks counts the Services that wait, 0 where none waits because a pool is used up or there
// is no pool.
func (w *World) measureLacks(lacks []lease.Lack, count func(name string, n int, labels ...string)) {
	n := map[lease.Lack]int{{Code: health.NoPool}: 0}
	for _, u := range w.Usage {
		n[lease.Lack{Pool: u.Pool, Code: health.PoolFull}] = 0
	}
	for _, l := range lacks {
		n[lease.Lack{Pool: l.Pool, Code: l.Code}] = l.Services
	}
	for l, services := range n {
		count("services_waiting", services, l.Pool, string(l.Code))
	}
}

// MeasureAddresses gives each series of [AddressGauges]. At most [arpd.MaxTallied] addresses have
// some, and at most as many Services are named; the other addresses are counted.
func (w *World) MeasureAddresses(emit Emit) {
	shown, series := map[netip.Addr]bool{}, 0
	own := w.Announced()
	for _, ip := range own[:min(len(own), arpd.MaxTallied)] {
		i, known := w.Find(ip)
		if !known {
			continue
		}
		vip := w.VIPs[i]
		if series += len(vip.Services); series > arpd.MaxTallied {
			break
		}
		shown[ip] = true
		for _, k := range vip.Services {
			emit("address_announced", 1, ip.String(), vip.Pool, k.Namespace, k.Name)
		}
	}
	for _, c := range w.Wire.Conflicts {
		if shown[c.IP] {
			emit("address_conflicts", 1, c.IP.String(), c.Kind)
		}
	}
	emit("addresses_without_series", float64(len(own)-len(shown)))
}
