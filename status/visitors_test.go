package status

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVisitorOf(t *testing.T) {
	t.Parallel()
	c := Config{Fellows: func(a netip.Addr) bool { return a.String() == "198.18.0.2" || a.String() == "2001:db8::2" }}
	for _, tt := range []struct {
		name, remote, local string
		kind                kind
		from                string
	}{
		{"a stranger", "198.18.0.9", "198.18.0.1", stranger, "198.18.0.9/32"},
		{"a stranger with a /64", "2001:db8::9:1", "2001:db8::1", stranger, "2001:db8::/64"},
		{"a mapped stranger", "::ffff:198.18.0.9", "::ffff:198.18.0.1", stranger, "198.18.0.9/32"},
		{"another node", "198.18.0.2", "198.18.0.1", fellow, "198.18.0.2/32"},
		{"another node by IPv6", "2001:db8::2", "2001:db8::1", fellow, "2001:db8::2/128"},
		{"kubelet", "198.18.0.1", "::ffff:198.18.0.1", own, "198.18.0.1/32"},
		{"kubectl exec", "127.0.0.1", "127.0.0.1", own, "127.0.0.1/32"},
		{"kubectl exec by IPv6", "::1", "::1", own, "::1/128"},
		{"a neighbor without address", "fe80::1%eth0", "fe80::2%eth0", stranger, "fe80::/64"},
	} {
		want := visitor{tt.kind, netip.MustParsePrefix(tt.from)}
		if got := c.visitorOf(netip.MustParseAddr(tt.remote), netip.MustParseAddr(tt.local)); got != want {
			t.Errorf("%s: %v, want %v", tt.name, got, want)
		}
	}
	if got := c.visitorOf(netip.Addr{}, netip.Addr{}); got != (visitor{}) {
		t.Errorf("of no address: %v", got)
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	c := newCounter(limit{2, 3}, limit{1, 5}, limit{4, 4})
	from := func(k kind, no int) visitor {
		return visitor{k, netip.MustParsePrefix(fmt.Sprintf("198.18.0.%d/32", no))}
	}
	var leaves []func()
	for i, tt := range []struct {
		v  visitor
		ok bool
	}{
		{from(stranger, 1), true}, {from(stranger, 1), true}, {from(stranger, 1), false}, // each
		{from(stranger, 2), true}, {from(stranger, 3), false}, // all
		{from(fellow, 4), true}, {from(fellow, 4), false}, {from(own, 1), true}, // others have places of their own
	} {
		leave, ok := c.enter(tt.v)
		if ok != tt.ok {
			t.Errorf("%d: %v enters: %t, want %t", i, tt.v, ok, tt.ok)
		}
		if ok {
			leaves = append(leaves, leave)
		}
	}
	leaves[0]()
	if leave, ok := c.enter(from(stranger, 3)); !ok {
		t.Error("no place although one was left")
	} else {
		leave()
	}
	for _, leave := range leaves[1:] {
		leave()
	}
	if len(c.of) > 0 || c.all != [kinds]int{} {
		t.Errorf("still counted: %v, %v", c.of, c.all)
	}
}

// An answer that is shared counts once, strangers take no room from others, and one that is larger
// than all room passes alone.
func TestBudget(t *testing.T) {
	t.Parallel()
	third, other, huge := make([]byte, bytesMost/3), slices.Repeat([]byte{1}, bytesMost/3), make([]byte, 2*bytesMost)
	b := &budget{held: map[holding]int{}}
	type step struct {
		kind kind
		body []byte
		ok   bool
	}
	var held []step
	for i, s := range []step{
		{stranger, third, true},
		{stranger, third, true},
		{stranger, third, true},
		{stranger, third, true},
		{stranger, other, true},
		{stranger, huge, false},
		{fellow, huge, true},
		{own, third, false},
		{stranger, nil, true},
	} {
		if got := b.hold(s.kind, s.body); got != s.ok {
			t.Errorf("%d: %t, want %t", i, got, s.ok)
		}
		if s.ok {
			held = append(held, s)
		}
	}
	if diff := cmp.Diff([2]int{2 * (bytesMost / 3), 2 * bytesMost}, b.used); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
	for _, s := range held {
		b.release(s.kind, s.body)
	}
	if len(b.held) > 0 || b.used != [2]int{} {
		t.Errorf("still held: %d, %v", len(b.held), b.used)
	}
}
