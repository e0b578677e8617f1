package metallb

import (
	"fmt"
	"strings"

	"github.com/starling-lb/starling/lease"
)

const (
	// mostObjects bounds the pools and advertisements, which are compared with each other.
	mostObjects = 1000
	// mostLists is how deep lists of Kubernetes may be nested; kubectl prints one.
	mostLists = 4
)

// input is a whole configuration of MetalLB as it was read.
type input struct {
	report
	pools    []*pool
	adverts  []*advert
	services []service
	strange  map[string]*strange // what has no counterpart, by kind
	spaces   map[string]bool     // namespaces of MetalLB's objects
	objects  int

	peers       []*peer
	profiles    map[string]bfdProfile
	communities map[string]string   // by the names that MetalLB's objects give them
	routers     map[string][]string // our names of peers by MetalLB's
}

// pool is a pool of MetalLB. What needs no more than reading is in the pool of ours already.
type pool struct {
	lease.Pool
	node                     // for messages
	kind   string            // IPAddressPool, AddressPool or ConfigMap
	asked  string            // its name at MetalLB
	labels map[string]string // of the object
	proto  string            // layer2 or bgp, "" if an advertisement says
	own    []byBGP           // what an older pool says of BGP itself
	pinned bool              // MetalLB asks it before those that are not
}

// advert is an L2Advertisement or a BGPAdvertisement.
type advert struct {
	node
	bgp        bool
	pools      []string
	selectors  []lease.Selector
	nodes      []lease.Selector // none: all
	interfaces []string         // none: all
	preferred  []preference
	services   []lease.Selector // none: all
	route      byBGP
}

// read takes in the sources.
func read(sources []Source) *input {
	in := &input{
		strange: map[string]*strange{}, spaces: map[string]bool{},
		profiles: map[string]bfdProfile{}, communities: map[string]string{}, routers: map[string][]string{},
	}
	size := 0
	for _, s := range sources {
		if size += len(s.Data); size > MaxSize {
			in.fail("", fmt.Sprintf("the input is longer than %d MiB: leave out what is no configuration of MetalLB", MaxSize>>20))
			return in
		}
	}
	for _, s := range sources {
		docs, err := s.documents()
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				in.fail("", strings.TrimRight(line, "\n"))
			}
		}
		for _, d := range docs {
			in.object(node{r: &in.report, where: d.where, value: d.value}, "", "", 0)
		}
	}
	return in
}

// object reads one object, or every object of a list. Those of a list may leave out kind and
// version, which are then those that the list says.
func (in *input) object(n node, version, kind string, depth int) {
	f := n.fields()
	if f.entries == nil {
		return
	}
	if v := f.get("apiVersion").text(); v != "" {
		version = v
	}
	if k := f.get("kind").text(); k != "" {
		kind = k
	}
	if list, ok := f.entries["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		in.list(n, list, version, strings.TrimSuffix(kind, "List"), depth)
		return
	}
	if kind == "" && isOldConfig(f.entries) {
		in.oldConfig(f)
		return
	}
	if kind == "" {
		f.fail("has no kind: want objects of Kubernetes, or the text of MetalLB's old ConfigMap")
		return
	}
	f.where += ", " + named(f, kind)
	in.objects++
	in.ofKind(f, version, kind)
}

func (in *input) list(n node, items []any, version, kind string, depth int) {
	if depth == mostLists {
		n.fail("lists are nested deeper than %d", mostLists)
		return
	}
	where := n.where
	for i, v := range items {
		n.where = fmt.Sprintf("%s item %d", where, i+1)
		in.object(n.at("", v), version, kind, depth+1)
	}
}

// named is kind and name of an object for messages, with its namespace unless that is MetalLB's
// usual one.
func named(f fields, kind string) string {
	meta := f.get("metadata").fields()
	name := printable(meta.get("name").text())
	if ns := meta.get("namespace").text(); ns != "" && ns != usualNamespace {
		name = printable(ns) + "/" + name
	}
	return strings.TrimRight(printable(kind)+" "+name, " ")
}

const usualNamespace = "metallb-system"

func (in *input) ofKind(f fields, version, kind string) {
	group, _, _ := strings.Cut(version, "/")
	switch {
	case group == "metallb.io":
		in.ofMetalLB(f, kind)
	case version == "v1" && kind == "ConfigMap":
		in.configMap(f)
	case version == "v1" && kind == "Service":
		in.service(f)
	default:
		in.stranger(f, kind, "no configuration of MetalLB")
	}
}

func (in *input) ofMetalLB(f fields, kind string) {
	if space := f.get("metadata").fields().get("namespace").text(); space != "" && counterparts[kind] == "" {
		in.spaces[space] = true
	}
	switch kind {
	case "IPAddressPool", "AddressPool":
		in.addressPool(f, kind)
	case "L2Advertisement":
		in.advertisement(f, false)
	case "BGPAdvertisement":
		in.advertisement(f, true)
	case "BGPPeer":
		in.peer(f.node, f.get("metadata").fields().get("name").text(), spelled{f.get("spec").fields(), false})
	case "BFDProfile":
		in.bfdProfile(f.node, f.get("metadata").fields().get("name").text(), spelled{f.get("spec").fields(), false})
	case "Community":
		for _, n := range f.get("spec").fields().get("communities").items() {
			in.community(n.fields().get("name").text(), n.fields().get("value"))
		}
	default:
		text, ok := counterparts[kind]
		if !ok {
			text = "not known here"
		}
		in.stranger(f, kind, text)
	}
}

// addressPool reads an IPAddressPool or an AddressPool.
func (in *input) addressPool(f fields, kind string) {
	spec := f.get("spec").fields()
	meta := f.get("metadata").fields()
	p := &pool{kind: kind, node: f.node, asked: meta.get("name").text(), labels: meta.get("labels").labels()}
	p.AutoAssign = spec.get("autoAssign").flag()
	if a := spec.get("avoidBuggyIPs").flag(); a != nil {
		p.AvoidBuggyIPs = *a
	}
	if kind == "AddressPool" {
		p.proto = spec.get("protocol").text()
		p.checkProtocol(spec.get("protocol"))
		p.own = in.ownRoutes(spec, "bgpAdvertisements", false, p.proto)
		spec.others("addresses", "autoAssign", "avoidBuggyIPs", "protocol", "bgpAdvertisements")
	} else {
		p.allocation(spec.get("serviceAllocation").fields())
		spec.others("addresses", "autoAssign", "avoidBuggyIPs", "serviceAllocation")
	}
	in.add(p, spec.get("addresses"))
}

func (p *pool) checkProtocol(n node) {
	if p.proto != layer2 && p.proto != bgp {
		n.fail("protocol %q: want %s or %s", printable(p.proto), layer2, bgp)
	}
}

const (
	layer2 = "layer2"
	bgp    = "bgp"
)

// allocation reads who a pool is for.
func (p *pool) allocation(f fields) {
	if f.entries == nil {
		return
	}
	p.pinned = true
	p.priority(f.get("priority"))
	p.Namespaces = f.get("namespaces").texts()
	p.NamespaceSelectors = f.get("namespaceSelectors").selectors()
	p.ServiceSelectors = f.get("serviceSelectors").selectors()
	f.others("priority", "namespaces", "namespaceSelectors", "serviceSelectors")
}

// priority reads a priority. MetalLB takes 0 for none, and orders pools with a negative one at
// random.
func (p *pool) priority(n node) {
	if f, ok := n.value.(float64); ok && f < 0 {
		n.remark("%v: MetalLB orders pools with a negative priority at random; left out", f)
		return
	}
	if priority := n.count(); priority > 0 {
		p.Priority = &priority
	}
}

// add keeps a pool with its ranges.
func (in *input) add(p *pool, addresses node) {
	if p.asked == "" {
		p.fail("has no name")
		return
	}
	if len(in.pools) == mostObjects {
		p.fail("more than %d pools", mostObjects)
		return
	}
	items := addresses.items()
	for _, a := range items {
		text := convertRange(a)
		if p.AvoidBuggyIPs && onlyBuggy(text) {
			a.remark("%s has no address that MetalLB uses, because of avoidBuggyIPs; left out", text)
			continue
		}
		p.Ranges = append(p.Ranges, text)
	}
	switch {
	case len(items) == 0:
		addresses.fail("has no address")
	case len(p.Ranges) == 0:
		return
	}
	if p.AutoAssign != nil && *p.AutoAssign {
		p.AutoAssign = nil // goes without saying
	}
	in.pools = append(in.pools, p)
}

// ownRoutes reads what an older pool says of BGP: a list, of which each announces it.
func (in *input) ownRoutes(f fields, name string, old bool, proto string) (own []byBGP) {
	if proto != bgp {
		return nil
	}
	for _, n := range f.get(name).items() {
		s := spelled{n.fields(), old}
		own = append(own, in.byBGP(n, s))
		s.unknown("name", "aggregationLength", "aggregationLengthV6", "aggregation-length-v6", "localPref", "communities", "peers")
	}
	if len(own) == 0 {
		own = []byBGP{{where: f.node}}
	}
	return own
}

// advertisement reads an L2Advertisement or a BGPAdvertisement.
func (in *input) advertisement(f fields, bgp bool) {
	spec := f.get("spec").fields()
	a := &advert{
		node: f.node, bgp: bgp,
		pools:     spec.get("ipAddressPools").texts(),
		selectors: spec.get("ipAddressPoolSelectors").selectors(),
		services:  spec.get("serviceSelectors").selectors(),
		nodes:     spec.get("nodeSelectors").selectors(),
	}
	known := []string{"ipAddressPools", "ipAddressPoolSelectors", "nodeSelectors", "serviceSelectors"}
	if bgp {
		a.route = in.byBGP(f.node, spelled{spec, false})
		spec.others(append(known, "aggregationLength", "aggregationLengthV6", "localPref", "communities", "peers")...)
	} else {
		for _, name := range spec.get("interfaces").texts() {
			a.interfaces = append(a.interfaces, literal(name))
		}
		a.preferred = preferences(spec.get("preferredNodeSelectors"))
		spec.others(append(known, "interfaces", "preferredNodeSelectors")...)
	}
	if len(in.adverts) == mostObjects {
		f.fail("more than %d advertisements", mostObjects)
		return
	}
	in.adverts = append(in.adverts, a)
}

// literal is the pattern that the name of an interface matches, and nothing else.
func literal(name string) string {
	var b strings.Builder
	for i, r := range name {
		if strings.ContainsRune(`*?[\`, r) || r == '!' && i == 0 {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
