package mesh

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/peers"
)

// TestWord: what metadata say of a node goes through a frame and back.
func TestWord(t *testing.T) {
	compare := cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{})
	for _, tt := range []struct {
		name string
		meta Meta
		code uint8
	}{
		{"not ready", Meta{}, 0},
		{"draining", Meta{Ready: true, Draining: true}, 0},
		{"well", Meta{Ready: true}, 1},
		{"unsure", Meta{Ready: true, APIAge: unsureAge}, 2},
		{"out of touch", Meta{Ready: true, APIAge: outAge}, 3},
		{"returning", Meta{Ready: true, Returning: true}, 4},
		{"returning, unsure", Meta{Ready: true, Returning: true, APIAge: unsureAge}, 5},
		{"returning, out of touch", Meta{Ready: true, Returning: true, APIAge: outAge}, 6},
		{"without kube-proxy", Meta{Ready: true, NoProxy: true, APIAge: time.Hour}, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code := tt.meta.Word().Code()
			if code != tt.code {
				t.Fatalf("says %d, want %d: the words are a protocol between releases", code, tt.code)
			}
			if code == 0 {
				return
			}
			if diff := cmp.Diff(tt.meta, Meta{Draining: true, APIAge: time.Hour}.with(peers.WordOf(code)), compare); diff != "" {
				t.Errorf("understood (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBelieved: the states and words that are believed replace those of gossip; a peer that gossip
// never met is on the networks of this node.
func TestBelieved(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	compare := cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{})
	members := []Member{
		{Name: "n1", State: Alive, Meta: Meta{Ready: true}},
		{Name: "n3", State: Dead, Since: began, Meta: Meta{Version: "v1", APIAge: outAge}},
		{Name: "n4", State: Alive, Since: began, Meta: Meta{Ready: true}},
	}
	own := []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}
	got := Believed(members, peers.Snapshot{Peers: []peers.Peer{
		{Name: "n2", State: peers.Wire, Word: peers.Word{Ready: true, Returning: true}, MACs: []string{"02:00:00:00:00:02"}},
		{Name: "n3", State: peers.Wire, Since: began, Word: peers.Word{Ready: true}},
		{Name: "n4", State: peers.Dead, Since: began.Add(time.Second), Word: peers.Word{Ready: true}},
	}}, own)
	want := []Member{
		members[0],
		{Name: "n2", State: OnWire, Meta: Meta{Ready: true, Returning: true, MACs: []string{"02:00:00:00:00:02"}, Segments: own}},
		{Name: "n3", State: OnWire, Since: began, Meta: Meta{Ready: true, Version: "v1"}},
		{Name: "n4", State: Dead, Since: began.Add(time.Second), Meta: Meta{Ready: true}},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if members[1].State != Dead {
		t.Error("the members of gossip were changed")
	}
}
