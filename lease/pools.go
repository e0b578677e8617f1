package lease

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

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
	// Allocate false makes a pool of addresses that another allocator hands out: they are announced
	// where a Service shows them, and no lease is written. Default true.
	Allocate *bool `json:"allocate,omitempty"`
	// ExternalIPs, with Allocate false, has addresses announced too that a Service lists in
	// spec.externalIPs.
	ExternalIPs bool `json:"externalIPs,omitempty"`
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
	// Announce says where the pool's addresses are announced: each entry on layer 2 or by BGP. Nil:
	// on layer 2, as the following three keys say, which are refused beside it.
	Announce []Announce `json:"announce,omitempty"`
	// NodeSelectors say which nodes may announce the pool's addresses: those whose labels match one
	// of them. Empty: all.
	NodeSelectors []Selector `json:"nodeSelectors,omitempty"`
	// NodeWeights say which of these nodes announce more of them than others: the first entry that
	// matches a node counts. Empty: all alike.
	NodeWeights []NodeWeight `json:"nodeWeights,omitempty"`
	// Interfaces say on which interfaces of a node its addresses are announced: names and patterns
	// as of --interface, "!" before one leaves out. Empty: on all that the node uses.
	Interfaces []string `json:"interfaces,omitempty"`
	// ShareAcrossNamespaces lets Services of different namespaces have one address by the same
	// sharing key. Default: only those of one namespace.
	ShareAcrossNamespaces bool `json:"shareAcrossNamespaces,omitempty"`
	// Endpoints "ignore" has the pool's addresses announced whatever endpoints their Services have.
	// Default: while there are some.
	Endpoints string `json:"endpoints,omitempty"`
	// Reservations keep addresses of the pool for Services, which need not exist yet:
	// "NAMESPACE/NAME" to one address, or to one of each family with a comma between.
	Reservations map[string]string `json:"reservations,omitempty"`
	// KeepFor is how long a Service that is deleted and made again gets the address that it had, if
	// nobody else has it: a duration such as "1h", default 10m.
	KeepFor Duration `json:"keepFor,omitempty"`
	// MaxPerNamespace is how many addresses of the pool the Services of one namespace may have, not
	// counting what they share. 0: as many as there are.
	MaxPerNamespace int `json:"maxPerNamespace,omitempty"`
	// Keep says what becomes of a bound address that its Service may not have any more. Default:
	// KeepUntilReplaced.
	Keep Keep `json:"keep,omitempty"`
	// RevokeAfter is, with KeepNever, how long it keeps the address: a duration such as "1m",
	// default 30s.
	RevokeAfter Duration `json:"revokeAfter,omitempty"`
}

// PoolInfo describes a compiled pool.
type PoolInfo struct {
	Name          string
	Ranges        []string // as configured
	Exclude       []string // as configured
	Size          uint64   // usable addresses, at most the largest uint64
	Given         bool     // by other allocators: allocate is false
	ExternalIPs   bool
	AutoAssign    bool
	AvoidBuggyIPs bool
	Priority      *int // nil: after all that have one
	Namespaces    []string
	Announce      []string // in words, such as "on layer 2 on interfaces eth0"; none: as the following say
	// Selectors as kubectl writes them, such as "a=b,!c".
	NamespaceSelectors, ServiceSelectors, NodeSelectors []string
	NodeWeights                                         []string // in words, such as "3 for a=b"
	Interfaces                                          []string
	ShareAcrossNamespaces                               bool
	Endpoints                                           string            // as configured
	Reservations                                        map[string]string // as configured
	KeepFor                                             string            // as configured
	MaxPerNamespace                                     int               // 0: no limit
	Keep                                                Keep
	RevokeAfter                                         time.Duration // with KeepNever
}

// Pools are compiled pools. They never change, so any number of goroutines may read them.
type Pools struct {
	list   []*pool // in the order of the configuration
	order  []*pool // by priority
	byName map[string]*pool
	spans  []span // of all pools, sorted and apart
	bgp    *BGP
	hash   uint64
}

// NewPools compiles pools. Its error joins one error for each mistake, each of one line.
func NewPools(list []Pool) (*Pools, error) {
	return Compile(Config{Pools: list})
}

// Compile compiles a configuration. Its error joins one error for each mistake, each of one line.
func Compile(c Config) (*Pools, error) {
	p, errs := newPools(c, 0)
	if err := joinErrors(errs); err != nil {
		return nil, err
	}
	return p, nil
}

// newPools returns a mistake for each error. Pools without a name have numbers, in which the first
// ones do not count.
func newPools(config Config, first int) (*Pools, []error) {
	list := config.Pools
	p := &Pools{byName: make(map[string]*pool, len(list))}
	titles := make(map[*pool]string, len(list))
	var errs []error
	for i, c := range list {
		q, wrong := p.add(c)
		titles[q] = fmt.Sprintf("pool %q", c.Name)
		if c.Name == "" || checkName(c.Name) != nil {
			titles[q] = fmt.Sprintf("pool %d", i+1-first)
		}
		for _, err := range wrong {
			var m mistake
			errors.As(err, &m)
			errs = append(errs, mistake{append(place{"pools", i}, m.where...), fmt.Errorf("%s: %w", titles[q], err)})
		}
	}
	errs = append(errs, p.join(titles)...)
	if config.BGP != nil {
		var wrong []error
		p.bgp, wrong = compilePeers(*config.BGP)
		errs = append(errs, below(wrong, "bgp")...)
	}
	errs = append(errs, p.route(titles)...)
	p.order = slices.Clone(p.list)
	slices.SortStableFunc(p.order, func(a, b *pool) int { return cmp.Compare(a.rank(), b.rank()) })
	p.hash = p.sum()
	return p, errs
}

// add compiles one pool and returns what is wrong with it.
func (p *Pools) add(c Pool) (*pool, []error) {
	q, errs := compile(c)
	p.list = append(p.list, q)
	err := checkName(c.Name)
	switch {
	case c.Name == "":
		err = errors.New("it has no name")
	case err == nil && p.byName[c.Name] != nil:
		err = errors.New("the name is used twice; put all its ranges into one pool")
	case err == nil:
		p.byName[c.Name] = q
	}
	if err != nil {
		errs = slices.Insert(errs, 0, wrongAt(err, "name"))
	}
	return q, errs
}

// join sorts the spans of all pools and returns one error for each range that overlaps another one.
func (p *Pools) join(titles map[*pool]string) []error {
	for _, q := range p.list {
		for f := range q.spans {
			p.spans = append(p.spans, q.spans[f]...)
		}
	}
	slices.SortStableFunc(p.spans, compareSpans)
	var errs []error
	said := make(map[string]bool)
	var places map[*pool]map[string]place
	for i := 1; i < len(p.spans); i++ {
		a, b := &p.spans[i-1], &p.spans[i]
		if b.first.Compare(a.last) > 0 {
			continue
		}
		err := fmt.Errorf("%s: range %q: overlaps range %q of %s", titles[b.pool], b.text, a.text, titles[a.pool])
		if !said[err.Error()] { // exclusions make several spans of one range
			if places == nil {
				places = p.places()
			}
			errs = append(errs, mistake{places[b.pool][b.text], err})
		}
		said[err.Error()] = true
		if b.last.Compare(a.last) < 0 {
			*b = *a // the widest one goes on to be compared
		}
	}
	return errs
}

// places says where each range is, by its text. Of one that a pool has twice it is the last.
func (p *Pools) places() map[*pool]map[string]place {
	all := make(map[*pool]map[string]place, len(p.list))
	for i, q := range p.list {
		all[q] = make(map[string]place, len(q.Ranges))
		for j, text := range q.Ranges {
			all[q][text] = place{"pools", i, "ranges", j}
		}
	}
	return all
}

// List describes the pools in the order of the configuration. Callers must not change what it
// refers to.
func (p *Pools) List() []PoolInfo {
	infos := make([]PoolInfo, 0, len(p.list))
	for _, q := range p.list {
		infos = append(infos, q.PoolInfo)
	}
	return infos
}

// Of returns the pool that may hand out the address. It costs the logarithm of the number of
// ranges.
func (p *Pools) Of(ip netip.Addr) (name string, ok bool) {
	if q := p.of(ip); q != nil {
		return q.Name, true
	}
	return "", false
}

func (p *Pools) of(ip netip.Addr) *pool {
	i := at(p.spans, ip)
	if i < 0 || !p.spans[i].contains(ip) {
		return nil
	}
	if q := p.spans[i].pool; !q.avoids(ip) {
		return q
	}
	return nil
}

// missing says in words why no pool may hand out the address.
func (p *Pools) missing(ip netip.Addr) string {
	for _, q := range p.list {
		switch f := family(ip); {
		case covers(q.excluded[f], ip):
			return fmt.Sprintf("excluded from pool %q", q.Name)
		case covers(q.spans[f], ip):
			return fmt.Sprintf("left out of pool %q by avoidBuggyIPs", q.Name)
		}
	}
	return "in no pool"
}

// Shares reports whether Services of different namespaces may come to share an address of a pool.
func (p *Pools) Shares(name string) bool {
	q := p.byName[name]
	return q != nil && q.ShareAcrossNamespaces
}

// Hash is equal for equal configurations: speakers compare it.
func (p *Pools) Hash() uint64 { return p.hash }

func (p *Pools) sum() uint64 {
	h := fnv.New64a()
	for _, q := range p.list {
		q.print(h)
	}
	if p.bgp != nil {
		p.bgp.print(h)
	}
	return h.Sum64()
}

func checkName(name string) error {
	if err := checkWord(name); err != nil {
		return fmt.Errorf("name %q: %w", clip(name), err)
	}
	return nil
}

func compareSpans(a, b span) int {
	return cmp.Or(a.first.Compare(b.first), a.last.Compare(b.last))
}
