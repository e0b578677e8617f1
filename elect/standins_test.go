package elect

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/probe"
)

// has is a node that replied that it has the address.
func (l *Look) has(i int, ip netip.Addr) {
	l.Answers[probe.Question{IP: ip, MAC: macOf(i)}] = probe.Answer{Asked: began, Last: l.Now}
}

// TestStandsIn: n1 comes next after n2, the deputy of n3. It stands in only if the speaker of n2 is
// there and does not answer for the address.
func TestStandsIn(t *testing.T) {
	t.Parallel()
	d := Deputy{Owner: "n3", Node: "n2", Next: "n1"}
	asked := []probe.Question{{MAC: macOf(2)}, {IP: vip, MAC: macOf(2)}}
	for name, tt := range map[string]struct {
		after  time.Duration
		edit   func(*Look, map[netip.Addr]Deputy)
		want   []probe.Question
		deputy string
	}{
		"before it is due":   {299 * time.Millisecond, func(*Look, map[netip.Addr]Deputy) {}, nil, "n2"},
		"no reply as yet":    {300 * time.Millisecond, func(*Look, map[netip.Addr]Deputy) {}, asked, "n2"},
		"it does not answer": {300 * time.Millisecond, func(l *Look, _ map[netip.Addr]Deputy) { l.of(2, vip, true, true) }, asked, "n1"},
		"it answers":         {300 * time.Millisecond, func(l *Look, _ map[netip.Addr]Deputy) { l.has(2, vip) }, asked, "n2"},
		"it is not there":    {300 * time.Millisecond, func(l *Look, _ map[netip.Addr]Deputy) { l.of(2, vip, false, true) }, asked, "n2"},
		"another comes next": {300 * time.Millisecond, func(_ *Look, all map[netip.Addr]Deputy) {
			all[vip] = Deputy{Owner: "n3", Node: "n2", Next: "n4"}
		}, nil, "n2"},
		"the deputy is new": {300 * time.Millisecond, func(l *Look, all map[netip.Addr]Deputy) {
			l.of(2, vip, true, true)
			all[vip] = Deputy{Owner: "n4", Node: "n2", Next: "n1"}
		}, nil, "n2"},
		"on no network of this": {300 * time.Millisecond, func(l *Look, _ map[netip.Addr]Deputy) { l.Networks = nil }, nil, "n2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := NewStandins(Times())
			b.Step(lookAt(0), map[netip.Addr]Deputy{vip: d})
			l, all := lookAt(tt.after), map[netip.Addr]Deputy{vip: d}
			l.Members[2].State = mesh.Absent
			tt.edit(&l, all)
			got, _ := b.Step(l, all)
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
			if got := all[vip].Node; got != tt.deputy {
				t.Errorf("%s answers, want %s", got, tt.deputy)
			}
		})
	}
}

// TestStandsInAsksOnce: who answers is not asked again, and who stands in asks no more.
func TestStandsInAsksOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edit   func(*Look)
		deputy string
	}{
		"it answers":         {func(l *Look) { l.has(2, vip) }, "n2"},
		"it does not answer": {func(l *Look) { l.of(2, vip, true, true) }, "n1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, d := NewStandins(Times()), Deputy{Owner: "n3", Node: "n2", Next: "n1"}
			b.Step(lookAt(0), map[netip.Addr]Deputy{vip: d})
			l := lookAt(time.Second)
			tt.edit(&l)
			b.Step(l, map[netip.Addr]Deputy{vip: d})
			all := map[netip.Addr]Deputy{vip: d}
			if ask, _ := b.Step(lookAt(2*time.Second), all); len(ask) > 0 || all[vip].Node != tt.deputy {
				t.Errorf("%d questions, %s answers, want %s", len(ask), all[vip].Node, tt.deputy)
			}
			if b.Step(lookAt(3*time.Second), nil); len(b.open) > 0 {
				t.Error("nobody is absent, and something is kept")
			}
		})
	}
}
