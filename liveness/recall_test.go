package liveness

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/mesh"
)

const (
	before = 1 // epoch of the processes that the earlier one knew
	now    = 2
)

// ready is a member that can be taken for absent.
func ready(name string, epoch uint64) mesh.Member {
	return mesh.Member{
		Name: name, Epoch: epoch, State: mesh.Alive, Addr: netip.MustParseAddrPort("192.0.2.1:7927"),
		Meta: mesh.Meta{Ready: true, Deputy: true, Grace: time.Minute, Proxy: true, Segments: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, MACs: []string{"02:00:00:00:00:0" + name[1:]}},
	}
}

// begun is one whose speaker has begun, and does not know its interfaces yet.
func begun(name string) mesh.Member {
	return mesh.Member{Name: name, Epoch: now, State: mesh.Alive, Meta: mesh.Meta{Away: true, Deputy: true, Grace: time.Minute}}
}

func with(m mesh.Member, edit func(m *mesh.Member)) mesh.Member {
	edit(&m)
	return m
}

func TestRecall(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	recalled := func(m *mesh.Member) { m.Recalled = true }
	gone := func(m *mesh.Member) { m.State, m.Since, m.Epoch, m.Meta.Away = mesh.Left, start, 0, true }
	knows := func(m *mesh.Member) {
		old := ready(m.Name, before).Meta
		m.Meta.Segments, m.Meta.MACs, m.Meta.Proxy = old.Segments, old.MACs, old.Proxy
	}
	away := func(m *mesh.Member) { m.Meta.Away = true }
	patient := func(m *mesh.Member) { m.Meta.Grace = time.Hour }
	self := begun("n1")
	list := func(all ...mesh.Member) []mesh.Member { return all }
	for _, tt := range []struct {
		name    string
		earlier []mesh.Member
		members []mesh.Member
		after   time.Duration
		want    []mesh.Member
	}{
		{"nobody was known", nil, list(self, begun("n2")), 0, list(self, begun("n2"))},
		{
			"nobody is there", list(ready("n1", before), ready("n2", before), ready("n3", before)), list(self), 0,
			list(with(with(self, knows), recalled), with(with(ready("n2", before), gone), recalled), with(with(ready("n3", before), gone), recalled)),
		},
		{
			"one begins as well, and another is ready", list(ready("n1", before), ready("n2", before), ready("n3", before)), list(self, begun("n2"), ready("n3", now)), 0,
			list(with(with(self, knows), recalled), with(with(begun("n2"), knows), recalled), with(ready("n3", now), recalled)),
		},
		{
			"one went on all the time", list(ready("n2", before), ready("n3", before)), list(self, begun("n2"), ready("n3", before)), 0,
			list(self, with(begun("n2"), knows), ready("n3", before)),
		},
		{
			"one went on, and is about to end", list(ready("n2", before), ready("n3", before)), list(self, begun("n2"), with(ready("n3", before), away)), 0,
			list(self, with(with(begun("n2"), knows), recalled), with(with(ready("n3", before), away), recalled)),
		},
		{
			"one that went on is dead", list(ready("n2", before)), list(self, with(ready("n2", before), func(m *mesh.Member) { m.State = mesh.Dead })), 0,
			list(self, with(ready("n2", before), func(m *mesh.Member) { m.State, m.Recalled = mesh.Dead, true })),
		},
		{"one is new", list(ready("n3", before)), list(self, ready("n2", now)), 0, list(self, ready("n2", now), with(with(ready("n3", before), gone), recalled))},
		{"within the grace", list(ready("n2", before)), list(self), time.Minute - 1, list(self, with(with(ready("n2", before), gone), recalled))},
		{"after the grace", list(ready("n2", before)), list(self), time.Minute, list(self, with(ready("n2", before), gone))},
		{"some minutes later", list(ready("n2", before)), list(self), time.Minute + recallMemory - 1, list(self, with(ready("n2", before), gone))},
		{"long after that", list(ready("n2", before)), list(self), time.Minute + recallMemory, list(self)},
		{"a long grace", list(with(ready("n2", before), patient)), list(self), time.Hour - 1, list(self, with(with(with(ready("n2", before), patient), gone), recalled))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := recall{tt.earlier, start}
			given := append([]mesh.Member{}, tt.members...)
			if diff := cmp.Diff(tt.want, r.join(tt.members, start.Add(tt.after)), cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(given, tt.members, cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})); diff != "" {
				t.Errorf("the list that it was given has changed:\n%s", diff)
			}
		})
	}
}
