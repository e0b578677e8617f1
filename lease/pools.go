package lease

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
)

// maxName is the longest name of a pool, as long as that of a DNS label.
const maxName = 63

// Pool is a pool as the configuration tells it: named ranges that addresses come from, which
// Services they are for, and where they are announced.
type Pool struct {
	// Name is 1 to 63 letters, digits, '-', '_' or '.', first and last one a letter or digit.
	Name string `json:"name"`
	// Ranges are "CIDR" or "first-last", of either family, one family each.
	Ranges []string `json:"ranges"`
	// Exclude are addresses that are never handed out: "address", "CIDR" or "first-last". Each must
	// touch a range of the pool.
	Exclude []string `json:"exclude,omitempty"`
	// AutoAssign false keeps the pool for Services that ask for it. Default true.
	AutoAssign *bool `json:"autoAssign,omitempty"`
	// AvoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255.
	AvoidBuggyIPs bool `json:"avoidBuggyIPs,omitempty"`
	// Priority orders the pools that a Service may have: the smallest first, 0 or more. Pools
	// without one come last; equal ones, and those, in the order of the configuration.
	Priority *int `json:"priority,omitempty"`
	// Namespaces and NamespaceSelectors say which namespaces the pool serves: those named here and
	// those whose labels match one of the selectors. Both empty: all.
	Namespaces         []string   `json:"namespaces,omitempty"`
	NamespaceSelectors []Selector `json:"namespaceSelectors,omitempty"`
	// ServiceSelectors say which Services the pool serves: those whose labels match one of them,
	// in the namespaces above. Empty: all.
	ServiceSelectors []Selector `json:"serviceSelectors,omitempty"`
	// NodeSelectors say which nodes may announce the pool's addresses: those whose labels match one
	// of them. Empty: all.
	NodeSelectors []Selector `json:"nodeSelectors,omitempty"`
	// Interfaces say on which interfaces of a node its addresses are announced: names and patterns as
	// of --interface, "!" before one leaves out. Empty: on all that the node uses.
	Interfaces []string `json:"interfaces,omitempty"`
	// Keep leaves Services the bound addresses that came from this pool and that its ranges do not
	// contain any more. Default false: they move to other addresses.
	Keep bool `json:"keep,omitempty"`
}

// PoolInfo describes a compiled pool.
type PoolInfo struct {
	Name          string
	Ranges        []string // as configured
	Size          uint64   // usable addresses, at most the largest uint64
	AutoAssign    bool
	AvoidBuggyIPs bool
}

// pool is a compiled Pool. Its spans are sorted and apart, by family: 0 is IPv4, 1 is IPv6.
type pool struct {
	PoolInfo
	spans [2][]span
}

// Pools are compiled pools. They never change, so any number of goroutines may read them.
type Pools struct {
	list   []*pool
	byName map[string]*pool
	spans  []span // of all pools, sorted and apart
	hash   uint64
}

// NewPools compiles pools. Its error joins one error for each mistake, each of one line.
func NewPools(list []Pool) (*Pools, error) {
	p := &Pools{byName: make(map[string]*pool, len(list))}
	var errs []error
	for i, c := range list {
		errs = append(errs, p.add(i, c)...)
	}
	errs = append(errs, p.join()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.hash = p.sum()
	return p, nil
}

// add compiles one pool and returns what is wrong with it.
func (p *Pools) add(i int, c Pool) []error {
	if err := checkName(c.Name); err != nil {
		return []error{fmt.Errorf("pool %d: %w", i+1, err)}
	}
	if p.byName[c.Name] != nil {
		return []error{fmt.Errorf("pool %q: the name is used twice; put all its ranges into one pool", c.Name)}
	}
	q := &pool{PoolInfo: PoolInfo{
		Name: c.Name, Ranges: slices.Clone(c.Ranges), AvoidBuggyIPs: c.AvoidBuggyIPs,
		AutoAssign: c.AutoAssign == nil || *c.AutoAssign,
	}}
	p.list, p.byName[c.Name] = append(p.list, q), q
	if len(c.Ranges) == 0 {
		return []error{fmt.Errorf("pool %q: it has no range", c.Name)}
	}
	var errs []error
	for _, text := range c.Ranges {
		if err := q.addRange(text); err != nil {
			errs = append(errs, fmt.Errorf("pool %q: range %q: %w", c.Name, clip(text), err))
		}
	}
	return errs
}

func (q *pool) addRange(text string) error {
	s, err := parseRange(text)
	if err != nil {
		return err
	}
	s.pool = q
	size := s.size()
	if q.AvoidBuggyIPs {
		size -= s.buggy()
	}
	if size == 0 {
		return errors.New("no usable address is left without those that end in .0 and .255")
	}
	f := family(s.first)
	q.spans[f] = append(q.spans[f], s)
	q.Size = addSaturating(q.Size, size)
	return nil
}

// join sorts the spans of all pools and returns one error for each that begins inside an earlier one.
func (p *Pools) join() []error {
	for _, q := range p.list {
		for f := range q.spans {
			slices.SortStableFunc(q.spans[f], compareSpans)
			p.spans = append(p.spans, q.spans[f]...)
		}
	}
	slices.SortStableFunc(p.spans, compareSpans)
	var errs []error
	for i := 1; i < len(p.spans); i++ {
		a, b := &p.spans[i-1], &p.spans[i]
		if b.first.Compare(a.last) > 0 {
			continue
		}
		errs = append(errs, fmt.Errorf("pool %q: range %q: overlaps range %q of pool %q", b.pool.Name, b.text, a.text, a.pool.Name))
		if b.last.Compare(a.last) < 0 {
			*b = *a // the widest one goes on to be compared
		}
	}
	return errs
}

// List describes the pools in the order of the configuration.
func (p *Pools) List() []PoolInfo {
	infos := make([]PoolInfo, 0, len(p.list))
	for _, q := range p.list {
		info := q.PoolInfo
		info.Ranges = slices.Clone(info.Ranges)
		infos = append(infos, info)
	}
	return infos
}

// Of returns the pool that may hand out the address. It costs the logarithm of the number of ranges.
func (p *Pools) Of(ip netip.Addr) (name string, ok bool) {
	if q := p.of(ip); q != nil {
		return q.Name, true
	}
	return "", false
}

func (p *Pools) of(ip netip.Addr) *pool {
	i, found := slices.BinarySearchFunc(p.spans, ip, func(s span, ip netip.Addr) int { return s.first.Compare(ip) })
	if !found {
		i--
	}
	if i < 0 || !p.spans[i].contains(ip) {
		return nil
	}
	if q := p.spans[i].pool; !q.avoids(ip) {
		return q
	}
	return nil
}

// avoids reports whether the pool leaves out an address of its ranges.
func (q *pool) avoids(ip netip.Addr) bool { return q.AvoidBuggyIPs && isBuggy(ip) }

// Hash is equal for equal configurations: speakers compare it.
func (p *Pools) Hash() uint64 { return p.hash }

func (p *Pools) sum() uint64 {
	h := fnv.New64a()
	for _, q := range p.list {
		fmt.Fprintf(h, "%q %t %t", q.Name, q.AutoAssign, q.AvoidBuggyIPs)
		for _, spans := range q.spans {
			for _, s := range spans {
				fmt.Fprintf(h, " %s-%s", s.first, s.last)
			}
		}
		fmt.Fprintln(h)
	}
	return h.Sum64()
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("it has no name")
	case len(name) > maxName:
		return fmt.Errorf("name %q: longer than %d bytes", clip(name), maxName)
	}
	for i := range len(name) {
		c := name[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		inner := i > 0 && i < len(name)-1 && (c == '-' || c == '_' || c == '.')
		if !alnum && !inner {
			return fmt.Errorf("name %q: only letters and digits, and '-', '_' and '.' between them", name)
		}
	}
	return nil
}

func compareSpans(a, b span) int {
	return cmp.Or(a.first.Compare(b.first), a.last.Compare(b.last))
}
