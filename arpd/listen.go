package arpd

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/probe"
)

const (
	// claimRate is how many claims a second are looked at when there are more:
	// enough that 10,000 addresses may move at once. The others wait for claimRest.
	claimRate = 20_000
	claimRest = 20 * time.Millisecond
	// forgetEvery is how often conflicts that ended are looked for.
	forgetEvery = time.Minute
)

// listen remembers who claims addresses, and decides about the claims on own ones.
func (r *Responder) listen(ctx context.Context) {
	forget := time.NewTicker(forgetEvery)
	defer forget.Stop()
	var next time.Time
	budget, claims, rested := rate.NewLimiter(claimRate, claimRate), r.claims, (<-chan time.Time)(nil)
	for {
		var look <-chan time.Time
		if !next.IsZero() {
			look = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case c := <-r.answers:
			r.hear(c, time.Now())
		case c := <-claims:
			r.hear(c, time.Now())
			if !budget.Allow() {
				claims, rested = nil, time.After(claimRest) // what does not fit into the queue is counted
			}
		case <-rested:
			claims, rested = r.claims, nil
		case <-look:
			next = r.evaluate(time.Now())
		case <-r.again:
			next = r.evaluate(time.Now())
		case <-forget.C:
			r.forget(time.Now())
		}
	}
}

// hear takes what a frame said.
func (r *Responder) hear(c claim, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.itself(c, now) {
		return
	}
	r.place(c)
	ip, mac := c.ip, claims.MAC(c.mac)
	says := claims.Claim{IP: ip, MAC: mac, By: claims.MAC(c.by)}
	switch c.kind {
	case hostReply:
		r.inbox.put(probe.Reply{Question: probe.Question{IP: ip, MAC: c.mac.String(), Host: true}})
	case greeting:
		r.met(c, now)
		r.others.Step(claims.Greeting{MAC: mac}, now)
	case wanted:
		r.others.Step(claims.Probe{IP: ip, MAC: mac}, now)
	case replied:
		r.others.Step(claims.Reply{Claim: says, Unproven: c.unproven, Caller: !c.unproven && r.inbox.holds(says)}, now)
	case held:
		r.others.Step(claims.Reply{Claim: says, Proven: true, Caller: r.inbox.holds(says)}, now)
	case claimed:
		r.others.Step(says, now)
	}
	r.act(now)
}

// evaluate does what is due about claims, and returns when to look again.
func (r *Responder) evaluate(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.act(now)
	return r.actAt
}

// forget drops conflicts and speakers of which nothing was heard for long.
func (r *Responder) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.others.Step(claims.Forget{}, now)
	r.act(now)
}

// live keeps the heartbeat.
func (r *Responder) live(ctx context.Context) {
	r.heartbeat.beat.Store(int64(time.Since(r.heartbeat.base)))
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if gap := r.heartbeat.tick(time.Now()); gap > 0 {
				r.resume(gap, time.Now())
			}
		}
	}
}

// resume goes on after the process was stopped, see [claims.Stopped].
func (r *Responder) resume(gap time.Duration, now time.Time) {
	r.log.Warn().Dur("length", gap).Msg("process was stopped")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop = Stop{End: now, Length: gap}
	r.others.Step(claims.Stopped{Length: gap}, now)
	r.act(now)
	poke(r.changed)
}
