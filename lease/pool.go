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

	namespaces                        map[string]struct{}
	inNamespaces, ofServices, onNodes selectors
	weights                           []weighed
	revoke                            time.Duration // after which an address is given up that its Service may not have, or never
}

// compile checks a pool and returns one error for each mistake.
func compile(c Pool) (*pool, []error) {
	q := &pool{namespaces: make(map[string]struct{}, len(c.Namespaces)), PoolInfo: PoolInfo{
		Name: c.Name, Ranges: slices.Clone(c.Ranges), Exclude: slices.Clone(c.Exclude),
		AutoAssign: c.AutoAssign == nil || *c.AutoAssign, AvoidBuggyIPs: c.AvoidBuggyIPs,
		Namespaces: slices.Clone(c.Namespaces), Interfaces: slices.Clone(c.Interfaces),
		ShareAcrossNamespaces: c.ShareAcrossNamespaces,
	}}
	errs := q.addRanges(c.Ranges)
	errs = slices.Concat(errs, q.addExclude(c.Exclude, len(errs) == 0), q.addScope(c), q.addWeights(c.NodeWeights), q.addKeep(c))
	if c.Priority != nil {
		priority := *c.Priority
		q.Priority = &priority
		if priority < 0 {
			errs = append(errs, wrongAt(fmt.Errorf("priority %d: negative; the smallest one, 0, comes first", priority), "priority"))
		}
	}
	if len(errs) == 0 {
		errs = q.cut()
	}
	return q, errs
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

// addExclude reads what is excluded. Each part must touch a range, if all of these are known: else it is likely a mistake.
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

// addScope reads which Services the pool is for and where its addresses are announced.
func (q *pool) addScope(c Pool) []error {
	var errs []error
	for i, name := range c.Namespaces {
		q.namespaces[name] = struct{}{}
		if err := checkDNSLabel(name); err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("namespace %q: %w", clip(name), err), "namespaces", i))
		}
	}
	for i, pattern := range c.Interfaces {
		if err := checkPattern(pattern); err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("interface %q: %w", clip(pattern), err), "interfaces", i))
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
		{"nodeSelectors", c.NodeSelectors, &q.onNodes, &q.NodeSelectors},
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
	if q.ShareAcrossNamespaces {
		fmt.Fprint(w, " shareAcrossNamespaces")
	}
	switch q.Keep {
	case KeepAlways:
		fmt.Fprint(w, " keep")
	case KeepNever:
		fmt.Fprintf(w, " revokeAfter %s", q.revoke)
	}
	fmt.Fprintln(w)
}
