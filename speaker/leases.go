package speaker

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

const (
	// writeLimit bounds one write to the API server. A write that may have
	// landed unseen does no harm: the next one carries the version of the table.
	writeLimit = 5 * time.Second
	// writers is how many writes are under way at once; the others wait, with
	// their time not yet running.
	writers = 32
)

// result is the end of one write.
type result struct {
	step lease.Step
	err  error
}

// lease asks the protocol which steps are due. None is taken from the local
// snapshot file or by a node that is leaving or not ready.
func (s *Speaker) lease(w *world) {
	if !w.cluster.Synced || w.cluster.Stale || w.draining || len(w.reasons) > 0 {
		return
	}
	v := s.terms(w)
	v.Rank = func(pool string) int { return w.writers.Rank(s.cfg.Node, pool) }
	v.Reserved = w.reserved()
	v.Spread = s.spread.of(w)
	v.Freeze = configsDiffer(w.members) || w.aside()
	s.trials.terms(w, &v)
	steps, wake := s.table.Steps(v)
	s.try(w, v)
	w.wake = earlier(w.wake, wake)
	for _, st := range steps {
		if st.Kind == lease.Tell {
			s.report(st)
			continue
		}
		s.nameAnnouncer(w, st)
		w.steps = append(w.steps, st)
	}
}

// nameAnnouncer completes the event of a new address by who is going to announce it, so that the first
// announcement needs no event of its own.
func (s *Speaker) nameAnnouncer(w *world, st lease.Step) {
	for i := range st.Events {
		e := &st.Events[i]
		if e.Reason != lease.IPAllocated {
			continue
		}
		verdict := w.voters.Elect(s.candidate(w, s.vip(w, e.IP, st.Service)))
		if verdict.Owner == "" {
			e.Message += ", not announced yet: " + w.why(verdict)
			continue
		}
		e.Message += ", announced by node " + verdict.Owner
	}
}

// vip is the address as it will be when the Service has it too.
func (s *Speaker) vip(w *world, ip netip.Addr, k lease.Key) lease.VIP {
	pool, _ := w.pools.Of(ip)
	v := lease.VIP{IP: ip, Pool: pool, Services: []lease.Key{k}}
	if i, ok := w.find(ip); ok {
		v.Services = append(v.Services, w.vips[i].Services...)
	}
	return v
}

// terms are what every question to the table needs.
func (s *Speaker) terms(w *world) lease.View {
	return lease.View{
		Now: w.now, Installation: s.cfg.Installation, Class: s.cfg.Class, Pools: w.pools, Self: s.cfg.Node,
		NamespaceLabels: func(name string) lease.Labels { return w.cluster.Namespaces[name] },
		NamespaceEdits:  w.cluster.NamespaceEdits,
	}
}

// configsDiffer tells whether live members have different pools, as they do for
// a moment whenever the configuration changes.
func configsDiffer(members []mesh.Member) bool {
	var first *mesh.Member
	for i := range members {
		switch m := &members[i]; {
		case m.State != mesh.Alive:
		case first == nil:
			first = m
		case m.Meta.Config != first.Meta.Config:
			return true
		}
	}
	return false
}

// aside tells whether the wire alone reaches a member, and not just since it died. Which pools that one
// has is not known then; with others it would undo each claim that this node makes beside a bound address.
func (w *world) aside() bool {
	return slices.ContainsFunc(w.members, func(m mesh.Member) bool { return m.State == onWire && w.now.Sub(m.Since) >= doubt })
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
		Key:         watcherKey(st.Service),
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
		s.table.Done(r.step, time.Now(), r.err)
		switch {
		case r.err == nil:
			s.report(r.step)
		case !watcher.Expected(r.err):
			s.log.Warn().Err(r.err).Str("service", r.step.Service.String()).Str("step", r.step.Kind).Msg("lease step failed, decided again")
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
		s.cfg.API.Event(watcher.Event{Key: watcherKey(st.Service), UID: st.UID, Warning: e.Warning, Reason: e.Reason, Message: withRoom(e.Message)})
		s.log.Info().Str("service", st.Service.String()).Str("reason", e.Reason).Msg(e.Message)
	}
}

func watcherKey(k lease.Key) watcher.Key { return watcher.Key(k) }

// event sends an event on each of the Services.
func (s *Speaker) event(keys []lease.Key, warning bool, reason, message string) {
	for _, k := range keys {
		if svc, ok := s.table.Get(k); ok {
			s.cfg.API.Event(watcher.Event{Key: watcherKey(k), UID: svc.UID, Warning: warning, Reason: reason, Message: message})
		}
	}
}
