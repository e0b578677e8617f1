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

// Convert converts the sources together: they are one configuration. Its error joins one line for
// each mistake; the remarks are there even then.
func Convert(sources ...Source) (Result, error) {
	in := read(sources)
	in.supersede()
	in.unknownPools()
	bgp := in.peering()
	in.announce(bgp != nil)
	renamed := in.rename()
	slices.SortStableFunc(in.pools, func(a, b *pool) int { return btoi(b.pinned) - btoi(a.pinned) })
	result := Result{Config: lease.Config{BGP: bgp}}
	for _, p := range in.pools {
		result.Config.Pools = append(result.Config.Pools, p.Pool)
	}
	have, keep := 0, 0
	if len(in.mistakes) == 0 {
		have, keep = in.compile(result.Config, renamed)
		in.across(result.Config)
	}
	if len(in.spaces) > 1 {
		in.remark("", "its objects are in the namespaces "+printable(strings.Join(sortedKeys(in.spaces), ", "))+": MetalLB reads those of its own only; leave out the others")
	}
	in.reportUnknown()
	result.Remarks = in.remarks
	result.Summary = fmt.Sprintf("Pools: %d", len(in.pools))
	if bgp != nil {
		result.Summary += fmt.Sprintf("; BGP routers: %d", len(bgp.Peers))
	}
	if have > 0 {
		result.Summary += fmt.Sprintf("; Services that keep their addresses: %d of %d", keep, have)
	}
	return result, in.err()
}

// compile checks the pools as a speaker will, and the Services against them.
func (in *input) compile(config lease.Config, renamed map[string]string) (have, keep int) {
	pools, err := lease.Compile(config)
	switch {
	case err != nil:
		for line := range strings.Lines(err.Error()) {
			in.fail("", strings.TrimRight(line, "\n"))
		}
	case len(config.Pools) > 0:
		return in.keeps(pools, renamed)
	case in.objects == 0:
		in.fail("", "nothing to convert: the input holds no object")
	default:
		in.fail("", "nothing to convert: the input holds no pool that is announced")
	}
	return 0, 0
}

// supersede leaves out the old configuration when there are objects, as MetalLB from 0.13 does.
func (in *input) supersede() {
	old := func(p *pool) bool { return p.kind == "ConfigMap" }
	if !slices.ContainsFunc(in.pools, func(p *pool) bool { return !old(p) }) {
		return
	}
	in.peers = slices.DeleteFunc(in.peers, func(p *peer) bool { return p.old })
	in.pools = slices.DeleteFunc(in.pools, func(p *pool) bool {
		if old(p) {
			p.remark("pool %q: MetalLB reads no ConfigMap any more since there are objects; left out", printable(p.asked))
		}
		return old(p)
	})
}

// announce finds out where each pool is announced, and leaves out those that are nowhere.
func (in *input) announce(routers bool) {
	objects := slices.ContainsFunc(in.pools, func(p *pool) bool { return p.proto == "" })
	if objects && len(in.adverts) == 0 {
		in.remark("", "there is no L2Advertisement: every pool is announced by all nodes on all interfaces; if MetalLB has any, convert them together with the pools")
	}
	in.pools = slices.DeleteFunc(in.pools, func(p *pool) bool {
		l2, routes := p.layer2(in.adverts), p.routed(in.adverts)
		var byBGP []lease.Announce
		if routers {
			byBGP = in.entries(routes)
		}
		switch {
		case p.proto == layer2, p.proto == "" && len(in.adverts) == 0: // on all nodes and interfaces
			return false
		case len(l2)+len(byBGP) == 0 && len(routes) > 0:
			p.remark("pool %q is announced by BGP only and was left out, since no router of it is in the input; convert MetalLB's BGPPeers together with the pools", printable(p.asked))
			return true
		case len(l2)+len(byBGP) == 0:
			p.remark("pool %q is announced by no advertisement and was left out; if starling is to announce it, write it into the configuration: %s", printable(p.asked), strings.Join(p.Ranges, ", "))
			return true
		case len(byBGP) == 0 && len(routes) > 0:
			p.remark("pool %q is announced by BGP too, and no router of it is in the input; convert MetalLB's BGPPeers together with the pools", printable(p.asked))
		}
		p.announceBy(p.place(l2), byBGP)
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

// layer2 are the L2Advertisements that select the pool.
func (p *pool) layer2(adverts []*advert) (l2 []*advert) {
	for _, a := range adverts {
		if !a.bgp && p.proto == "" && a.selects(p) {
			l2 = append(l2, a)
		}
	}
	return l2
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
