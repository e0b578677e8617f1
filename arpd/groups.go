package arpd

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// maxGroups is how many groups one socket joins: what the kernel lets a socket
// remember under the oldest default of net.core.optmem_max.
const maxGroups = 300

// groups keeps one interface a member of the solicited-node groups of the
// addresses that it answers for. Up to 2^104 addresses share a group, so a group
// is left when the last of its addresses goes: the wanted groups are derived
// from all addresses every time, which counts the references without counters
// that could go wrong.
type groups struct {
	open    func() (memberships, error)
	index   int
	sockets []*groupMember
	joined  map[netip.Addr]*groupMember
}

type groupMember struct {
	memberships
	used int
}

func newGroups(index int, open func() (memberships, error)) *groups {
	return &groups{open: open, index: index, joined: make(map[netip.Addr]*groupMember)}
}

// sync joins what is missing for ips and leaves what nobody needs any longer. It
// does as much as it can and returns all errors.
func (g *groups) sync(ips []netip.Addr) error {
	want := make(map[netip.Addr]struct{}, len(ips))
	for _, ip := range ips {
		want[solicitedNode(ip)] = struct{}{}
	}
	var errs []error
	for group := range g.joined {
		if _, ok := want[group]; !ok {
			errs = append(errs, g.leave(group))
		}
	}
	for group := range want {
		if g.joined[group] == nil {
			errs = append(errs, g.join(group))
		}
	}
	return errors.Join(errs...)
}

// join uses the first socket with room. A socket that is full before its time
// (a smaller optmem_max) counts as full from then on.
func (g *groups) join(group netip.Addr) error {
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
		g.joined[group] = s
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

func (g *groups) leave(group netip.Addr) error {
	s := g.joined[group]
	delete(g.joined, group)
	s.used--
	return s.Leave(g.index, group)
}

// close leaves all groups.
func (g *groups) close() error {
	var errs []error
	for _, s := range g.sockets {
		errs = append(errs, s.Close())
	}
	g.sockets = nil
	clear(g.joined)
	return errors.Join(errs...)
}
