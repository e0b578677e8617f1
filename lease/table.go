package lease

import "time"

// Table is the holds index over all Services. It belongs to one goroutine.
type Table struct{ services map[Key]Service }

// NewTable returns an empty table.
func NewTable() *Table { return &Table{services: map[Key]Service{}} }

// Apply advances the table along the ordered stream by one atomic step: what was deleted goes first,
// then put is entered; with reset, put is everything that exists.
func (t *Table) Apply(reset bool, put []Service, deleted []Key, now time.Time) {
	if reset {
		clear(t.services)
	}
	for _, k := range deleted {
		delete(t.services, k)
	}
	for _, s := range put {
		t.services[s.Key()] = s
	}
}

// Steps returns the steps that are due now, in order of the Services' creation, and marks them in
// flight. Wake is when to ask again even if nothing changes, zero for never.
func (t *Table) Steps(v View) (steps []Step, wake time.Time) { return nil, time.Time{} }

// Done tells how the write of a step ended: nil when it was accepted.
func (t *Table) Done(s Step, now time.Time, err error) {}

// VIPs returns the bound addresses of this installation, sorted. Callers must not change it.
func (t *Table) VIPs(v View) []VIP { return nil }

// Usage returns the use of each pool, in the order of the configuration.
func (t *Table) Usage(p *Pools) []Usage { return nil }

// Get returns a Service as the table shows it.
func (t *Table) Get(k Key) (Service, bool) {
	s, ok := t.services[k]
	return s, ok
}

// Len counts the Services.
func (t *Table) Len() int { return len(t.services) }
