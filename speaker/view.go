package speaker

import (
	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// view is the outcome of one turn, immutable, from which Snapshot makes the
// public form only when somebody asks.
type view struct {
	reasons   []string // why not ready to own addresses
	troubles  []string // what is wrong besides
	members   []mesh.Member
	vips      []lease.VIP
	verdicts  []owner.Verdict
	owned     []ownership
	pools     []lease.Usage
	ranges    map[string][]string // of pools
	conflicts []arpd.Conflict
	mine      int // addresses that this node owns
}

// publish makes the outcome of the turn visible to Snapshot and the metrics.
func (s *Speaker) publish(w *world) {
	v := &view{
		reasons:   w.reasons,
		members:   w.members,
		vips:      w.vips,
		verdicts:  w.verdicts,
		pools:     s.table.Usage(w.pools),
		ranges:    map[string][]string{},
		conflicts: w.wire.Conflicts,
	}
	for _, from := range [][]string{w.cluster.Problems, s.cfg.Mesh.Problems(), w.wire.Problems, s.cfg.Settings.Problems()} {
		v.troubles = append(v.troubles, from...)
	}
	for _, p := range w.pools.List() {
		v.ranges[p.Name] = p.Ranges
	}
	v.owned = make([]ownership, len(w.vips))
	for i, vip := range w.vips {
		v.owned[i] = s.owned[vip.IP]
	}
	v.mine = len(s.mine)
	s.view.Store(v)
}

// ownerless counts the addresses that nobody may announce.
func (v *view) ownerless() int {
	n := 0
	for _, e := range v.verdicts {
		if e.Owner == "" {
			n++
		}
	}
	return n
}

// Snapshot is the view of the last turn. Ready is false also when this node may
// own addresses but something needs a look; the reasons say what.
func (s *Speaker) Snapshot() Snapshot {
	v := s.view.Load()
	r := Snapshot{Node: s.cfg.Node, Version: s.cfg.Version}
	r.Reasons = append(append(r.Reasons, v.reasons...), v.troubles...)
	r.Ready = len(r.Reasons) == 0
	for _, m := range v.members {
		r.Members = append(r.Members, member(m))
	}
	for i, x := range v.vips {
		e := v.verdicts[i]
		vip := VIP{IP: x.IP.String(), Pool: x.Pool, Owner: e.Owner, Next: e.Next, Reason: e.Reason, Since: v.owned[i].since}
		for _, k := range x.Services {
			vip.Services = append(vip.Services, k.String())
		}
		r.VIPs = append(r.VIPs, vip)
	}
	for _, u := range v.pools {
		r.Pools = append(r.Pools, Pool{Name: u.Pool, Ranges: v.ranges[u.Pool], Size: u.Size, Used: u.Used, Waiting: u.Waiting})
	}
	for _, c := range v.conflicts {
		r.Conflicts = append(r.Conflicts, Conflict{IP: c.IP.String(), Kind: c.Kind, MAC: c.MAC, Since: c.Since})
	}
	return r
}

func member(m mesh.Member) Member {
	r := Member{Name: m.Name, Addr: m.Addr.String(), State: string(m.State), Ready: m.Meta.Ready, Draining: m.Meta.Draining}
	for _, p := range m.Meta.Segments {
		r.Segments = append(r.Segments, p.String())
	}
	return r
}
