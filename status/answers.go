package status

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	bytesMost = 16 << 20        // of answers under way to strangers, and as many to all others
	chunk     = 64 << 10        // bytes of an answer
	chunkTime = 5 * time.Second // to take a chunk
)

// bounds are what visitors may have at once.
type bounds struct {
	connections, answers, streams *counter
	bytes                         *budget
	refused                       *prometheus.CounterVec
}

func newBounds(r prometheus.Registerer) *bounds {
	b := &bounds{
		connections: newCounter(limit{16, 128}, limit{16, 4096}, limit{64, 64}),
		answers:     newCounter(limit{8, 32}, limit{8, 64}, limit{16, 16}),
		streams:     newCounter(limit{8, 24}, limit{8, 24}, limit{8, 8}),
		bytes:       &budget{held: map[holding]int{}},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_status_refused_total",
			Help: "What the status server refused because a limit was reached, by reason: connections, answers, streams, bytes (of answers under way).",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"connections", "answers", "streams", "bytes"} {
		b.refused.WithLabelValues(reason)
	}
	if r != nil {
		r.MustRegister(b.refused)
	}
	return b
}

// bounded answers within the limits. Probes have none but those of connections: what they get is
// small, and made once for all.
func (h handlers) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		what, reason := h.bounds.answers, "answers"
		if r.URL.Path == streamPath {
			what, reason = h.bounds.streams, "streams"
		}
		v := h.visitorOf(r)
		leave, ok := what.enter(v)
		if !ok {
			h.refuse(w, reason)
			return
		}
		defer leave()
		next.ServeHTTP(&visit{ResponseWriter: w, h: h, kind: v.kind}, r)
	})
}

func (h handlers) refuse(w http.ResponseWriter, reason string) {
	h.bounds.refused.WithLabelValues(reason).Inc()
	w.Header().Set("Retry-After", "10")
	send(w, http.StatusServiceUnavailable, "text/plain; charset=utf-8", []byte("too many "+reason+" are under way to here; try again later\n"))
}

// visit is the way to a visitor.
type visit struct {
	http.ResponseWriter
	h    handlers
	kind kind
}

// Unwrap is for http.ResponseController.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// answer sends a whole answer, or keeps it back for who wants that.
func answer(w http.ResponseWriter, code int, contentType string, body []byte) {
	switch x := w.(type) {
	case *buffered:
		x.Header().Set("Content-Type", contentType)
		x.code, x.whole = code, body
		return
	case *visit:
		if !x.h.bounds.bytes.hold(x.kind, body) {
			x.h.refuse(w, "bytes")
			return
		}
		defer x.h.bounds.bytes.release(x.kind, body)
	}
	send(w, code, contentType, body)
}

// send writes an answer, as long as the client takes it.
func send(w http.ResponseWriter, code int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	rc, end := http.NewResponseController(w), time.Now().Add(bodyTime)
	for part := range slices.Chunk(body, chunk) {
		until := time.Now().Add(chunkTime)
		if until.After(end) {
			until = end
		}
		_ = rc.SetWriteDeadline(until) // a recorder has none
		if _, err := w.Write(part); err != nil {
			return // the client has gone, or takes nothing, which is its business
		}
	}
}

// budget bounds the bytes of answers under way. One that is shared counts once.
type budget struct {
	mu   sync.Mutex // guards all following fields
	held map[holding]int
	used [2]int // to strangers, and to others
}

// holding is an answer under way, by its first byte.
type holding struct {
	room  int
	first *byte
}

func holdingOf(k kind, body []byte) holding {
	h := holding{first: &body[0]}
	if k != stranger {
		h.room = 1
	}
	return h
}

// hold makes room for an answer, and reports whether there is any. An answer has room if there is
// no other.
func (b *budget) hold(k kind, body []byte) bool {
	if len(body) == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := holdingOf(k, body)
	if b.held[h] == 0 {
		if used := b.used[h.room]; used > 0 && used+len(body) > bytesMost {
			return false
		}
		b.used[h.room] += len(body)
	}
	b.held[h]++
	return true
}

// release gives back what hold took.
func (b *budget) release(k kind, body []byte) {
	if len(body) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := holdingOf(k, body)
	if b.held[h]--; b.held[h] == 0 {
		delete(b.held, h)
		b.used[h.room] -= len(body)
	}
}
