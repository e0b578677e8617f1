package claims

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Assignment makes Own the whole set of addresses that are this node's by election, and Watched
// those of other nodes, whose announcers are remembered for [Machine.Heard]. Of these, Heirs are
// the ones that this node answered for until now, with the node that is to have them: they are
// handed over. And Absent are those that it answers for as a deputy, with the node whose they are.
// The lists and the maps must not change afterwards: given again, lists cost nothing. Others cost
// what a comparison takes, if they are sorted, and beside it only the addresses that are not in
// both count.
type Assignment struct {
	Own, Watched []netip.Addr
	Heirs        map[netip.Addr]string
	Absent       map[netip.Addr]string
}

// Probing makes IPs the tentative addresses, which are probed: whether a station has one that
// nobody should. [Machine.Probed] says what is known. Those of Assignment are not probed. The list
// must not change afterwards.
type Probing struct{ IPs []netip.Addr }

// Stopped says that the process did not run for so long. After a short stop everything is announced
// again: if another node has taken addresses over meanwhile, the two hear each other. After a long
// one nothing is answered before the next Assignment.
type Stopped struct{ Length time.Duration }

func (a Assignment) step(m *Machine, now time.Time) {
	if !m.muted && sameList(m.given.Own, a.Own) && sameList(m.given.Watched, a.Watched) && maps.Equal(m.assigned.Heirs, a.Heirs) && maps.Equal(m.assigned.Absent, a.Absent) {
		return
	}
	m.given = a
	was, is := m.assigned, Assignment{normalize(a.Own, m.assigned.Own), normalize(a.Watched, m.assigned.Watched), a.Heirs, a.Absent}
	touched := append(Differing(was.Own, is.Own), Differing(was.Watched, is.Watched)...)
	touched = slices.Concat(touched, changed(was.Heirs, is.Heirs), changed(was.Absent, is.Absent))
	if m.muted {
		touched = slices.AppendSeq(append(touched, is.Own...), maps.Keys(is.Absent))
	}
	m.assigned, m.muted = is, false
	m.update(touched, now)
}

func (t Probing) step(m *Machine, now time.Time) {
	ips := normalize(t.IPs, nil)
	touched := Differing(m.wanted, ips)
	m.wanted = ips
	m.update(touched, now)
}

func (s Stopped) step(m *Machine, now time.Time) {
	switch {
	case s.Length <= m.Timing.Stop:
	case s.Length < m.Timing.Muted:
		m.ready.Restart = true
	default:
		m.muted = true
		m.update(slices.AppendSeq(slices.AppendSeq(slices.Clone(m.assigned.Own), maps.Keys(m.assigned.Heirs)), maps.Keys(m.assigned.Absent)), now)
	}
}

// update carries what was assigned of some addresses to where it takes effect; of all others
// nothing has changed.
func (m *Machine) update(touched []netip.Addr, now time.Time) {
	slices.SortFunc(touched, netip.Addr.Compare)
	for _, ip := range slices.Compact(touched) {
		m.dutyOf(ip).step(m, now)
	}
}

// dutyOf is what an address is from now on: it is tried out only if it is nothing else.
func (m *Machine) dutyOf(ip netip.Addr) duty {
	heir, leaving := m.assigned.Heirs[ip]
	switch theirs := contains(m.assigned.Watched, ip); {
	case !m.muted && contains(m.assigned.Own, ip):
		return duty{IP: ip, Role: Owner}
	case !m.muted && leaving && theirs:
		return duty{IP: ip, Role: HandingOver, Heir: heir}
	case !m.muted && theirs && m.assigned.Absent[ip] != "":
		return duty{IP: ip, Role: Deputy}
	case theirs:
		return duty{IP: ip, Role: Watching}
	case contains(m.wanted, ip):
		return duty{IP: ip, Role: Tentative}
	}
	return duty{IP: ip}
}

// changed are the keys that two maps do not have alike.
func changed(a, b map[netip.Addr]string) (out []netip.Addr) {
	for ip, name := range a {
		if b[ip] != name {
			out = append(out, ip)
		}
	}
	for ip := range b {
		if a[ip] == "" {
			out = append(out, ip)
		}
	}
	return out
}

// sameList reports whether both are one list, without looking into it.
func sameList(a, b []netip.Addr) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// normalize returns the unicast addresses of ips, plain, sorted, each once: the
// same list, if it is like that. Where it is the same as a list that is, it need
// not be looked at.
func normalize(ips, known []netip.Addr) []netip.Addr {
	head, tail := common(ips, known)
	if normal(ips[max(head-1, 0):min(len(ips)-tail+1, len(ips))]) {
		return ips
	}
	out := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		if ip = ip.Unmap().WithZone(""); unicast(ip) {
			out = append(out, ip)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// common is how many addresses at the head and at the tail of two lists are the
// same; none counts for both.
func common(a, b []netip.Addr) (head, tail int) {
	most := min(len(a), len(b))
	for head < most && a[head] == b[head] {
		head++
	}
	for tail < most-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

func normal(ips []netip.Addr) bool {
	for i, ip := range ips {
		if !unicast(ip) || ip.Is4In6() || ip.Zone() != "" || i > 0 && !ips[i-1].Less(ip) {
			return false
		}
	}
	return true
}

func unicast(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLoopback()
}

// Differing are the addresses that are in one of two sorted lists alone, sorted. What is the same
// at both ends is passed at the speed of a comparison.
func Differing(a, b []netip.Addr) []netip.Addr {
	head, tail := common(a, b)
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	var out []netip.Addr
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].Compare(b[0]); {
		case order < 0:
			out, a = append(out, a[0]), a[1:]
		case order > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func contains(sorted []netip.Addr, ip netip.Addr) bool {
	_, in := slices.BinarySearchFunc(sorted, ip, netip.Addr.Compare)
	return in
}
