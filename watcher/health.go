package watcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// health remembers what does not work, since when, and when the API server was last heard.
type health struct {
	host    string
	log     zerolog.Logger
	changed func() // called without the lock held

	mu       sync.Mutex // guards all following fields
	problems map[string]problem
	contact  time.Time
	cluster  string // identity, "" unknown
	open     int    // open watches of Services: 0 or 1, for a moment 2
}

type problem struct {
	text  string
	topic string // what is told once in the log: the text, or unreachable for whatever cause
	since time.Time
}

// unreachable is the topic of every attempt that got no answer.
const unreachable = "unreachable"

func newHealth(host string, log zerolog.Logger, changed func()) *health {
	return &health{host: host, log: log, changed: changed, problems: map[string]problem{}}
}

// report takes the outcome of an attempt such as "list services": an error begins a problem or changes its words, nil
// ends it. An attempt that was called off, as ctx tells, says nothing.
func (h *health) report(ctx context.Context, what string, err error) {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	if err == nil {
		h.clear(what)
		return
	}
	text := h.words(what, err)
	topic := text
	if !answered(err) {
		topic = unreachable // for a cause that may change from attempt to attempt
	}
	h.set(what, text, topic)
}

func (h *health) set(what, text, topic string) {
	h.mu.Lock()
	p, known := h.problems[what]
	if !known {
		p.since = time.Now()
	}
	before := h.textsLocked()
	news := !h.hasLocked(func(p problem) bool { return p.topic == topic })
	p.text, p.topic = text, topic
	h.problems[what] = p
	words := !maps.Equal(before, h.textsLocked())
	h.mu.Unlock()
	if news {
		h.log.Warn().Str("reason", text).Msg("cannot work with the API server")
	}
	if words {
		h.changed()
	}
}

// hasLocked looks for a problem: three streams lose one server together, and that is told once.
func (h *health) hasLocked(match func(problem) bool) bool {
	for _, p := range h.problems {
		if match(p) {
			return true
		}
	}
	return false
}

// textsLocked are the lines that list shows.
func (h *health) textsLocked() map[string]bool {
	texts := map[string]bool{}
	for _, p := range h.problems {
		texts[p.text] = true
	}
	return texts
}

// clear ends the problems of attempts that work. A stream that works after it failed shows that the server is back: what
// occasional attempts met meanwhile is out of date then.
func (h *health) clear(whats ...string) {
	h.end(func(what string, _ problem) bool {
		return slices.Contains(whats, what) || occasional(what) && slices.ContainsFunc(whats, h.failedLocked)
	})
}

// occasional says whether nobody repeats an attempt until it works, so that its problem cannot wait for the next one:
// a write, an event, a probe. Lists and watches are repeated.
func occasional(what string) bool {
	return !strings.HasPrefix(what, "list ") && !strings.HasPrefix(what, "watch ")
}

func (h *health) failedLocked(what string) bool {
	_, failed := h.problems[what]
	return failed && !occasional(what)
}

// end removes the problems that match; match is called with the lock held.
func (h *health) end(match func(what string, p problem) bool) {
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
		h.log.Info().Str("reason", p.text).Stringer("after", since(p.since)).Msg("works again")
	}
	if words {
		h.changed()
	}
}

// list returns the problems in words, sorted. Attempts that fail in the same words make one line.
func (h *health) list() []string {
	h.mu.Lock()
	first := map[string]time.Time{}
	for _, p := range h.problems {
		if t, seen := first[p.text]; !seen || p.since.Before(t) {
			first[p.text] = p.since
		}
	}
	h.mu.Unlock()
	var out []string
	for _, text := range slices.Sorted(maps.Keys(first)) {
		out = append(out, fmt.Sprintf("%s (since %s)", text, since(first[text])))
	}
	return out
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second) }

// watching counts the open watches of Services. Without one nothing counts as contact: a speaker that may talk to the
// API server and yet learns of no Service is out of touch.
func (h *health) watching(delta int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open += delta
}

// heard notes that something has just come from the API server.
func (h *health) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open > 0 {
		h.contact = time.Now()
	}
}

// reached notes that the API server has just answered a request, so that it is not unreachable for occasional attempts
// either. A watch that goes on does not show that.
func (h *health) reached() {
	h.heard()
	h.end(func(what string, p problem) bool { return occasional(what) && p.topic == unreachable })
}

// heardAt is used for the age of a snapshot file.
func (h *health) heardAt(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.After(h.contact) {
		h.contact = t
	}
}

func (h *health) lastContact() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.contact
}

func (h *health) clusterID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cluster
}

// isCluster notes the identity of the cluster and says whether it agrees with what was known.
func (h *health) isCluster(id string) bool {
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

// wrote takes the outcome of a write of services/status. A conflict or a Service that is gone is an answer like any.
func (h *health) wrote(ctx context.Context, err error) {
	if Expected(err) {
		err = nil
	}
	if err == nil {
		h.heard()
	}
	h.report(ctx, "patch services/status", err)
}
