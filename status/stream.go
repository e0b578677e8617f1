package status

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/status/page"
)

const (
	streamPath = "/api/v1/stream"
	streamTick = 500 * time.Millisecond // changes within it come together
	streamBeat = 10 * time.Second       // without a change, to tell that the speaker is alive
	streamTime = 5 * time.Second        // to take what is sent
)

// follow answers with the parts of the page that change, as server-sent events: "parts", with the
// HTML of each part that differs from what this client has, and "alive" when nothing did for a
// while. What a slow client misses it does not get later: it is sent the state, never what led to
// it.
func (h handlers) follow(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not gather what is live
	if r.Method == http.MethodHead {
		return
	}
	if err := h.stream(w, r); err != nil {
		h.log.Debug().Err(err).Str("client", r.RemoteAddr).Msg("stream ended")
	}
}

// stream sends until the client goes, the server stops, or a write takes too long.
func (h handlers) stream(w http.ResponseWriter, r *http.Request) error {
	var (
		out   = sender{w: w, rc: http.NewResponseController(w)}
		query = h.query(r)
		has   = map[string]digest{}
		last  *page.Index
		tick  = time.NewTicker(streamTick)
		sent  time.Time
	)
	defer tick.Stop()
	for {
		x := h.scenes.now(r.Context())
		event := ""
		if x != last {
			parts, err := x.Parts(query, h.explain(query))
			if err != nil {
				return err
			}
			if event, err = changes(has, parts); err != nil {
				return err
			}
			last = x
		}
		if event == "" && time.Since(sent) >= streamBeat {
			event = "event: alive\ndata: {}\n\n"
		}
		if event != "" {
			sent = time.Now()
			if err := out.send(event); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return nil
		case <-h.stop:
			return nil
		}
	}
}

// digest of a part: what a client has is not kept for it.
type digest [sha256.Size]byte

// changes is the event that brings a client from what it has to the parts, "" when it has them; it
// has them afterwards.
func changes(has map[string]digest, parts map[string]string) (string, error) {
	maps.DeleteFunc(parts, func(name, html string) bool { return has[name] == sha256.Sum256([]byte(html)) })
	if len(parts) == 0 {
		return "", nil
	}
	for name, html := range parts {
		has[name] = sha256.Sum256([]byte(html))
	}
	var buf strings.Builder
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // it is HTML, and long enough as it is
	if err := enc.Encode(parts); err != nil {
		return "", fmt.Errorf("encode %q: %w", slices.Sorted(maps.Keys(parts)), err)
	}
	return "event: parts\ndata: " + buf.String() + "\n", nil
}

// sender writes to one client, each time with its own time limit in place of the server's.
type sender struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (s sender) send(event string) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(streamTime)); err != nil {
		return fmt.Errorf("limit the time to write: %w", err)
	}
	if _, err := s.w.Write([]byte(event)); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("flush an event: %w", err)
	}
	return nil
}
