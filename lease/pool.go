package lease

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"
)

// pool is a compiled Pool. Its spans are sorted and apart, by family: 0 is IPv4, 1 is IPv6. What is
// excluded is cut out of them, so that nothing else has to know of it.
type pool struct {
	sizes [2]uint64 // usable addresses of each family, at most the largest uint64
	PoolInfo
	spans    [2][]span
	excluded [2][]span

	namespaces               map[string]struct{}
	inNamespaces, ofServices selectors
	layer2                   []Layer2Entry  // where it is announced by ARP and NDP
	paths                    []Announcement // and by BGP
	kept                     reservations
	keepFor                  time.Duration // for which it is remembered whose an address was
	revoke                   time.Duration // after which an address is given up that its Service may not have, or never
}

// compile checks a pool and returns one error for each mistake.
func compile(c Pool) (*pool, []error) {
	q := &pool{namespaces: make(map[string]struct{}, len(c.Namespaces)), PoolInfo: PoolInfo{
		Name: c.Name, Ranges: slices.Clone(c.Ranges), Exclude: slices.Clone(c.Exclude),
		AutoAssign: c.AutoAssign == nil || *c.AutoAssign, AvoidBuggyIPs: c.AvoidBuggyIPs,
		Namespaces:            slices.Clone(c.Namespaces),
		ShareAcrossNamespaces: c.ShareAcrossNamespaces,
		Endpoints:             c.Endpoints,
	}}
	errs := q.addRanges(c.Ranges)
	errs = append(errs, q.addExclude(c.Exclude, len(errs) == 0)...)
	known := len(errs) == 0 // which addresses it has
	errs = slices.Concat(errs, q.addScope(c), q.addAnnounce(c), q.addKeep(c), q.addGiven(c), checkEndpoints(c.Endpoints), q.addKeepFor(c.KeepFor), q.addLimit(c.MaxPerNamespace))
	if c.Priority != nil {
		priority := *c.Priority
		q.Priority = &priority
		if priority < 0 {
			errs = append(errs, wrongAt(fmt.Errorf("priority %d: negative; the smallest one, 0, comes first", priority), "priority"))
		}
	}
	if !known {
		return q, errs
	}
	if wrong := q.cut(); len(wrong) > 0 {
		return q, append(errs, wrong...)
	}
	return q, append(errs, q.addReservations(c.Reservations)...)
}

func (q *pool) addRanges(texts []string) []error {
	if len(texts) == 0 {
		return []error{wrongAt(errors.New("it has no range"), "ranges")}
	}
	var errs []error
	for i, text := range texts {
		if err := q.addRange(text); err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("range %q: %w", clip(text), err), "ranges", i))
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
	if q.AvoidBuggyIPs && s.size() == s.buggy() {
		return errors.New("no usable address is left without those that end in .0 and .255")
	}
	f := family(s.first)
	q.spans[f] = append(q.spans[f], s)
	return nil
}

// addExclude reads what is excluded. Each part must touch a range, if all of these are known: else
// it is likely a mistake.
func (q *pool) addExclude(texts []string, known bool) []error {
	ranges := [2][]span{union(q.spans[0]), union(q.spans[1])}
	var errs []error
	for i, text := range texts {
		s, err := parseExclusion(text)
		f := family(s.first)
		switch {
		case err != nil:
			errs = append(errs, wrongAt(fmt.Errorf("exclude %q: %w", clip(text), err), "exclude", i))
		case known && !touches(ranges[f], s):
			errs = append(errs, wrongAt(fmt.Errorf("exclude %q: touches no range of the pool; remove it, or correct it", clip(text)), "exclude", i))
		default:
			q.excluded[f] = append(q.excluded[f], s)
		}
	}
	for f := range q.excluded {
		q.excluded[f] = union(q.excluded[f])
	}
	return errs
}

// addScope reads which Services the pool is for.
func (q *pool) addScope(c Pool) []error {
	var errs []error
	for i, name := range c.Namespaces {
		q.namespaces[name] = struct{}{}
		if err := checkDNSLabel(name); err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("namespace %q: %w", clip(name), err), "namespaces", i))
		}
	}
	for _, l := range []struct {
		key   string
		given []Selector
		into  *selectors
		texts *[]string
	}{
		{"namespaceSelectors", c.NamespaceSelectors, &q.inNamespaces, &q.NamespaceSelectors},
		{"serviceSelectors", c.ServiceSelectors, &q.ofServices, &q.ServiceSelectors},
	} {
		compiled, wrong := compileSelectors(l.key, l.given)
		*l.into, *l.texts = compiled, compiled.texts()
		errs = append(errs, wrong...)
	}
	return errs
}

// checkPattern checks a pattern of interfaces as --interface takes it.
func checkPattern(text string) error {
	glob := strings.TrimPrefix(text, "!")
	if glob == "" {
		return errors.New("empty; want a name such as eth0, a pattern such as vlan*, or a ! and either of them")
	}
	if _, err := path.Match(glob, ""); err != nil {
		return errors.New("malformed pattern; a [ needs its ], and a \\ something after it")
	}
	return nil
}

// cut takes what is excluded out of the ranges and counts what is left.
func (q *pool) cut() []error {
	for f := range q.spans {
		slices.SortStableFunc(q.spans[f], compareSpans)
		q.spans[f] = subtract(q.spans[f], q.excluded[f])
		for _, s := range q.spans[f] {
			q.sizes[f] = addSaturating(q.sizes[f], q.usable(s))
		}
		q.Size = addSaturating(q.Size, q.sizes[f])
	}
	if q.Size == 0 {
		return []error{wrongAt(errors.New("exclude leaves it no usable address; remove the pool, or exclude less"), "exclude")}
	}
	return nil
}

// usable counts the addresses of a span that may be handed out.
func (q *pool) usable(s span) uint64 {
	if q.AvoidBuggyIPs {
		return s.size() - s.buggy()
	}
	return s.size()
}

// rank orders pools by priority.
func (q *pool) rank() int {
	if q.Priority == nil {
		return math.MaxInt
	}
	return *q.Priority
}

// avoids reports whether the pool leaves out an address of its ranges.
func (q *pool) avoids(ip netip.Addr) bool { return q.AvoidBuggyIPs && isBuggy(ip) }

// print writes all that decides about the pool, equal for equal pools. What is not set is not
// written, so that releases that do not know it agree.
func (q *pool) print(w io.Writer) {
	fmt.Fprintf(w, "%q %t %t", q.Name, q.AutoAssign, q.AvoidBuggyIPs)
	for _, spans := range q.spans {
		for _, s := range spans {
			fmt.Fprintf(w, " %s-%s", s.first, s.last)
		}
	}
	if q.Priority != nil {
		fmt.Fprintf(w, " priority %d", *q.Priority)
	}
	for _, l := range []struct {
		key    string
		values []string
	}{
		{"namespaces", q.Namespaces},
		{"namespaceSelectors", q.NamespaceSelectors},
		{"serviceSelectors", q.ServiceSelectors},
		{"nodeSelectors", q.NodeSelectors},
		{"interfaces", q.Interfaces},
	} {
		if len(l.values) > 0 {
			fmt.Fprintf(w, " %s %q", l.key, slices.Compact(slices.Sorted(slices.Values(l.values))))
		}
	}
	if len(q.NodeWeights) > 0 {
		fmt.Fprintf(w, " nodeWeights %q", q.NodeWeights) // in their order, which counts
	}
	if len(q.Announce) > 0 {
		fmt.Fprintf(w, " announce %q", q.Announce)
	}
	if q.ShareAcrossNamespaces {
		fmt.Fprint(w, " shareAcrossNamespaces")
	}
	if q.Endpoints != "" {
		fmt.Fprintf(w, " endpoints %s", q.Endpoints)
	}
	if q.Given {
		fmt.Fprint(w, " allocate false")
	}
	if q.KeepFor != "" {
		fmt.Fprintf(w, " keepFor %s", q.KeepFor)
	}
	if q.MaxPerNamespace > 0 {
		fmt.Fprintf(w, " maxPerNamespace %d", q.MaxPerNamespace)
	}
	if q.ExternalIPs {
		fmt.Fprint(w, " externalIPs")
	}
	q.kept.print(w)
	switch q.Keep {
	case KeepAlways:
		fmt.Fprint(w, " keep")
	case KeepNever:
		fmt.Fprintf(w, " revokeAfter %s", q.revoke)
	}
	fmt.Fprintln(w)
}
