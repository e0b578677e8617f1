package watcher

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/lease"
)

// at is a LoadBalancer Service at a version.
func at(name, uid, version string) *Service {
	return &Service{Namespace: "d", Name: name, UID: uid, Version: version, Type: "LoadBalancer"}
}

// still is the same Service after it became a ClusterIP.
func still(name, uid, version string) *Service {
	s := at(name, uid, version)
	s.Type = "ClusterIP"
	return s
}

// A tableTest does something to a new table and says what a drain then brings.
type tableTest struct {
	name string
	do   func(*table)
	want tableState
}

type tableState struct {
	changes Changes
	at      string
	told    int
	stale   bool
}

func (tt tableTest) run(t *testing.T) {
	var told counter
	tb := newTable(told.add)
	tt.do(tb)
	changes, position := tb.drain()
	got := tableState{changes, position, told.took(), tb.stale()}
	if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(tableState{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, _ := tb.drain(); !cmp.Equal(again, Changes{}, cmpopts.EquateEmpty()) {
		t.Errorf("drained again: %+v", again)
	}
}

func TestTableLists(t *testing.T) {
	for _, tt := range []tableTest{
		{"nothing yet", func(*table) {}, tableState{stale: true}},
		{
			"a snapshot file",
			func(tb *table) { tb.load([]*Service{at("b", "u2", "2"), at("a", "u1", "1")}) },
			tableState{changes: Changes{Reset: true, Put: []*Service{at("a", "u1", "1"), at("b", "u2", "2")}}, stale: true},
		},
		{
			"the first list, without what holds nothing",
			func(tb *table) {
				tb.replace("9", []*Service{at("b", "u2", "2"), still("c", "u3", "3"), at("a", "u1", "1")})
			},
			tableState{changes: Changes{Reset: true, Put: []*Service{at("a", "u1", "1"), at("b", "u2", "2")}}, at: "9", told: 1},
		},
		{
			"a list after a snapshot file resets again",
			func(tb *table) {
				tb.load([]*Service{at("old", "u9", "1")})
				tb.drain()
				tb.replace("9", []*Service{at("a", "u1", "1")})
			},
			tableState{changes: Changes{Reset: true, Put: []*Service{at("a", "u1", "1")}}, at: "9", told: 1},
		},
		{
			"a snapshot file that is late",
			func(tb *table) { tb.replace("9", nil); tb.load([]*Service{at("old", "u9", "1")}) },
			tableState{changes: Changes{Reset: true}, at: "9", told: 1},
		},
		{
			"a later list is handed on as a difference",
			func(tb *table) {
				tb.replace("1", []*Service{at("a", "u1", "1"), at("b", "u2", "1"), at("c", "u3", "1")})
				tb.drain()
				tb.replace("9", []*Service{at("a", "u1", "1"), at("b", "u2", "8"), at("d", "u4", "7")})
			},
			tableState{changes: Changes{Put: []*Service{at("b", "u2", "8"), at("d", "u4", "7")}, Deleted: []Key{{Namespace: "d", Name: "c"}}}, at: "9", told: 2},
		},
		{
			"a list and changes after it are one step",
			func(tb *table) {
				tb.replace("1", []*Service{at("a", "u1", "1")})
				tb.put("2", at("a", "u1", "2"))
				tb.remove("3", Key{Namespace: "d", Name: "zz"})
			},
			tableState{changes: Changes{Reset: true, Put: []*Service{at("a", "u1", "2")}}, at: "3", told: 2},
		},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestTableChanges(t *testing.T) {
	leased := still("a", "u1", "3")
	leased.Annotations = [][2]string{{lease.LeaseAnnotation, "{}"}}
	for _, tt := range []tableTest{
		{
			"put, deleted, sorted",
			func(tb *table) {
				tb.replace("1", []*Service{at("x", "u1", "1")})
				tb.drain()
				tb.put("2", at("c", "u2", "2"))
				tb.put("3", at("b", "u3", "3"))
				tb.remove("4", Key{Namespace: "d", Name: "x"})
			},
			tableState{changes: Changes{Put: []*Service{at("b", "u3", "3"), at("c", "u2", "2")}, Deleted: []Key{{Namespace: "d", Name: "x"}}}, at: "4", told: 4},
		},
		{
			"deleted and made anew",
			func(tb *table) {
				tb.replace("1", []*Service{at("a", "u1", "1")})
				tb.drain()
				tb.remove("2", Key{Namespace: "d", Name: "a"})
				tb.put("3", at("a", "u2", "3"))
			},
			tableState{changes: Changes{Put: []*Service{at("a", "u2", "3")}}, at: "3", told: 3},
		},
		{
			"no longer relevant is deleted",
			func(tb *table) {
				tb.replace("1", []*Service{at("a", "u1", "1")})
				tb.drain()
				tb.put("2", still("a", "u1", "2"))
			},
			tableState{changes: Changes{Deleted: []Key{{Namespace: "d", Name: "a"}}}, at: "2", told: 2},
		},
		{
			"another type with a lease still holds",
			func(tb *table) {
				tb.replace("1", []*Service{at("a", "u1", "1")})
				tb.drain()
				tb.put("3", leased)
			},
			tableState{changes: Changes{Put: []*Service{leased}}, at: "3", told: 2},
		},
		{
			"what never mattered moves the position and wakes nobody",
			func(tb *table) {
				tb.replace("1", nil)
				tb.drain()
				tb.put("2", still("a", "u1", "2"))
				tb.remove("3", Key{Namespace: "d", Name: "a"})
				tb.position("4")
			},
			tableState{at: "4", told: 1},
		},
	} {
		t.Run(tt.name, tt.run)
	}
}

// TestRestoredBackup: after a restore, the same uid and resourceVersion can name another content.
func TestRestoredBackup(t *testing.T) {
	tb := newTable(func() {})
	tb.replace("9", []*Service{at("a", "u1", "5")})
	tb.drain()
	other := at("a", "u1", "5")
	other.Ingress = []string{"198.18.64.3"}
	tb.replace("6", []*Service{other})
	got, _ := tb.drain()
	if diff := cmp.Diff(Changes{Put: []*Service{other}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestStaleChangesWithDrain: between a Drain and a look at Stale the list may arrive; what was
// drained stays stale.
func TestStaleChangesWithDrain(t *testing.T) {
	tb := newTable(func() {})
	tb.load([]*Service{at("a", "u1", "5")})
	tb.drain()
	tb.replace("6", nil)
	if !tb.stale() {
		t.Error("not stale although the reader has the snapshot file's Services")
	}
	tb.drain()
	if tb.stale() {
		t.Error("stale after the list was drained")
	}
}
