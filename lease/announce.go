package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Announce is an entry of a pool's key announce: one of the two. In the configuration the words
// layer2 and bgp alone stand for an entry without keys.
type Announce struct {
	Layer2 *OnLayer2 `json:"layer2,omitempty"`
	BGP    *ByBGP    `json:"bgp,omitempty"`
}

// OnLayer2 says where addresses are announced by ARP and NDP.
type OnLayer2 struct {
	// NodeSelectors say which nodes: those whose labels match one of them. Empty: all.
	NodeSelectors []Selector `json:"nodeSelectors,omitempty"`
	// Interfaces say on which interfaces of these nodes, see Pool.Interfaces. Empty: all.
	Interfaces []string `json:"interfaces,omitempty"`
	// ServiceSelectors say for which Services: those whose labels match one of them. Empty: all.
	ServiceSelectors []Selector `json:"serviceSelectors,omitempty"`
	// NodeWeights say which of these nodes announce more than others, see Pool.NodeWeights.
	NodeWeights []NodeWeight `json:"nodeWeights,omitempty"`
}

// ByBGP says to which routers addresses are announced, and how.
type ByBGP struct {
	// Peers name the routers. Empty: all.
	Peers []string `json:"peers,omitempty"`
	// NodeSelectors say which nodes are next hops: those whose labels match one of them. Empty:
	// all.
	NodeSelectors []Selector `json:"nodeSelectors,omitempty"`
	// ServiceSelectors say for which Services: those whose labels match one of them. Empty: all.
	ServiceSelectors []Selector `json:"serviceSelectors,omitempty"`
	// Communities are attached to the paths: "64513:100", "large:64513:1:2", or a well-known name.
	Communities []string `json:"communities,omitempty"`
	// LocalPref goes to routers of our own AS. Default 100.
	LocalPref *int64 `json:"localPref,omitempty"`
	// AggregationLength and AggregationLengthV6 are the lengths of the announced prefixes. Default
	// 32 and 128.
	AggregationLength   *int `json:"aggregationLength,omitempty"`
	AggregationLengthV6 *int `json:"aggregationLengthV6,omitempty"`
}

// The words that stand for an entry without keys, which are its keys too.
const (
	layer2Word = "layer2"
	bgpWord    = "bgp"
	wantEntry  = "layer2 or bgp, alone or with keys below it"
)

// UnmarshalJSON reads a word or an entry. A key without a value is an entry without keys.
func (a *Announce) UnmarshalJSON(text []byte) error {
	var word string
	if json.Unmarshal(text, &word) == nil {
		switch word {
		case layer2Word:
			a.Layer2 = &OnLayer2{}
		case bgpWord:
			a.BGP = &ByBGP{}
		case "": // null
		default:
			return errors.New("want " + wantEntry)
		}
		return nil
	}
	type plain Announce
	var keys map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, &keys), json.Unmarshal(text, (*plain)(a))); err != nil {
		return err
	}
	if _, is := keys[layer2Word]; is && a.Layer2 == nil {
		a.Layer2 = &OnLayer2{}
	}
	if _, is := keys[bgpWord]; is && a.BGP == nil {
		a.BGP = &ByBGP{}
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads, the words where they do.
func (a Announce) MarshalJSON() ([]byte, error) {
	switch {
	case a.Layer2 != nil && reflect.ValueOf(*a.Layer2).IsZero():
		return json.Marshal(layer2Word)
	case a.BGP != nil && reflect.ValueOf(*a.BGP).IsZero():
		return json.Marshal(bgpWord)
	}
	type plain Announce
	return json.Marshal(plain(a))
}

// wrongEntry walks an entry of announce.
func wrongEntry(where place, tree any) []mistake {
	switch tree := tree.(type) {
	case string:
		if tree == layer2Word || tree == bgpWord {
			return nil
		}
	case map[string]any:
		errs := wrongKeys(where, tree, reflect.TypeFor[Announce]())
		_, one := tree[layer2Word]
		_, other := tree[bgpWord]
		if one && other {
			errs = append(errs, mistake{where, fmt.Errorf("%s: layer2 and bgp in one entry; put a - before each", where)})
		}
		return errs
	}
	return wrongType(where, wantEntry, tree)
}

// addAnnounce reads where the pool's addresses are announced.
func (q *pool) addAnnounce(c Pool) []error {
	if c.Announce == nil {
		e, errs := compileLayer2("", OnLayer2{NodeSelectors: c.NodeSelectors, Interfaces: c.Interfaces, NodeWeights: c.NodeWeights})
		q.NodeSelectors, q.NodeWeights, q.Interfaces, q.layer2 = e.NodeSelectors, e.NodeWeights, e.Interfaces, []Layer2Entry{e}
		return errs
	}
	errs := q.besides(c)
	if len(c.Announce) == 0 {
		errs = append(errs, wrongAt(errors.New("announce: empty; want "+wantEntry+", or leave out the key for layer2"), "announce"))
	}
	for i, a := range c.Announce {
		name := fmt.Sprintf("announce[%d]", i)
		var wrong []error
		switch {
		case a.Layer2 != nil:
			var e Layer2Entry
			e, wrong = compileLayer2(name, *a.Layer2)
			q.layer2, q.Announce = append(q.layer2, e), append(q.Announce, e.String())
			wrong = below(wrong, layer2Word)
		case a.BGP != nil:
			var b Announcement
			b, wrong = q.compileBGP(i, *a.BGP)
			q.paths, q.Announce = append(q.paths, b), append(q.Announce, b.String())
			wrong = below(wrong, bgpWord)
		default:
			wrong = []error{wrongAt(fmt.Errorf("%s: empty; want %s", name, wantEntry))}
		}
		errs = append(errs, below(wrong, "announce", i)...)
	}
	return errs
}

// besides refuses the keys of the pool that an entry has too.
func (q *pool) besides(c Pool) (errs []error) {
	for key, given := range map[string]bool{
		"interfaces": len(c.Interfaces) > 0, "nodeSelectors": len(c.NodeSelectors) > 0, "nodeWeights": len(c.NodeWeights) > 0,
	} {
		if given {
			errs = append(errs, wrongAt(fmt.Errorf("%s: beside announce, where it has no meaning; move it into a layer2 entry", key), key))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// below puts the places of mistakes below another one.
func below(errs []error, where ...any) []error {
	for i, err := range errs {
		var m mistake
		errors.As(err, &m)
		errs[i] = mistake{append(slices.Clone(place(where)), m.where...), m.error}
	}
	return errs
}

// compileBGP checks an entry and returns one error for each mistake. Whether its routers exist is
// not known here, see Pools.route.
func (q *pool) compileBGP(index int, c ByBGP) (Announcement, []error) {
	name := fmt.Sprintf("announce[%d]", index)
	a := Announcement{
		name: name, index: index, given: slices.Clone(c.Peers), Routers: slices.Compact(slices.Sorted(slices.Values(c.Peers))),
		LocalPref: defaultLocalPref, Aggregation: [2]uint8{32, 128},
	}
	var errs, wrong []error
	a.nodes, errs = compileSelectors(name+": nodeSelectors", c.NodeSelectors)
	a.services, wrong = compileSelectors(name+": serviceSelectors", c.ServiceSelectors)
	errs = append(renamed(errs, "nodeSelectors"), renamed(wrong, "serviceSelectors")...)
	a.NodeSelectors, a.ServiceSelectors = a.nodes.texts(), a.services.texts()
	for i, text := range c.Communities {
		community, err := readCommunity(text)
		if err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("%s: community %q: %w", name, clip(text), err), "communities", i))
		}
		a.Communities = append(a.Communities, community)
	}
	slices.Sort(a.Communities)
	a.Communities = slices.Compact(a.Communities)
	if c.LocalPref != nil {
		if *c.LocalPref < 0 || *c.LocalPref > maxASN {
			errs = append(errs, wrongAt(fmt.Errorf("%s: localPref %d; want 0 to %d", name, *c.LocalPref, maxASN), "localPref"))
		}
		a.LocalPref = uint32(*c.LocalPref)
	}
	for f, length := range []*int{c.AggregationLength, c.AggregationLengthV6} {
		if length == nil {
			continue
		}
		key := []string{"aggregationLength", "aggregationLengthV6"}[f]
		if err := q.checkAggregation(f, *length); err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("%s: %s %d: %w", name, key, *length, err), key))
		}
		a.Aggregation[f] = uint8(*length)
	}
	a.text = a.words()
	return a, errs
}

// checkAggregation checks that prefixes of a length hold nothing but addresses of the pool's
// ranges: to announce one means to attract what is sent to all of them.
func (q *pool) checkAggregation(f, length int) error {
	if most := []int{32, 128}[f]; length < 1 || length > most {
		return fmt.Errorf("want 1 to %d", most)
	}
	for _, s := range contiguous(q.spans[f]) {
		first, err := s.first.Prefix(length)
		last, err2 := s.last.Prefix(length)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		for _, p := range []struct {
			outside bool
			prefix  fmt.Stringer
		}{{first.Addr().Less(s.first), first}, {s.last.Less(lastOf(last)), last}} {
			if p.outside {
				return fmt.Errorf("%s holds addresses that are not of the pool; want a length that its ranges are made of", p.prefix)
			}
		}
	}
	return nil
}

// contiguous is union, with what follows each other in one.
func contiguous(spans []span) (out []span) {
	for _, s := range union(spans) {
		if n := len(out) - 1; n >= 0 && out[n].last.Next() == s.first {
			out[n].last = s.last
		} else {
			out = append(out, s)
		}
	}
	return out
}
