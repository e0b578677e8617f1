package api

import (
	"encoding/json"
	"time"
)

// Move is a change of announcer, of all the addresses that went from one node to another at one
// moment and for one cause.
type Move struct {
	At     time.Time `json:"at"`
	From   string    `json:"from"`            // the announcer before, "" nobody
	To     string    `json:"to"`              // the announcer since, "" nobody
	Count  int       `json:"count"`           // addresses
	IPs    []string  `json:"ips"`             // the first of them
	Cause  string    `json:"cause"`           // "eligible", "member-lost", "moved"
	Change string    `json:"change"`          // why, in words
	Silent float64   `json:"silent,omitzero"` // seconds since this speaker had last heard a lost announcer
	Held   float64   `json:"held"`            // seconds for which From announced them, as far as this speaker knows; the shortest time
}

// MarshalJSON writes lists without entries as [].
func (m Move) MarshalJSON() ([]byte, error) {
	type plain Move
	p := plain(m)
	p.IPs = list(m.IPs)
	return json.Marshal(p)
}
