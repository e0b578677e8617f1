package arpd

import (
	"context"
	"net/netip"
	"time"
)

const (
	// judgeRest is the least time between two looks at all disputes, so that a
	// flood of claims costs a bounded share of the processor.
	judgeRest = 20 * time.Millisecond
	// claimRate is how many claims a second are looked at when there are more:
	// enough that 10,000 addresses may move at once.
	claimRate = 20_000
	// forgetEvery is how often conflicts that ended are looked for.
	forgetEvery = time.Minute
)

// listen remembers who claims addresses, and judges the claims on own ones.
func (r *Responder) listen(ctx context.Context) {
	forget := time.NewTicker(forgetEvery)
	defer forget.Stop()
	var next time.Time
	budget, claims, rested := allowance{left: claimRate, at: time.Now()}, r.claims, (<-chan time.Time)(nil)
	for {
		var judge <-chan time.Time
		if !next.IsZero() {
			judge = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case c := <-r.answers:
			next = sooner(next, r.hear(c, time.Now()))
		case c := <-claims:
			next = sooner(next, r.hear(c, time.Now()))
			if !budget.take(claimRate, time.Now()) {
				claims, rested = nil, time.After(judgeRest) // what does not fit into the queue is counted
			}
		case <-rested:
			claims, rested = r.claims, nil
		case <-judge:
			next = r.judge(time.Now())
		case <-forget.C:
			r.forget(time.Now())
		}
	}
}

// hear takes one claim and returns when to judge; zero: not because of it.
func (r *Responder) hear(c claim, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, own := r.macs[c.mac]; own {
		return time.Time{} // another interface of this node
	}
	if c.says != 0 {
		r.met(c, now)
		return time.Time{}
	}
	_, peer := r.peers[c.mac]
	if c.probe && (peer || r.known(c.mac) || !r.probes.open(c.ip)) {
		return time.Time{} // who picks for a pool has changed, or it is heard of when it succeeds
	}
	if c.asked && peer && r.patrolling(c) {
		return time.Time{}
	}
	if !c.probe && r.answered(Question{IP: c.ip, MAC: c.mac.String(), Host: c.host}, now) {
		poke(r.changed)
	}
	switch role := r.roles[c.ip]; {
	case c.host || role == 0 || c.probe && role != tried:
		return time.Time{} // it answers for itself, or the address was given up meanwhile
	case role == tried:
		if r.probes.heard(c.ip, c.mac, peer, now) {
			poke(r.changed)
			poke(r.asked)
		}
		return time.Time{}
	}
	if s := r.heard[c.ip]; s.mac != c.mac || r.roles[c.ip].ours() && !s.fresh(now) {
		poke(r.changed)
	}
	if ours := r.roles[c.ip].ours(); ours || r.heard[c.ip].mac != c.mac {
		r.hearsay.note(c.ip)
	}
	r.heard[c.ip] = sighting{c.mac, now}
	if !r.defended(c.ip) {
		return time.Time{}
	}
	if peer {
		r.metrics.conflicts.WithLabelValues(member).Inc()
		return r.quarrels.hear(c.ip, c.mac, now)
	}
	judge, frames := r.disputes.hear(c.ip, c.mac, now)
	r.metrics.conflicts.WithLabelValues(stranger).Add(float64(frames))
	return judge
}

// judge defends what is still ours and returns when to judge again.
func (r *Responder) judge(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.disputes.judge(now)
	against, next := r.quarrels.due(now)
	j.defend, j.next = append(j.defend, against...), sooner(j.next, next)
	r.metrics.conflicts.WithLabelValues(stranger).Add(float64(j.frames))
	for _, ip := range j.defend {
		r.schedule.defend(ip)
	}
	for _, ip := range against { // who gives way will not be heard; who does not, will be again
		delete(r.heard, ip)
		r.hearsay.note(ip)
	}
	for _, ip := range j.fresh {
		r.log.Debug().Stringer("vip", ip).Stringer("mac", r.disputes[ip].mac).Msg("another station claims the address") // the loop tells it at level warn
	}
	if len(j.defend) > 0 {
		poke(r.due)
		poke(r.changed)
	}
	if j.next.IsZero() {
		return j.next
	}
	if least := now.Add(judgeRest); j.next.Before(least) {
		return least
	}
	return j.next
}

// forget drops conflicts of which nothing was heard for long.
func (r *Responder) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	strangers, members := r.disputes.forget(now), r.quarrels.forget(now)
	if strangers || members {
		poke(r.changed)
	}
	r.forgetSpeakers(now)
}

// defended reports whether another's claim on ip is a conflict. The caller holds
// mu.
func (r *Responder) defended(ip netip.Addr) bool { return r.roles[ip].ours() }
