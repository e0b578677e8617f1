package arpd

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
)

// maxGroups is how many groups one socket joins: what the kernel lets a socket
// remember under the oldest default of net.core.optmem_max.
const maxGroups = 300

// groups keeps one interface a member of the solicited-node groups of the
// addresses that it answers for. Up to 2^104 addresses share a group, so a group
// is left when the last of its addresses goes: the wanted groups are derived from
// all addresses that may share one, which counts the references without counters
// that could go wrong. These addresses are in one part of the table, and a part
// that is the same as the last time is not looked into.
type groups struct {
	open    func() (memberships, error)
	index   int
	sockets []*groupMember
	parts   [slots]groupPart
}

// groupPart is what was joined for one part of the table.
type groupPart struct {
	of     *part[[16]byte] // nil: for an empty one, and so that nothing is joined
	again  bool            // something went wrong
	joined map[netip.Addr]*groupMember
}

type groupMember struct {
	memberships
	used int
}

func newGroups(index int, open func() (memberships, error)) *groups {
	return &groups{open: open, index: index}
}

// sync joins what is missing for the own addresses of a table and leaves what nobody
// needs any longer. It does as much as it can and returns all errors.
func (g *groups) sync(t *table) error {
	var errs []error
	for i := range g.parts {
		p := &g.parts[i]
		if p.of == t.v6[i] && !p.again {
			continue
		}
		err := g.follow(p, t.v6[i])
		p.of, p.again = t.v6[i], err != nil
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// follow does the same for one part.
func (g *groups) follow(p *groupPart, of *part[[16]byte]) error {
	want := make(map[netip.Addr]struct{})
	for ip, r := range of.all() {
		if r&answered != 0 {
			want[packet.SolicitedNode(netip.AddrFrom16(ip))] = struct{}{}
		}
	}
	var errs []error
	for group, s := range p.joined {
		if _, ok := want[group]; !ok {
			delete(p.joined, group)
			s.used--
			errs = append(errs, s.Leave(g.index, group))
		}
	}
	for group := range want {
		if p.joined[group] == nil {
			errs = append(errs, g.join(p, group))
		}
	}
	return errors.Join(errs...)
}

// join uses the first socket with room. A socket that is full before its time
// (a smaller optmem_max) counts as full from then on.
func (g *groups) join(p *groupPart, group netip.Addr) error {
	for {
		s, err := g.room()
		if err != nil {
			return err
		}
		err = s.Join(g.index, group)
		full := errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
		if full && s.used > 0 {
			s.used = maxGroups
			continue
		}
		if err != nil {
			return err
		}
		s.used++
		if p.joined == nil {
			p.joined = make(map[netip.Addr]*groupMember)
		}
		p.joined[group] = s
		return nil
	}
}

func (g *groups) room() (*groupMember, error) {
	for _, s := range g.sockets {
		if s.used < maxGroups {
			return s, nil
		}
	}
	m, err := g.open()
	if err != nil {
		return nil, err
	}
	s := &groupMember{memberships: m}
	g.sockets = append(g.sockets, s)
	return s, nil
}

// close leaves all groups.
func (g *groups) close() error {
	var errs []error
	for _, s := range g.sockets {
		errs = append(errs, s.Close())
	}
	g.sockets = nil
	g.parts = [slots]groupPart{}
	return errors.Join(errs...)
}
