package mesh

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// A member has one address in memberlist, which it advertises when it starts and never changes.
// Where it listens besides, or instead since the address of its node has changed, its metadata say
// ([Meta.Addrs]); so two members meet by any family that both have, and a node with another address
// stays a member. memberlist gives the name with nearly all that it sends, and route finds the
// address.

// route is where a member is to be sent to.
func (m *Mesh) route(a memberlist.Address) memberlist.Address {
	if at := m.table.at(a.Name, a.Addr); at != "" {
		a.Addr = at
	}
	return a
}

// at is where a living member is reached that has an address in memberlist; "" leaves it at that.
func (t *table) at(name, addr string) string {
	if name == "" || name == t.self {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known || t.members[i].State != Alive || len(t.members[i].Meta.Addrs) == 0 {
		return ""
	}
	all := t.members[i].Meta.Addrs
	if to, err := netip.ParseAddrPort(addr); err == nil && slices.Contains(all, to) && t.reaches(to) {
		return ""
	}
	if i := slices.IndexFunc(all, t.reaches); i >= 0 {
		return all[i].String()
	}
	return ""
}

// reaches reports whether this node listens on an address of the same family. The caller holds mu.
func (t *table) reaches(to netip.AddrPort) bool { return reaches(t.local, to) }

// reaches reports whether one of local is of the family of an address; of none it is not known.
func reaches(local []netip.AddrPort, to netip.AddrPort) bool {
	return len(local) == 0 || slices.ContainsFunc(local, func(l netip.AddrPort) bool {
		return l.Addr().IsUnspecified() || l.Addr().BitLen() == to.Addr().BitLen()
	})
}

// shown is the address of a member for others to read: where it is reached. The caller holds mu.
func (t *table) shown(e *entry) netip.AddrPort {
	switch {
	case e.Name == t.self && len(t.local) > 0 && !t.local[0].Addr().IsUnspecified():
		return t.local[0]
	case len(e.Meta.Addrs) == 0 || slices.Contains(e.Meta.Addrs, e.Addr) && t.reaches(e.Addr):
		return e.Addr
	}
	if i := slices.IndexFunc(e.Meta.Addrs, t.reaches); i >= 0 {
		return e.Meta.Addrs[i]
	}
	return e.Addr
}

// listensOn notes where this node listens, and reports whether that differs from before.
func (t *table) listensOn(local []netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := !slices.Equal(t.local, local)
	t.local = local
	return changed
}

// addrs is what this member says of where it listens: nothing if it is what it advertises.
func (t *table) addrs() []netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	if slices.Equal(t.local, []netip.AddrPort{t.members[i].Addr}) || slices.ContainsFunc(t.local, func(a netip.AddrPort) bool { return a.Addr().IsUnspecified() }) {
		return nil
	}
	return slices.Clone(t.local)
}

// wanted are the addresses to listen on now.
func (m *Mesh) wanted() []netip.AddrPort {
	if m.cfg.Local != nil {
		if all := m.cfg.Local(); len(all) > 0 {
			return all
		}
	}
	return []netip.AddrPort{m.cfg.Bind}
}

// follow listens on the addresses that this node has now, and tells the others.
func (m *Mesh) follow(via *ports) {
	if m.cfg.Local == nil {
		return
	}
	want := m.cfg.Local()
	if len(want) == 0 {
		return // Nothing is known: the API server is away, or the Node is gone.
	}
	have, err := via.follow(want)
	m.refused(err)
	if len(have) == 0 || !m.table.listensOn(have) {
		return
	}
	m.logs.put(func(l *zerolog.Logger) { l.Info().Strs("addrs", texts(have)).Msg("gossip listens on other addresses") })
	m.saying.Lock()
	m.urgent.Store(true)
	m.publish(m.table.ownSaying())
	m.saying.Unlock()
	m.signal()
}

// refused logs once why some address cannot be listened on.
func (m *Mesh) refused(err error) {
	why := ""
	if err != nil && !errors.Is(err, net.ErrClosed) {
		why = err.Error()
	}
	if why != m.refusal && why != "" {
		m.logs.put(func(l *zerolog.Logger) {
			l.Warn().Str("reason", why).Msg("gossip does not listen on an address of this node")
		})
	}
	m.refusal = why
}

// ownSaying is what self says, as SetMeta gave it.
func (t *table) ownSaying() Meta {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	return t.members[i].Meta
}

func texts(all []netip.AddrPort) (out []string) {
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}
