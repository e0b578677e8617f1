package speaker

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/tentative"
	"github.com/starling-lb/starling/wake"
	"github.com/starling-lb/starling/watcher"
)

const (
	// writeLimit bounds one write to the API server. A write that may have
	// landed unseen does no harm: the next one carries the version of the table.
	writeLimit = 5 * time.Second
	// writers is how many writes are under way at once; the others wait, with
	// their time not yet running.
	writers = 32
	// refusedBurst writes that failed get a line in the log at once, and then one in each
	// refusedEvery. All are counted in starling_watcher_writes_total.
	refusedBurst = 10
	refusedEvery = 10 * time.Second
)

// result is the end of one write.
type result struct {
	step lease.Step
	err  error
}

// lease asks the protocol which steps are due. None is taken from the local
// snapshot file or by a node that is leaving or not ready.
func (s *Speaker) lease(w *world) {
	if !w.Cluster.Synced || w.Cluster.Stale || w.draining || len(w.Lacks) > 0 {
		return
	}
	v := s.terms(w)
	pickers, behind := elect.Pickers(w.Members, w.writers, w.Meta.Config)
	v.Rank = func(pool string) int { return pickers.Rank(s.cfg.Node, pool) }
	v.Behind = behind
	v.Alive = w.alive
	v.Reserved = w.reserved()
	v.Spread = s.spread.Of(w.Candidates, w.Pools, w.scopes)
	v.Freeze = s.frozen(w)
	v.Conflicts = s.evasions(w)
	known := w.known()
	s.tentative.Terms(known, &v)
	steps, again := s.table.Steps(v)
	if ips, some := s.tentative.Wanted(known, func() []netip.Addr { return s.table.NextPicks(v) }); some {
		s.cfg.Wire.Probe(ips)
	}
	w.wake = wake.Earlier(w.wake, again)
	for _, st := range steps {
		if st.Kind == lease.Tell {
			s.report(st)
			continue
		}
		s.nameAnnouncer(w, st)
		w.steps = append(w.steps, st)
	}
}

// known is what package tentative wants to know.
func (w *world) known() tentative.Turn {
	return tentative.Turn{
		Now: w.Now, Self: w.Self, Networks: segments(w.Wire), Members: w.Members, Names: w.Names, Probed: w.Wire.Probed, Answers: w.answers, Pools: w.Pools,
		Bound: func(ip netip.Addr) bool { _, bound := w.Find(ip); return bound },
	}
}

// nameAnnouncer completes the event of a new address with the node that is going to announce it, so
// that the first announcement needs no event of its own.
func (s *Speaker) nameAnnouncer(w *world, st lease.Step) {
	for i := range st.Events {
		e := &st.Events[i]
		if e.Reason != lease.IPAllocated {
			continue
		}
		v := s.vip(w, e.IP, st.Service)
		candidate := s.candidate(w, v)
		candidate.Scope = w.scopes.Place(v, s.labels).Scope()
		result := w.Candidates.Elect(candidate)
		if result.Elsewhere {
			e.Message += ", announced by BGP"
			continue
		}
		if result.Owner == "" {
			_, why := w.Why(v, candidate, result)
			e.Message += ", not announced yet: " + why
			continue
		}
		e.Message += ", announced by node " + result.Owner
	}
}

// vip is the address as it will be when the Service has it too.
func (s *Speaker) vip(w *world, ip netip.Addr, k lease.Key) lease.VIP {
	pool, _ := w.Pools.Of(ip)
	v := lease.VIP{IP: ip, Pool: pool, Services: []lease.Key{k}}
	if i, ok := w.Find(ip); ok {
		v.Services = append(v.Services, w.VIPs[i].Services...)
	}
	return v
}

// terms are what every question to the table needs.
func (s *Speaker) terms(w *world) lease.View {
	return lease.View{
		Now: w.Now, Installation: s.cfg.Installation, Classes: s.cfg.Classes, Pools: w.Pools, Self: s.cfg.Node,
		NamespaceLabels: func(name string) lease.Labels { return w.Cluster.Namespaces[name] },
		NamespaceEdits:  w.Cluster.NamespaceEdits,
	}
}

// frozen reports whether bound addresses stay whatever the pools say: while members have different
// ones, or may have, and where nobody configured any.
func (s *Speaker) frozen(w *world) bool {
	return elect.ConfigsDiffer(w.Members) || w.aside() || !s.cfg.Settings.Known()
}

// alive reports whether a node takes part, as far as this one knows: its speaker is there, or away
// for a while.
func (w *world) alive(node string) bool {
	return slices.ContainsFunc(w.Members, func(m mesh.Member) bool { return m.Name == node && m.Owns() })
}

// aside reports whether the wire alone reaches a member, and not just since it died. Which pools
// that one has is not known then; with others it would undo each claim that this node makes beside
// a bound address.
func (w *world) aside() bool {
	return slices.ContainsFunc(w.Members, func(m mesh.Member) bool { return m.State == mesh.OnWire && w.Now.Sub(m.Since) >= peers.Provisional })
}

// write takes a step beside the loop and hands the result back to it.
func (s *Speaker) write(ctx context.Context, st lease.Step) {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return
	}
	limited, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	err := s.cfg.API.Write(limited, watcher.Write{
		Key:         st.Service,
		UID:         st.UID,
		Version:     st.Version,
		Annotations: st.Annotations,
		Ingress:     st.Ingress,
		SetIngress:  st.SetIngress,
	})
	select {
	case s.results <- result{st, err}:
	case <-ctx.Done():
	}
}

// finish books the result of a write and of all others that have ended.
func (s *Speaker) finish(r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		now := s.cfg.Now()
		s.table.Done(r.step, now, r.err)
		switch {
		case r.err == nil:
			s.report(r.step)
		case !watcher.Expected(r.err) && s.refused.AllowN(now, 1):
			s.log.Warn().Err(r.err).Str("service", r.step.Service.String()).Str("step", r.step.Kind).Msg("cannot write a lease; deciding again")
		}
		select {
		case r = <-s.results:
		default:
			return
		}
	}
}

// report tells users what a step did.
func (s *Speaker) report(st lease.Step) {
	for _, e := range st.Events {
		told := watcher.Event{Warning: e.Warning, Reason: e.Reason, Message: e.Message}
		if e.Code != "" {
			told = warning(health.New(e.Code, health.Service(st.Service.String()), e.Message))
		}
		told.Key, told.UID = st.Service, st.UID
		s.cfg.API.Event(told)
		s.log.Info().Str("service", st.Service.String()).Str("reason", e.Reason).Msg(e.Message)
	}
}

// event sends an event on each of the Services.
func (s *Speaker) event(keys []lease.Key, e watcher.Event) {
	for _, k := range keys {
		if svc, ok := s.table.Get(k); ok {
			e.Key, e.UID = k, svc.UID
			s.cfg.API.Event(e)
		}
	}
}

// warn sends the event of a condition on each of the Services.
func (s *Speaker) warn(keys []lease.Key, c health.Condition) { s.event(keys, warning(c)) }

// warning is the event of a condition: what is the case and what to do about it.
func warning(c health.Condition) watcher.Event {
	return watcher.Event{Warning: c.Severity != health.Information, Reason: c.Code.Rule().Event, Message: c.String(), Code: c.Code}
}
