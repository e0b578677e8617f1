package lease

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Sessions say which speakers hold sessions with a router, see package routes.
const (
	SessionsAuto = "auto" // few where the router is on the nodes' network and takes several paths, else each
	SessionsFew  = "few"  // two or three speakers announce the paths of all nodes
	SessionsEach = "each" // each node announces its own path
)

// BGP is the compiled key bgp of the configuration.
type BGP struct {
	ASN      uint32
	Sessions string   // one of SessionsAuto, SessionsFew, SessionsEach
	Routers  []Router // sorted by name
}

// Router is a compiled entry of the key bgp.peers.
type Router struct {
	Name           string
	Address        netip.Addr
	ASN            uint32
	Port           uint16
	Source         netip.Addr // zero: as the kernel chooses
	Multihop       uint8      // 0: the router is on a network of the node
	Hold           time.Duration
	Keepalive      time.Duration
	PasswordFile   string // "" none
	PasswordSecret string // name in our namespace, key password; "" none
	BFDInterval    time.Duration
	BFDMultiplier  uint8 // 0: no BFD
	NodeSelectors  []string
	nodes          selectors
}

// Node reports whether a node with these labels may have a session with the router, as far as the
// configuration says. Without selectors every node may.
func (r Router) Node(labels Labels) bool { return r.nodes.match(labels) }

// Announcement is a compiled BGP entry of a pool's key announce.
type Announcement struct {
	Routers          []string // by name, sorted; all routers if the entry names none
	Communities      []string // sorted, without duplicates, see routes.Path
	LocalPref        uint32
	Aggregation      [2]uint8 // length of the announced prefix, of IPv4 and IPv6; 32 and 128 by default
	ServiceSelectors []string
	NodeSelectors    []string
	name             string   // "announce[1]"
	index            int      // 1
	given            []string // peers as configured
	text             string   // see String
	services, nodes  selectors
}

// Name is that of the entry in its pool, such as "announce[1]".
func (a Announcement) Name() string { return a.name }

// Node reports whether a node with these labels announces by the entry.
func (a Announcement) Node(labels Labels) bool { return a.nodes.match(labels) }

// service reports whether the entry is for a Service with these labels.
func (a Announcement) service(labels string) bool { return a.services.matchText(labels) }

// same reports whether two entries say the same.
func (a Announcement) same(o Announcement) bool { return a.name == o.name && a.text == o.text }

// BGP returns the key bgp of the configuration, nil if there is none. Callers must not change it.
func (p *Pools) BGP() *BGP { return p.bgp }

// Announcements returns the BGP entries of a pool that are for any of the Services, in the order of
// the configuration. Services are given by their labels, as [Service] has them. Callers must not
// change what is returned.
func (p *Pools) Announcements(pool string, services []string) []Announcement {
	q := p.byName[pool]
	if q == nil || len(services) == 0 {
		return nil
	}
	return Scope{Paths: q.paths}.Announcements(services)
}

// OnLayer2 reports whether a pool's addresses are announced on layer 2, for some Services at least.
func (p *Pools) OnLayer2(pool string) bool {
	q := p.byName[pool]
	return q == nil || len(q.layer2) > 0
}

// ByBGP reports whether a pool's addresses are announced by BGP, for some Services at least.
func (p *Pools) ByBGP(pool string) bool {
	q := p.byName[pool]
	return q != nil && len(q.paths) > 0
}

// aboutRouter marks a mistake in a pool that may come of one in the key bgp.
type aboutRouter struct{ error }

// Unwrap returns the mistake.
func (a aboutRouter) Unwrap() error { return a.error }

// route gives the entries that name no router all of them, and returns one error for each name that
// no router has.
func (p *Pools) route(titles map[*pool]string) (errs []error) {
	var all []string
	if p.bgp != nil {
		for _, r := range p.bgp.Routers {
			all = append(all, r.Name)
		}
	}
	for i, q := range p.list {
		for j := range q.paths {
			a := &q.paths[j]
			for _, err := range a.choose(all, p.bgp != nil) {
				var m mistake
				errors.As(err, &m)
				text := fmt.Errorf("%s: %s: %w", titles[q], a.name, m.error)
				errs = append(errs, mistake{append(place{"pools", i, "announce", a.index, bgpWord}, m.where...), aboutRouter{text}})
			}
		}
	}
	return errs
}

// choose finds the routers of an entry among all.
func (a *Announcement) choose(all []string, known bool) (errs []error) {
	switch {
	case !known:
		return []error{wrongAt(errors.New("there is no key bgp, which names the routers"))}
	case len(a.Routers) == 0:
		a.Routers = all
		return nil
	}
	for _, name := range a.Routers {
		if !slices.Contains(all, name) {
			errs = append(errs, wrongAt(fmt.Errorf("unknown peer %q; known are %s", clip(name), strings.Join(all, ", ")), "peers", slices.Index(a.given, name)))
		}
	}
	return errs
}

// String says in words, and in full, what is announced to whom.
func (a Announcement) String() string { return a.text }

func (a Announcement) words() string {
	words := []string{"by BGP"}
	say := func(what string, values []string, sep string) {
		if len(values) > 0 {
			words = append(words, what+" "+strings.Join(values, sep))
		}
	}
	say("to", slices.Compact(slices.Sorted(slices.Values(a.given))), ", ")
	say("for Services with", every(a.ServiceSelectors), " or ")
	say("by nodes with", every(a.NodeSelectors), " or ")
	say("with", a.Communities, ", ")
	if a.LocalPref != defaultLocalPref {
		words = append(words, fmt.Sprintf("localPref %d", a.LocalPref))
	}
	for f, most := range []uint8{32, 128} {
		if a.Aggregation[f] != most {
			words = append(words, fmt.Sprintf("in /%d", a.Aggregation[f]))
		}
	}
	return strings.Join(words, " ")
}

// print writes all that decides about the sessions, equal for equal keys bgp.
func (b *BGP) print(w io.Writer) {
	fmt.Fprintf(w, "bgp %d %s\n", b.ASN, b.Sessions)
	for _, r := range b.Routers {
		fmt.Fprintf(w, "%q %s %d %d %s %d %s %s %q %q %s %d %q\n", r.Name, r.Address, r.ASN, r.Port, r.Source, r.Multihop,
			r.Hold, r.Keepalive, r.PasswordFile, r.PasswordSecret, r.BFDInterval, r.BFDMultiplier, r.NodeSelectors)
	}
}
