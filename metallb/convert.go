package metallb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/starling-lb/starling/lease"
)

// Result is a converted configuration.
type Result struct {
	Config  lease.Config
	Summary string   // one line: what was converted
	Remarks []Remark // in the order of the input, then what concerns the whole
}

// Convert converts the sources together: they are one configuration. Its error joins one line for each
// mistake; the remarks are there even then.
func Convert(sources ...Source) (Result, error) {
	in := read(sources)
	in.supersede()
	in.announce()
	renamed := in.rename()
	slices.SortStableFunc(in.pools, func(a, b *pool) int { return btoi(b.pinned) - btoi(a.pinned) })
	var result Result
	for _, p := range in.pools {
		result.Config.Pools = append(result.Config.Pools, p.Pool)
	}
	have, keep := 0, 0
	if len(in.mistakes) == 0 {
		have, keep = in.compile(result.Config.Pools, renamed)
		in.across(result.Config.Pools)
	}
	if len(in.spaces) > 1 {
		in.remark("", "its objects are in the namespaces "+printable(strings.Join(sortedKeys(in.spaces), ", "))+": MetalLB reads those of its own only; leave out the others")
	}
	in.tellStrange()
	result.Remarks = in.remarks
	result.Summary = fmt.Sprintf("Pools: %d", len(in.pools))
	if have > 0 {
		result.Summary += fmt.Sprintf("; Services that keep their addresses: %d of %d", keep, have)
	}
	return result, in.err()
}

// compile checks the pools as a speaker will, and the Services against them.
func (in *input) compile(list []lease.Pool, renamed map[string]string) (have, keep int) {
	pools, err := lease.NewPools(list)
	switch {
	case err != nil:
		for line := range strings.Lines(err.Error()) {
			in.fail("", strings.TrimRight(line, "\n"))
		}
	case len(list) > 0:
		return in.keeps(pools, renamed)
	case in.objects == 0:
		in.fail("", "nothing to convert: the input holds no object")
	default:
		in.fail("", "nothing to convert: the input holds no pool that is announced on layer 2")
	}
	return 0, 0
}

// supersede leaves out the old configuration when there are objects, as MetalLB from 0.13 does.
func (in *input) supersede() {
	old := func(p *pool) bool { return p.kind == "ConfigMap" }
	if !slices.ContainsFunc(in.pools, func(p *pool) bool { return !old(p) }) {
		return
	}
	in.pools = slices.DeleteFunc(in.pools, func(p *pool) bool {
		if old(p) {
			p.remark("pool %q: MetalLB reads no ConfigMap any more since there are objects; left out", printable(p.asked))
		}
		return old(p)
	})
}

// announce finds out where each pool is announced, and leaves out those that are not on layer 2.
func (in *input) announce() {
	in.unknownPools()
	objects := slices.ContainsFunc(in.pools, func(p *pool) bool { return p.proto == "" })
	if objects && len(in.adverts) == 0 {
		in.remark("", "there is no L2Advertisement: every pool is announced by all nodes on all interfaces; if MetalLB has any, convert them together with the pools")
	}
	in.pools = slices.DeleteFunc(in.pools, func(p *pool) bool {
		l2, byBGP := p.announcers(in.adverts)
		switch {
		case p.proto == bgp, byBGP && len(l2) == 0:
			p.remark("pool %q is announced by BGP only and was left out: %s", printable(p.asked), leave)
			return true
		case p.proto == layer2: // on all nodes and interfaces
			return false
		case len(in.adverts) == 0:
		case len(l2) == 0:
			p.remark("pool %q is announced by no L2Advertisement and was left out; if starling is to announce it, write it into the configuration: %s", printable(p.asked), strings.Join(p.Ranges, ", "))
			return true
		case byBGP:
			p.remark("pool %q is announced by BGP too, which has no counterpart", printable(p.asked))
		}
		p.place(l2)
		return false
	})
}

// unknownPools remarks on names in advertisements that no pool has.
func (in *input) unknownPools() {
	known := map[string]bool{}
	for _, p := range in.pools {
		known[p.asked] = true
	}
	for _, a := range in.adverts {
		for _, name := range a.pools {
			if !known[name] {
				a.remark("names the pool %q, which is not in the input", printable(name))
			}
		}
	}
}

// announcers are the L2Advertisements that select the pool, and whether a BGPAdvertisement does.
func (p *pool) announcers(adverts []*advert) (l2 []*advert, byBGP bool) {
	for _, a := range adverts {
		if !a.selects(p) {
			continue
		}
		if a.bgp {
			byBGP = true
			continue
		}
		l2 = append(l2, a)
	}
	return l2, byBGP
}

func (a *advert) selects(p *pool) bool {
	if len(a.pools)+len(a.selectors) == 0 {
		return true
	}
	return slices.Contains(a.pools, p.asked) || slices.ContainsFunc(a.selectors, func(s lease.Selector) bool {
		ok, err := s.Match(p.labels)
		return ok && err == nil
	})
}

// distinct returns the values without repetitions, in the order of their first appearance.
func distinct[T any](values []T) []T {
	var once []T
	seen := map[string]bool{}
	for _, v := range values {
		if k := key(v); !seen[k] {
			seen[k] = true
			once = append(once, v)
		}
	}
	return once
}

// key is equal for equal values.
func key(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
