package main

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/transcript"
)

// TestReleases: what speakers of all releases keep in --state-dir is understood, and this tree
// writes what the newest one does.
func TestReleases(t *testing.T) {
	member := mesh.Member{Name: "n1", Addr: netip.MustParseAddrPort("198.18.0.1:7927"), State: mesh.Alive, Meta: mesh.Meta{
		Ready: true, Deputy: true, Grace: time.Minute, Version: "v0.2.0", Config: 7, MACs: []string{"02:00:00:00:00:01"},
		Segments: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15")}, Until: time.Unix(1_800_000_000, 0).UTC(),
	}, Since: time.Unix(1_800_000_000, 0).UTC()}
	text, err := json.Marshal(savedMembers{Boot: "b", Uptime: time.Hour, Members: []mesh.Member{member}})
	if err != nil {
		t.Fatal(err)
	}
	transcript.Golden(t, transcript.Sample{Name: membersName, Text: string(text), Read: func(text string) (any, error) {
		var s savedMembers
		err := json.Unmarshal([]byte(text), &s)
		return s, err
	}})
}
