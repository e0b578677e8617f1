package watcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/health"
)

// apiHealth remembers what does not work, since when, and when the API server was last heard.
type apiHealth struct {
	host    string
	log     zerolog.Logger
	changed func() // called without the lock held

	mu       sync.Mutex         // guards all following fields
	problems map[string]problem // of the streams and the probe, which are repeated until they work
	refused  map[object]refusal // writes that failed
	contact  time.Time
	cluster  string // identity, "" unknown
	open     int    // open watches of Services: 0 or 1, for a moment 2
}

type problem struct {
	code  health.Code
	text  string
	topic string // what is reported once in the log: the text, or unreachable for whatever cause
	since time.Time
}

// unreachable is the topic of every attempt that got no answer.
const unreachable = "unreachable"

func newAPIHealth(host string, log zerolog.Logger, changed func()) *apiHealth {
	return &apiHealth{host: host, log: log, changed: changed, problems: map[string]problem{}, refused: map[object]refusal{}}
}

// report takes the outcome of an attempt such as "list services", which is repeated until it works:
// an error begins a problem or changes its words, nil ends it. An attempt that was called off, as
// ctx tells, says nothing.
func (h *apiHealth) report(ctx context.Context, what string, err error) {
	if calledOff(ctx, err) {
		return
	}
	if err == nil {
		h.clear(what)
		return
	}
	code, text := h.words(what, err)
	topic := text
	if !answered(err) {
		topic = unreachable // for a cause that may change from attempt to attempt
	}
	h.set(what, code, text, topic)
}

func calledOff(ctx context.Context, err error) bool {
	return err != nil && errors.Is(ctx.Err(), context.Canceled)
}

func (h *apiHealth) set(what string, code health.Code, text, topic string) {
	h.mu.Lock()
	p, known := h.problems[what]
	if !known {
		p.since = time.Now()
	}
	before := h.textsLocked()
	news := !h.hasLocked(func(p problem) bool { return p.topic == topic })
	p.code, p.text, p.topic = code, text, topic
	h.problems[what] = p
	words := !maps.Equal(before, h.textsLocked())
	h.mu.Unlock()
	if news {
		h.log.Warn().Str("reason", text).Msg("API server unavailable")
	}
	if words {
		h.changed()
	}
}

// hasLocked looks for a problem: three streams lose one server together, and that is reported once.
func (h *apiHealth) hasLocked(match func(problem) bool) bool {
	for _, p := range h.problems {
		if match(p) {
			return true
		}
	}
	return false
}

// textsLocked are the lines that list shows.
func (h *apiHealth) textsLocked() map[string]bool {
	texts := map[string]bool{}
	for _, p := range slices.Concat(slices.Collect(maps.Values(h.problems)), h.refusalsLocked()) {
		texts[p.text] = true
	}
	return texts
}

// clear ends the problems of attempts that work, and what writes met while the server did not work
// for them: they may not be made again.
func (h *apiHealth) clear(whats ...string) {
	h.end(func(what string, _ problem) bool { return slices.Contains(whats, what) })
	h.forgive()
}

// doubtful reports whether the server is to be asked: something failed, and perhaps nobody repeats
// it.
func (h *apiHealth) doubtful() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, failed := h.problems[probing]
	return failed || len(h.refused) > 0
}

// end removes the problems that match; match is called with the lock held.
func (h *apiHealth) end(match func(what string, p problem) bool) {
	h.mu.Lock()
	before := h.textsLocked()
	gone := map[string]problem{}
	for what, p := range h.problems {
		if match(what, p) {
			gone[what] = p
		}
	}
	for what := range gone {
		delete(h.problems, what)
	}
	ended := map[string]problem{} // by topic
	for _, p := range gone {
		if !h.hasLocked(func(o problem) bool { return o.topic == p.topic }) {
			ended[p.topic] = p
		}
	}
	words := !maps.Equal(before, h.textsLocked())
	h.mu.Unlock()
	for _, p := range ended {
		h.log.Info().Str("reason", p.text).Stringer("after", since(p.since)).Msg("API server available again")
	}
	if words {
		h.changed()
	}
}

// list returns what does not work, sorted by words. Attempts that fail in the same words are one
// condition.
func (h *apiHealth) list() []health.Condition {
	first := map[string]problem{}
	h.mu.Lock()
	for _, p := range slices.Concat(slices.Collect(maps.Values(h.problems)), h.refusalsLocked()) {
		if o, seen := first[p.text]; !seen || p.since.Before(o.since) {
			first[p.text] = p
		}
	}
	h.mu.Unlock()
	var out []health.Condition
	for _, text := range slices.Sorted(maps.Keys(first)) {
		p := first[text]
		out = append(out, health.New(p.code, health.Node(""), fmt.Sprintf("%s (since %s)", text, since(p.since))).From(p.since))
	}
	return out
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second) }

// watching counts the open watches of Services. Without one nothing counts as contact: a speaker
// that may talk to the API server and yet learns of no Service is out of touch.
func (h *apiHealth) watching(delta int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open += delta
}

// heard notes that something has just come from the API server.
func (h *apiHealth) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open > 0 {
		h.contact = time.Now()
	}
}

// heardAt is used for the age of a snapshot file.
func (h *apiHealth) heardAt(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.After(h.contact) {
		h.contact = t
	}
}

func (h *apiHealth) lastContact() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.contact
}

func (h *apiHealth) clusterID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cluster
}

// isCluster notes the identity of the cluster and reports whether it agrees with what was known.
func (h *apiHealth) isCluster(id string) bool {
	h.mu.Lock()
	known := h.cluster
	if known == "" {
		h.cluster = id
	}
	h.mu.Unlock()
	if known == "" {
		h.changed()
	}
	return known == "" || known == id
}
