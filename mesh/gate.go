package mesh

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// streamsOfOne is how many streams one address may have open at once. Members have one or two:
	// an exchange of states, a repeated probe.
	streamsOfOne = 8
	// streamsMost is how many streams all strangers may have open at once, and messagesMost how
	// many of the largest messages may be under way from them; as many again from members and
	// seeds.
	streamsMost  = 64
	messagesMost = 4
	// guestTime is how long a stream of a stranger may take in all. Those of members have
	// TCPTimeout.
	guestTime = 2 * time.Second
	// messageLeast is the limit of a message in a small mesh, and messageOfOne what one member can
	// add to it: a name of 253 bytes, 512 of metadata, and what msgpack puts around; twice, since
	// the other side may know more members than this one.
	messageLeast = 1 << 20
	messageOfOne = 2 << 10
)

// errExcess ends a stream that has sent more than it may. memberlist logs it, and [libraryLog]
// counts it.
var errExcess = errors.New("more bytes than strangers to the key may send")

// gate bounds what others may send by streams before anybody knows that they have the key:
// memberlist reads a message whole, up to 20 MB of it, before it decrypts it, and the label is no
// secret. Streams count, and the bytes that came by them until they are closed. Members and seeds,
// by their addresses, have room of their own, so that their exchanges go on while strangers fill
// theirs; no address has more than a message of the room.
type gate struct {
	known  func(netip.Addr) (known bool, all int) // Whether a member or seed is there, and how many there are.
	refuse func(condition)

	mu    sync.Mutex // Guards all following fields.
	of    map[netip.Prefix]*room
	rooms [2]room // Of strangers, and of members and seeds.
}

// room is what is in use.
type room struct{ streams, bytes int }

func newGate(company func(netip.Addr) (bool, int), refuse func(condition)) *gate {
	return &gate{known: company, refuse: refuse, of: map[netip.Prefix]*room{}}
}

// admit returns the stream as memberlist may read it, or closes it and returns nil.
func (g *gate) admit(c net.Conn) net.Conn {
	from := addrOfStream(c)
	known, all := g.known(from)
	s := &guest{Conn: c, gate: g, from: origin(from, known), all: &g.rooms[0], most: max(messageLeast, messageOfOne*all), end: time.Now().Add(guestTime)}
	if known {
		s.all, s.end = &g.rooms[1], time.Time{}
	}
	if !g.enter(s, known) {
		_ = c.Close()
		g.refuse(condition{kind: kindExcess, who: from.String()})
		return nil
	}
	return s
}

func (g *gate) enter(s *guest, known bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.own = g.of[s.from]
	if s.own == nil {
		s.own = &room{}
	}
	if s.own.streams >= streamsOfOne || !known && s.all.streams >= streamsMost {
		return false
	}
	g.of[s.from] = s.own
	s.own.streams++
	s.all.streams++
	return true
}

// take makes room for n bytes more, and reports whether there was any.
func (g *gate) take(s *guest, n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.gone || s.own.bytes+n > s.most || s.all.bytes+n > messagesMost*s.most {
		return false
	}
	s.own.bytes += n
	s.all.bytes += n
	s.bytes += n
	return true
}

func (g *gate) leave(s *guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.gone {
		return
	}
	s.gone = true
	for _, r := range []*room{s.own, s.all} {
		r.streams--
		r.bytes -= s.bytes
	}
	if s.own.streams == 0 {
		delete(g.of, s.from)
	}
}

// guest is a stream that another opened.
type guest struct {
	net.Conn
	gate  *gate
	from  netip.Prefix
	own   *room     // Of its address; gate.mu guards both rooms and the following two.
	all   *room     // Of all like it.
	bytes int       // That came by it.
	gone  bool      // It is closed.
	most  int       // Bytes of one message.
	end   time.Time // Of a stranger's: when it ends; else zero.
}

// Read fails when there is no more room.
func (s *guest) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n > 0 && !s.gate.take(s, n) {
		return 0, errExcess
	}
	return n, err
}

// SetDeadline sets the earlier of t and the stream's own end.
func (s *guest) SetDeadline(t time.Time) error {
	if !s.end.IsZero() && (t.IsZero() || t.After(s.end)) {
		t = s.end
	}
	return s.Conn.SetDeadline(t)
}

// Close may be called more than once.
func (s *guest) Close() error {
	s.gate.leave(s)
	return s.Conn.Close()
}

// origin is what counts as one address: a stranger has all of an IPv6 /64.
func origin(a netip.Addr, known bool) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() && !known {
		bits = 64
	}
	p, _ := a.Prefix(bits) // The zero Prefix of no address counts as one, too.
	return p
}

func addrOfStream(c net.Conn) netip.Addr {
	at, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return at.AddrPort().Addr().Unmap().WithZone("")
}

// Knows reports whether another member, alive or not, or a seed has the address.
func (m *Mesh) Knows(a netip.Addr) bool {
	known, _ := m.knows(a)
	return known
}

// knows reports whether a member or a seed has the address, and how many of both there are at most.
func (m *Mesh) knows(a netip.Addr) (known bool, all int) {
	known, all = m.table.knows(a)
	if seeds := m.seeds.Load(); seeds != nil {
		for _, s := range *seeds {
			known = known || s.Addr.Addr() == a
		}
		all += len(*seeds)
	}
	return known, all
}

// knows reports whether another member has the address, and how many members there are.
func (t *table) knows(a netip.Addr) (known bool, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.members {
		known = known || t.members[i].Name != t.self && t.members[i].has(a)
	}
	return known, len(t.members)
}

// has reports whether a member listens on the address.
func (e *entry) has(a netip.Addr) bool {
	if e.Addr.Addr() == a {
		return true
	}
	for _, at := range e.Meta.Addrs {
		if at.Addr() == a {
			return true
		}
	}
	return false
}
