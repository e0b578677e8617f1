package arpd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
)

// fakeGroups counts what is joined, over all sockets.
type fakeGroups struct {
	room    int // memberships per socket, 0: endless
	failing map[netip.Addr]error
	opened  int
	openErr error
	joined  map[netip.Addr]int
}

type fakeMember struct {
	*fakeGroups
	mine map[netip.Addr]bool
}

func (f *fakeGroups) open() (memberships, error) {
	if f.openErr != nil {
		return nil, f.openErr
	}
	f.opened++
	return &fakeMember{f, make(map[netip.Addr]bool)}, nil
}

func (m *fakeMember) Join(_ int, group netip.Addr) error {
	if err := m.failing[group]; err != nil {
		return err
	}
	if m.room > 0 && len(m.mine) == m.room {
		return fmt.Errorf("join group %s: %w", group, unix.ENOBUFS)
	}
	m.mine[group] = true
	m.joined[group]++
	return nil
}

func (m *fakeMember) Leave(_ int, group netip.Addr) error {
	if !m.mine[group] {
		return fmt.Errorf("leave group %s: %w", group, unix.EADDRNOTAVAIL)
	}
	delete(m.mine, group)
	m.joined[group]--
	return nil
}

func (m *fakeMember) Close() error {
	for g := range m.mine {
		m.joined[g]--
	}
	clear(m.mine)
	return nil
}

// members are the groups that are joined, each once.
func (f *fakeGroups) members(t *testing.T) []string {
	t.Helper()
	out := []string{}
	for g, n := range f.joined {
		if n > 1 || n < 0 {
			t.Errorf("%s is joined %d times", g, n)
		}
		if n == 1 {
			out = append(out, g.String())
		}
	}
	slices.Sort(out)
	return out
}

func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

// answering is a table of own addresses.
func answering(ips []netip.Addr) *table {
	roles := map[netip.Addr]role{other6: watch}
	for _, ip := range ips {
		roles[ip] = own
	}
	return newTable(roles)
}

func TestGroups(t *testing.T) {
	f := &fakeGroups{joined: make(map[netip.Addr]int)}
	g := newGroups(2, f.open)
	for _, step := range []struct {
		name string
		ips  []netip.Addr
		want []string
	}{
		{"nothing", nil, []string{}},
		{"one", addrs("2001:db8::1"), []string{"ff02::1:ff00:1"}},
		{"the same again", addrs("2001:db8::1"), []string{"ff02::1:ff00:1"}},
		{"two addresses in one group", addrs("2001:db8::1", "2001:db8:1::1", "2001:db8::2"), []string{"ff02::1:ff00:1", "ff02::1:ff00:2"}},
		{"one of the two goes", addrs("2001:db8:1::1", "2001:db8::2"), []string{"ff02::1:ff00:1", "ff02::1:ff00:2"}},
		{"the other goes too", addrs("2001:db8::2"), []string{"ff02::1:ff00:2"}},
		{"all others", addrs("2001:db8::3"), []string{"ff02::1:ff00:3"}},
		{"none", nil, []string{}},
	} {
		if err := g.sync(answering(step.ips)); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, f.members(t)); diff != "" {
			t.Errorf("%s: groups (-want +got):\n%s", step.name, diff)
		}
	}
	if f.opened != 1 {
		t.Errorf("%d sockets", f.opened)
	}
}

func many(n int) []netip.Addr {
	out := make([]netip.Addr, n)
	for i := range out {
		out[i] = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
	}
	return out
}

func TestGroupsUseSocketsInTurn(t *testing.T) {
	f := &fakeGroups{joined: make(map[netip.Addr]int)}
	g := newGroups(2, f.open)
	if err := g.sync(answering(many(700))); err != nil {
		t.Fatal(err)
	}
	if f.opened != 3 || len(f.members(t)) != 700 {
		t.Errorf("%d sockets for %d groups", f.opened, len(f.members(t)))
	}
	if err := g.sync(answering(many(900)[300:])); err != nil { // 300 leave, 200 come into the gaps
		t.Fatal(err)
	}
	if f.opened != 3 || len(f.members(t)) != 600 {
		t.Errorf("%d sockets for %d groups", f.opened, len(f.members(t)))
	}
	if err := g.close(); err != nil || len(f.members(t)) != 0 {
		t.Errorf("%d groups after close, %v", len(f.members(t)), err)
	}
}

func TestGroupsWithSmallSockets(t *testing.T) {
	f := &fakeGroups{joined: make(map[netip.Addr]int), room: 20}
	g := newGroups(2, f.open)
	if err := g.sync(answering(many(100))); err != nil {
		t.Fatal(err)
	}
	if f.opened != 5 || len(f.members(t)) != 100 {
		t.Errorf("%d sockets for %d groups", f.opened, len(f.members(t)))
	}
}

func TestGroupsGoOnAfterErrors(t *testing.T) {
	bad := netip.MustParseAddr("ff02::1:ff00:2")
	f := &fakeGroups{joined: make(map[netip.Addr]int), failing: map[netip.Addr]error{bad: unix.ENODEV}}
	g := newGroups(2, f.open)
	if err := g.sync(answering(addrs("2001:db8::1", "2001:db8::2", "2001:db8::3"))); !errors.Is(err, unix.ENODEV) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"ff02::1:ff00:1", "ff02::1:ff00:3"}, f.members(t)); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	delete(f.failing, bad)
	if err := g.sync(answering(addrs("2001:db8::1", "2001:db8::2", "2001:db8::3"))); err != nil || len(f.members(t)) != 3 {
		t.Errorf("%v, error %v", f.members(t), err)
	}
}

func TestGroupsWithoutSocket(t *testing.T) {
	f := &fakeGroups{joined: make(map[netip.Addr]int), openErr: unix.EMFILE}
	g := newGroups(2, f.open)
	if err := g.sync(answering(addrs("2001:db8::1"))); !errors.Is(err, unix.EMFILE) {
		t.Errorf("error %v", err)
	}
	f.openErr, f.room = nil, 0
	f.failing = map[netip.Addr]error{netip.MustParseAddr("ff02::1:ff00:1"): unix.ENOMEM}
	if err := g.sync(answering(addrs("2001:db8::1"))); !errors.Is(err, unix.ENOMEM) { // an empty socket is not full
		t.Errorf("error %v", err)
	}
}

// TestGroupsOfWhatChanged: a table that follows upon another costs the groups that
// changed, and one that failed is tried again although nothing has.
func TestGroupsOfWhatChanged(t *testing.T) {
	f := &fakeGroups{joined: make(map[netip.Addr]int)}
	g := newGroups(2, f.open)
	was := answering(many(1000))
	if err := g.sync(was); err != nil || len(f.members(t)) != 1000 {
		t.Fatalf("%d groups, error %v", len(f.members(t)), err)
	}
	refused, more := netip.MustParseAddr("2001:db8:1::7:8"), netip.MustParseAddr("2001:db8:1::7:7")
	f.failing = map[netip.Addr]error{packet.SolicitedNode(refused): unix.ENODEV}
	is := was.with([]grant{{ip: refused, role: own}, {ip: more, role: own}, {ip: many(1000)[999], role: own | watch}, {ip: many(1000)[998], role: watch}, {ip: many(1000)[0x100]}})
	same := 0
	for i := range g.parts {
		if len(g.parts[i].joined) > 0 && is.v6[i] == was.v6[i] {
			same++
			clear(g.parts[i].joined) // whoever looks into this part joins its groups a second time
		}
	}
	if same == 0 {
		t.Fatal("no part is the same")
	}
	for range 2 {
		if err := g.sync(is); (err != nil) != (f.failing != nil) {
			t.Errorf("error %v", err)
		}
		f.failing = nil
	}
	want := map[netip.Addr]bool{packet.SolicitedNode(more): true, packet.SolicitedNode(refused): true}
	for i, ip := range many(1000) {
		want[packet.SolicitedNode(ip)] = want[packet.SolicitedNode(ip)] || i != 998 && i != 0x100
	}
	for group, joined := range want {
		if (f.joined[group] == 1) != joined {
			t.Errorf("%s: joined %d times", group, f.joined[group])
		}
	}
}
