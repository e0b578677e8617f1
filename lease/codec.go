package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"unique"
)

const (
	codecVersion = 1
	// maxLease bounds what is read of a lease: two addresses of each family take a tenth of it.
	maxLease = 4096
	// maxLeaseIPs bounds the addresses of a lease: an old and a new one of each family are four.
	maxLeaseIPs = 16

	stateClaimed = "claimed"
	stateBound   = "bound"
)

// Lease is the value of the annotation starling-lb.io/lease.
type Lease struct {
	// V is the version of the format. Of a later one only By and IPs are understood.
	V int `json:"v"`
	// By is the installation that may change or release the lease.
	By string `json:"by"`
	// Holder is the node that wrote it, for people to read.
	Holder string `json:"holder"`
	IPs    []Item `json:"ips"`
	// Conflicts are addresses that the Service was moved off, or is about to be: at most three.
	Conflicts []Conflict `json:"conflicts,omitempty"`
	// Sharing stands for what the Service shares an address by, as it was when the lease was
	// written; "" if it shares with nobody. Equal texts stand for equal facts; see entry.sharing.
	Sharing string `json:"sharing,omitempty"`
}

// Item is one address of a lease.
type Item struct {
	IP    netip.Addr `json:"ip"`
	Pool  string     `json:"pool"`
	State string     `json:"state"` // "claimed" or "bound"
	// RevokeAfter is what the pool says with keep: false, for when the pool is gone. "" with any
	// other rule.
	RevokeAfter string `json:"revokeAfter,omitempty"`
}

// rawLease is a lease as it stands in the annotation, of any version.
type rawLease struct {
	V      int    `json:"v"`
	By     string `json:"by"`
	Holder string `json:"holder"`
	Share  string `json:"sharing"`
	IPs    []struct {
		IP    string `json:"ip"`
		Pool  string `json:"pool"`
		State string `json:"state"`
		After string `json:"revokeAfter"`
	} `json:"ips"`
	Conflicts []struct {
		IP  string `json:"ip"`
		MAC string `json:"mac"`
	} `json:"conflicts"`
}

// Encode returns the text of the annotation.
func (l Lease) Encode() string {
	text, err := json.Marshal(l)
	if err != nil {
		return "" // cannot be: the type has only strings, numbers and addresses
	}
	return string(text)
}

// DecodeLease reads the annotation. The addresses are readable in every version; what is no address
// is left out, an address given twice counts once, as bound only if it is so each time.
func DecodeLease(text string) (Lease, error) {
	l, _, err := decode(text)
	return l, err
}

// decode also says what was left out or cannot have been written by a speaker, "" for nothing.
func decode(text string) (l Lease, odd string, err error) {
	if len(text) > maxLease {
		return Lease{}, "", fmt.Errorf("lease of %d bytes: longer than %d", len(text), maxLease)
	}
	var raw rawLease
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return Lease{}, "", oneLine("lease", err)
	}
	switch {
	case raw.V < 1:
		return Lease{}, "", errors.New("lease: it has no version")
	case len(raw.IPs) > maxLeaseIPs:
		return Lease{}, "", fmt.Errorf("lease of %d addresses: more than %d", len(raw.IPs), maxLeaseIPs)
	}
	l = Lease{V: raw.V, By: intern(raw.By), Holder: intern(raw.Holder), Sharing: clip(raw.Share)}
	for _, r := range raw.IPs {
		ip, err := parseAddr(r.IP)
		if err != nil {
			odd = err.Error()
			continue
		}
		if r.State != stateBound && r.State != stateClaimed {
			odd = fmt.Sprintf("%s has the state %q, want %q or %q", ip, clip(r.State), stateClaimed, stateBound)
		}
		if n := len(l.IPs); l.add(Item{IP: ip, Pool: intern(clip(r.Pool)), State: intern(r.State), RevokeAfter: intern(clip(r.After))}) == n {
			odd = fmt.Sprintf("%s is there twice", ip)
		}
	}
	for _, r := range raw.Conflicts[:min(len(raw.Conflicts), maxConflicts)] {
		ip, err := parseAddr(r.IP)
		if err != nil {
			odd = err.Error()
			continue
		}
		l.Conflicts = append(l.Conflicts, Conflict{IP: ip, MAC: intern(clip(r.MAC))})
	}
	return l, odd, nil
}

// intern returns one shared copy of a text that thousands of leases have.
func intern(s string) string { return unique.Make(s).Value() }

// add adds an address and returns how many there are then.
func (l *Lease) add(n Item) int {
	if n.State != stateBound {
		n.State = stateClaimed
	}
	for i := range l.IPs {
		if o := &l.IPs[i]; o.IP == n.IP {
			if n.State != stateBound {
				o.State = stateClaimed
			}
			return len(l.IPs)
		}
	}
	l.IPs = append(l.IPs, n)
	return len(l.IPs)
}
