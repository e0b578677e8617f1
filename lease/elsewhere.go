package lease

// Elsewhere is what leases of other installations hold of our pools. Such leases are respected for ever,
// so whoever may write a Service can take addresses away with them: users have to see it.
type Elsewhere struct {
	Addresses int    // of pools, each once for every Service
	Services  int    // that hold them
	First     Key    // the oldest of the Services
	By        string // the installation that its lease names
}

// elsewhere keeps the Services whose lease is not ours, and the sum.
type elsewhere struct {
	entries map[*entry]struct{}
	pools   *Pools // that the sum is about; nil: to be made again
	sum     Elsewhere
}

// link and unlink follow the index of holds.
func (s *elsewhere) link(e *entry, installation string) {
	if installation == "" || len(e.holds) == 0 || !e.foreign(installation) {
		return
	}
	if s.entries == nil {
		s.entries = make(map[*entry]struct{})
	}
	s.entries[e], s.pools = struct{}{}, nil
}

func (s *elsewhere) unlink(e *entry) {
	if _, ok := s.entries[e]; ok {
		delete(s.entries, e)
		s.pools = nil
	}
}

// Elsewhere tells what leases of other installations hold of the pools of the last View. It costs nothing
// while nothing of it changes.
func (t *Table) Elsewhere() Elsewhere {
	s := &t.elsewhere
	if s.pools == t.seen.pools {
		return s.sum
	}
	s.pools, s.sum = t.seen.pools, Elsewhere{}
	var first *entry
	for e := range s.entries {
		held := 0
		for _, h := range e.holds {
			held += btoi(t.poolName(h.ip) != "")
		}
		if held == 0 {
			continue
		}
		s.sum.Addresses += held
		s.sum.Services++
		if first == nil || older(e, first) < 0 {
			first = e
		}
	}
	if first != nil {
		s.sum.First, s.sum.By = first.s.Key(), clip(first.by)
	}
	return s.sum
}
