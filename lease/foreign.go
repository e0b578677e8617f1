package lease

// Foreign is what Services show of our pools whose leases other installations wrote. It is
// respected forever, so users have to see it.
type Foreign struct {
	Addresses int    // of pools, each once for every Service
	Services  int    // that show them
	First     Key    // the oldest of the Services
	By        string // the installation that its lease names
}

// Foreign tells what leases of other installations hold of the pools of the last View. It looks at
// all Services after one of those has changed, and else costs nothing.
func (t *Table) Foreign() Foreign {
	if t.foreign != nil {
		return *t.foreign
	}
	var sum Foreign
	var first *entry
	for _, e := range t.entries {
		if !e.foreign(t.seen.installation) {
			continue
		}
		held := 0
		for _, h := range e.holds {
			held += btoi(!h.void && t.poolName(h.ip) != "")
		}
		if held == 0 {
			continue
		}
		sum.Addresses += held
		sum.Services++
		if first == nil || older(e, first) < 0 {
			first = e
		}
	}
	if first != nil {
		sum.First, sum.By = first.s.Key(), clip(first.by)
	}
	t.foreign = &sum
	return sum
}
