package arpd

import "net/netip"

// State is everything that a Responder knows, at one moment.
type State struct {
	Interfaces []Interface           // all of the node, sorted by name
	Conflicts  []Conflict            // sorted by address
	Heard      map[netip.Addr]string // see Responder.Heard
	Problems   []string              // in words
}

// State is a snapshot of what the responder knows.
func (r *Responder) State() State {
	return State{Interfaces: r.Interfaces(), Conflicts: r.Conflicts(), Heard: r.Heard(), Problems: r.Problems()}
}
