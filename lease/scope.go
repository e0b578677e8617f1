package lease

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// maxSaid bounds what a message tells of selectors and labels.
	maxSaid = 160
	// maxRefusals bounds the pools that a message explains.
	maxRefusals = 3
)

// serves reports whether a pool is for the Service. Known is false while only the labels of its
// namespace could tell, and these are not known: then nothing is picked and nothing given up.
func (d *draft) serves(q *pool) (serves, known bool) {
	if !q.ofServices.matchText(d.e.s.Labels) {
		return false, true
	}
	space := d.e.s.Namespace
	_, named := q.namespaces[space]
	switch {
	case named || len(q.namespaces) == 0 && len(q.inNamespaces) == 0:
		return true, true
	case len(q.inNamespaces) == 0:
		return false, true
	}
	labels := d.t.labelsOf(d.v, space)
	return labels != nil && q.inNamespaces.match(labels), labels != nil
}

// refusal says why a pool is not for the Service, as a part of a sentence that begins with the
// pool's name; "" when it is, or that is not known.
func (d *draft) refusal(q *pool) string {
	serves, known := d.serves(q)
	switch {
	case serves || !known:
		return ""
	case !q.ofServices.matchText(d.e.s.Labels):
		return fmt.Sprintf("is only for Services that match %s, and this one has %s", q.ofServices, labelsSaid(d.e.s.Labels))
	}
	var who []string
	if len(q.namespaces) > 0 {
		who = append(who, "named "+some(q.Namespaces, ", "))
	}
	has := ""
	if len(q.inNamespaces) > 0 {
		who = append(who, "that match "+q.inNamespaces.String())
		has = ", which has " + labelsText(d.t.labelsOf(d.v, d.e.s.Namespace))
	}
	return fmt.Sprintf("is only for namespaces %s, and the Service is in %s%s", strings.Join(who, " or "), d.e.s.Namespace, has)
}

// refusals says why none of some pools is for the Service, "" when that is not known of all.
func (d *draft) refusals(pools []*pool) string {
	var texts []string
	for i, q := range pools {
		if serves, known := d.serves(q); serves || !known {
			return ""
		}
		if i < maxRefusals {
			texts = append(texts, fmt.Sprintf("pool %q %s", q.Name, d.refusal(q)))
		}
	}
	if more := len(pools) - maxRefusals; more > 0 {
		texts = append(texts, fmt.Sprintf("and so on for %d more", more))
	}
	return "no pool serves it: " + strings.Join(texts, "; ")
}

// home is the pool under whose rules a hold stands: the one that contains the address, or the one
// that it came from, if that one keeps what it does not contain any more.
func (d *draft) home(h *hold) *pool {
	if q := d.v.Pools.of(h.ip); q != nil {
		return q
	}
	if q := d.v.Pools.byName[h.pool]; q != nil && q.Keep == KeepAlways && h.bound {
		return q
	}
	return nil
}

// undecided reports whether it is not known yet if the pool of a hold serves the Service: it is
// kept as it is, and not bound.
func (d *draft) undecided(h *hold) bool {
	q := d.home(h)
	if q == nil {
		return false
	}
	_, known := d.serves(q)
	return !known
}

// unfit says why the Service may not have an address that it holds, as a part of a sentence that
// begins with the address; "" when it may.
func (d *draft) unfit(h *hold) string {
	q := d.home(h)
	if q == nil {
		return "is " + d.v.Pools.missing(h.ip)
	}
	if why := d.refusal(q); why != "" {
		return fmt.Sprintf("is of pool %q, which %s", q.Name, why)
	}
	return ""
}

// labelsOf returns the labels of a namespace, and remembers that somebody has asked for them.
func (t *Table) labelsOf(v *View, space string) Labels {
	labels := v.namespaceLabels(space)
	t.spaces[space] = labels
	return labels
}

// relabel marks the Services of namespaces whose labels have changed since a decision asked for
// them.
func (t *Table) relabel(v *View) {
	if v.NamespaceEdits == t.spacesAt {
		return
	}
	t.spacesAt = v.NamespaceEdits
	changed := make(map[string]struct{})
	for space, old := range t.spaces {
		now := v.namespaceLabels(space)
		if (old == nil) != (now == nil) || !maps.Equal(old, now) {
			changed[space] = struct{}{}
			delete(t.spaces, space) // the next decision asks again, if there is any
		}
	}
	if len(changed) == 0 {
		return
	}
	for k, e := range t.entries {
		if _, ok := changed[k.Namespace]; ok {
			t.mark(e)
		}
	}
}

// String says which labels match.
func (l selectors) String() string {
	return some(l[:min(len(l), maxSaid)].texts(), " or ")
}

// some joins texts for messages, as many as there is room for, without a look at the others: there
// may be thousands, and a message for each of thousands of Services.
func some(texts []string, sep string) string {
	var b strings.Builder
	for i, text := range texts {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(text)
		if b.Len() > maxSaid {
			break
		}
	}
	return clipTo(b.String(), maxSaid)
}

// labelsText writes labels for messages.
func labelsText(labels Labels) string {
	var texts []string
	for _, k := range firstKeys(labels) {
		texts = append(texts, k+"="+labels[k])
	}
	return labelsSaid(some(texts, ","))
}

// labelsSaid is labelsText for the labels of a Service.
func labelsSaid(text string) string {
	if text == "" {
		return "no labels"
	}
	return "the labels " + clipTo(text, maxSaid)
}

// firstKeys returns the lowest names of labels, no fewer than a message has room for. A Service may
// have tens of thousands, and sorting all of them for each message would keep the loop from its
// work.
func firstKeys(labels Labels) []string {
	const room = maxSaid/len("k=,") + 1
	keys := make([]string, 0, room+1)
	for k := range labels {
		if len(keys) == room && k > keys[room-1] {
			continue
		}
		i, _ := slices.BinarySearch(keys, k)
		keys = slices.Insert(keys, i, k)
		keys = keys[:min(len(keys), room)]
	}
	return keys
}

// Scope is where the addresses of a pool are announced: on layer 2 as any of the entries says that
// are for the Service and the node, and without such an entry nowhere. Paths are what is announced
// by BGP.
type Scope struct {
	Entries []Layer2Entry
	Paths   []Announcement
}

// Scope returns where the addresses of a pool are announced, and whether there is such a pool.
func (p *Pools) Scope(name string) (Scope, bool) {
	q := p.byName[name]
	if q == nil {
		return Scope{}, false
	}
	return Scope{Entries: q.layer2, Paths: q.paths}, true
}

// Limited reports whether anything but the networks that they are on decides which nodes announce
// on layer 2.
func (s Scope) Limited() bool {
	return !slices.ContainsFunc(s.Entries, Layer2Entry.free) || s.Weighed()
}

// BySelectors reports whether some entries are for some Services only.
func (s Scope) BySelectors() bool {
	return slices.ContainsFunc(s.Entries, func(e Layer2Entry) bool { return len(e.services) > 0 }) ||
		slices.ContainsFunc(s.Paths, func(a Announcement) bool { return len(a.services) > 0 })
}

// For returns which layer 2 entries are for any of the Services, by index, and whether a BGP entry
// is. Services are given by their labels, as [Service] has them.
func (s Scope) For(services []string) (some []int, byBGP bool) {
	for i, e := range s.Entries {
		if slices.ContainsFunc(services, e.service) {
			some = append(some, i)
		}
	}
	return some, len(s.Announcements(services)) > 0
}

// Announcements returns the BGP entries that are for any of the Services.
func (s Scope) Announcements(services []string) []Announcement {
	if !slices.ContainsFunc(s.Paths, func(a Announcement) bool { return len(a.services) > 0 }) {
		return s.Paths
	}
	var some []Announcement
	for _, a := range s.Paths {
		if slices.ContainsFunc(services, a.service) {
			some = append(some, a)
		}
	}
	return some
}

// Same reports whether two scopes say the same.
func (s Scope) Same(o Scope) bool {
	return slices.EqualFunc(s.Entries, o.Entries, Layer2Entry.Same) && slices.EqualFunc(s.Paths, o.Paths, Announcement.same)
}

// Weighed reports whether some nodes are preferred to others.
func (s Scope) Weighed() bool {
	return slices.ContainsFunc(s.Entries, func(e Layer2Entry) bool { return len(e.weights) > 0 })
}

// Weight is the sum of the weights that entries give to a node, 100 at most, and 1 if they give
// none.
func Weight(given ...int) int {
	if len(given) == 0 {
		return defaultWeight
	}
	sum := 0
	for _, w := range given {
		sum += w
	}
	return min(sum, mostWeight)
}
