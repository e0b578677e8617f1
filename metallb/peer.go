package metallb

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-lb/starling/lease"
)

// peer is a BGPPeer, or one of the peers of the old ConfigMap.
type peer struct {
	lease.Peer
	node            // for messages
	old      bool   // of the ConfigMap
	asked    string // its name at MetalLB
	asn      int64  // ours
	profile  node   // name of its BFDProfile
	leftOut  bool
	password bool // is in the object itself
}

// bfdProfile is a BFDProfile, or one of the old ConfigMap.
type bfdProfile struct {
	node
	old   bool
	times lease.BFD
}

// spelled are fields as objects write them ("peerAddress"), or the old ConfigMap ("peer-address").
type spelled struct {
	fields
	old bool
}

// odd are names whose old form does not follow from the new one.
var odd = map[string]string{
	"myASN": "my-asn", "peerASN": "peer-asn", "routerID": "router-id", "ebgpMultiHop": "ebgp-multihop", "localPref": "localpref",
}

func (s spelled) name(key string) string {
	if !s.old {
		return key
	}
	if name, is := odd[key]; is {
		return name
	}
	var b strings.Builder
	for _, r := range key {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('-')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (s spelled) of(key string) node { return s.get(s.name(key)) }

func (s spelled) unknown(known ...string) {
	for i, key := range known {
		known[i] = s.name(key)
	}
	s.others(known...)
}

// selectors reads node selectors.
func (s spelled) selectors(key string) (all []lease.Selector) {
	if !s.old {
		return s.of(key).selectors()
	}
	for _, item := range s.of(key).items() {
		f := item.fields()
		plain := map[string]any{"matchLabels": f.entries["match-labels"], "matchExpressions": f.entries["match-expressions"]}
		f.others("match-labels", "match-expressions")
		all = append(all, item.at(item.path, plain).selector())
	}
	return all
}

// peer reads one router.
func (in *input) peer(n node, name string, s spelled) {
	if len(in.peers) == mostObjects {
		n.fail("more than %d peers", mostObjects)
		return
	}
	p := &peer{node: n, old: s.old, asked: name, asn: s.of("myASN").number(), profile: s.of("bfdProfile")}
	p.Address, p.ASN, p.SourceAddress = s.of("peerAddress").text(), s.of("peerASN").number(), s.of("sourceAddress").text()
	if port := s.of("peerPort").count(); port != 0 && port != 179 {
		p.Port = &port
	}
	p.NodeSelectors = s.selectors("nodeSelectors")
	if slices.ContainsFunc(p.NodeSelectors, matchesAll) {
		p.NodeSelectors = nil
	}
	p.times(s)
	p.hops(s)
	p.secret(s)
	p.without(s)
	p.needs(s)
	s.unknown("name", "myASN", "peerASN", "dynamicASN", "peerAddress", "interface", "sourceAddress", "peerPort", "holdTime", "keepaliveTime", "connectTime",
		"routerID", "nodeSelectors", "password", "passwordSecret", "bfdProfile", "enableGracefulRestart", "ebgpMultiHop", "vrf", "disableMP", "dualStackAddressFamily")
	in.peers = append(in.peers, p)
}

// needs reports what no router may lack.
func (p *peer) needs(s spelled) {
	if p.leftOut {
		return
	}
	for _, n := range []struct {
		key string
		is  bool
	}{{"myASN", p.asn != 0}, {"peerASN", p.ASN != 0}, {"peerAddress", p.Address != ""}} {
		if !n.is {
			s.of(n.key).fail("is missing or 0")
		}
	}
}

// times reads hold and keepalive time. What starling does not take is left to its defaults.
func (p *peer) times(s spelled) {
	hold, keepalive := s.of("holdTime").duration(), s.of("keepaliveTime").duration()
	if hold != 0 && (hold < 3*time.Second || hold%time.Second != 0) || s.of("holdTime").value != nil && hold == 0 {
		s.of("holdTime").remark("%s: starling wants whole seconds, 3s or more, and takes 90s", hold)
		hold = 0
	}
	if keepalive != 0 && (keepalive < time.Second || keepalive%time.Second != 0 || max(hold, btod(hold == 0)) < 3*keepalive) {
		s.of("keepaliveTime").remark("%s: starling wants whole seconds, a third of the hold time at most, and takes that, or 30s", keepalive)
		keepalive = 0
	}
	for _, t := range []struct {
		is   time.Duration
		into *lease.Duration
	}{{hold, &p.HoldTime}, {keepalive, &p.KeepaliveTime}} {
		if t.is != 0 {
			*t.into = lease.Duration(strconv.Itoa(int(t.is/time.Second)) + "s")
		}
	}
}

// btod is the hold time where none is given.
func btod(none bool) time.Duration {
	if none {
		return 90 * time.Second
	}
	return 0
}

// farAway is the TTL that MetalLB gives to packets for a router that is several hops away.
const farAway = 255

func (p *peer) hops(s spelled) {
	switch multihop := s.of("ebgpMultiHop").flag(); {
	case multihop != nil && *multihop:
		p.Multihop = farAway
	case p.ASN != 0 && p.ASN == p.asn:
		p.remark("is of our own AS: if it is on no network of the nodes, give it multihop: 64")
	}
}

// secret reads the password. One that is in the object itself is not written into the file.
func (p *peer) secret(s spelled) {
	ref := s.of("passwordSecret").fields()
	p.PasswordSecret = ref.get("name").text()
	if p.PasswordSecret != "" {
		p.remark("copy the Secret %s into the namespace of starling, with a Role to read it: docs/bgp.md, Passwords", printable(p.PasswordSecret))
	}
	p.password = s.of("password").text() != ""
}

// without remarks on what has no counterpart, and leaves out a router that is none without it.
func (p *peer) without(s spelled) {
	for _, key := range []string{"connectTime", "routerID"} {
		if n := s.of(key); !empty(n.value) {
			n.remark("has no counterpart; left out")
		}
	}
	for _, key := range []string{"disableMP", "dualStackAddressFamily"} {
		if is := s.of(key).flag(); is != nil && *is {
			s.of(key).remark("has no counterpart: each session is for both families, as far as the router offers them; left out")
		}
	}
	internal := s.of("dynamicASN").text() == "internal"
	if internal {
		p.ASN = p.asn
	}
	for _, key := range []string{"interface", "vrf", "dynamicASN"} {
		if n := s.of(key); !empty(n.value) && (key != "dynamicASN" || !internal) {
			n.remark("has no counterpart: this router was left out")
			p.leftOut = true
		}
	}
}

// bfdProfile reads the times of BFD.
func (in *input) bfdProfile(n node, name string, s spelled) {
	times := func(key string) int {
		if s.of(key).value == nil {
			return 300
		}
		return s.of(key).count()
	}
	receive, transmit := times("receiveInterval"), times("transmitInterval")
	b := bfdProfile{node: n, old: s.old, times: lease.BFD{Interval: lease.Duration(strconv.Itoa(max(receive, transmit)) + "ms")}}
	if receive != transmit {
		n.remark("receives every %d ms and transmits every %d ms: starling does both at the slower pace", receive, transmit)
	}
	if missed := s.of("detectMultiplier").count(); missed != 0 {
		b.times.Multiplier = &missed
	}
	for _, key := range []string{"echoMode", "passiveMode"} {
		if is := s.of(key).flag(); is != nil && *is {
			s.of(key).remark("has no counterpart; left out")
		}
	}
	for _, key := range []string{"echoInterval", "minimumTtl"} {
		if s.of(key).value != nil && s.of("echoMode").value != false {
			s.of(key).remark("has no counterpart; left out")
		}
	}
	s.unknown("name", "receiveInterval", "transmitInterval", "detectMultiplier", "echoMode", "passiveMode", "echoInterval", "minimumTtl")
	if _, twice := in.profiles[name]; twice {
		n.fail("BFD profile %q is there twice", printable(name))
	}
	in.profiles[name] = b
}

// community reads the names of communities.
func (in *input) community(name string, value node) {
	if old, twice := in.communities[name]; twice && old != value.text() {
		value.fail("community %q is there twice", printable(name))
	}
	in.communities[name] = value.text()
}

// peering makes the key bgp of the routers.
func (in *input) peering() *lease.Peering {
	in.peers = slices.DeleteFunc(in.peers, func(p *peer) bool { return p.leftOut })
	if len(in.peers) == 0 {
		return nil
	}
	b := &lease.Peering{ASN: in.peers[0].asn}
	in.peers = slices.DeleteFunc(in.peers, func(p *peer) bool {
		if p.asn != b.ASN {
			p.remark("has myASN %d, and the first one %d: starling has one AS for all, so this router was left out", p.asn, b.ASN)
		}
		return p.asn != b.ASN
	})
	in.namePeers()
	for _, p := range in.peers {
		if in.twin(b, p) {
			continue
		}
		p.finish(in.profiles)
		b.Peers = append(b.Peers, p.Peer)
	}
	return b
}

// namePeers gives each router a name that we accept.
func (in *input) namePeers() {
	taken := map[string]bool{}
	for i, p := range in.peers {
		base := p.asked
		if base == "" {
			base = fmt.Sprintf("peer-%d", i+1)
		}
		p.Name = fit(base)
		for n := 2; taken[p.Name]; n++ {
			suffix := fmt.Sprintf("-%d", n)
			p.Name = fit(base)[:min(len(fit(base)), maxName-len(suffix))] + suffix
		}
		taken[p.Name] = true
		in.routers[p.asked] = append(in.routers[p.asked], p.Name)
	}
}

// twin joins a router with one of the same address, as MetalLB has them for other nodes.
func (in *input) twin(b *lease.Peering, p *peer) bool {
	i := slices.IndexFunc(b.Peers, func(o lease.Peer) bool { return o.Address == p.Address && key(o.Port) == key(p.Port) })
	if i < 0 {
		return false
	}
	first := &b.Peers[i]
	plain, other := p.Peer, *first
	plain.Name, plain.NodeSelectors, plain.BFD = other.Name, other.NodeSelectors, other.BFD
	if p.password {
		plain.PasswordSecret = other.PasswordSecret
	}
	if key(plain) != key(other) {
		p.remark("has the address of %s with other settings, which has no counterpart: this one was left out", first.Name)
	}
	if len(first.NodeSelectors) == 0 || len(p.NodeSelectors) == 0 {
		first.NodeSelectors = nil
	} else {
		first.NodeSelectors = distinct(slices.Concat(first.NodeSelectors, p.NodeSelectors))
	}
	in.routers[p.asked] = []string{first.Name}
	return true
}

// finish fills in what needs the name of the router, or other objects.
func (p *peer) finish(profiles map[string]bfdProfile) {
	if p.password {
		p.PasswordSecret = "bgp-" + strings.ToLower(strings.ReplaceAll(p.Name, "_", "-"))
		p.remark("its password is not written here: kubectl -n starling-system create secret generic %s --from-literal=password=..., with a Role to read it: docs/bgp.md, Passwords", p.PasswordSecret)
	}
	name := p.profile.text()
	if name == "" {
		return
	}
	profile, known := profiles[name]
	if !known {
		p.profile.fail("names the BFD profile %q, which is not in the input", printable(name))
		return
	}
	times := profile.times
	p.BFD = &times
}

// oldPeers reads routers, communities and BFD profiles of the old ConfigMap.
func (in *input) oldPeers(f fields) {
	for _, n := range f.get("peers").items() {
		s := spelled{n.fields(), true}
		in.peer(n, s.of("name").text(), s)
	}
	for _, n := range f.get("bfd-profiles").items() {
		s := spelled{n.fields(), true}
		in.bfdProfile(n, s.of("name").text(), s)
	}
	communities := f.get("bgp-communities").fields()
	for _, name := range slices.Sorted(maps.Keys(communities.entries)) {
		in.community(name, communities.get(name))
	}
}
