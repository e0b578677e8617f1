package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/starling-lb/starling/speaker"
)

// asJSON answers with whatever f gives at the moment.
func asJSON[T any](h handlers, f func() T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { h.json(w, f()) }
}

func (h handlers) json(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		h.broken(w, err)
		return
	}
	answer(w, http.StatusOK, "application/json", append(body, '\n'))
}

// events are lines of a log and whose they are.
type events struct {
	Node   string            `json:"node"`
	Nodes  []string          `json:"nodes"` // whose speakers this one knows, to tell whether all were asked
	Events []json.RawMessage `json:"events"`
}

func (h handlers) events() events {
	s := h.cfg.Snapshot()
	return events{s.Node, s.Nodes(), h.cfg.Events()}
}

// Others is the answer of /api/v1/others: what other speakers find and this one does not.
type Others struct {
	Node     string         `json:"node"`
	Findings []speaker.Told `json:"findings"` // the worst first
}

// others asks the other speakers, as for the page.
func (h handlers) others(w http.ResponseWriter, r *http.Request) {
	x := h.scenes.now(r.Context())
	h.json(w, Others{x.Snapshot.Node, append([]speaker.Told{}, x.Elsewhere()...)})
}

// who answers who announces the address of the parameter ip.
func (h handlers) who(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("ip")
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		plain(w, http.StatusBadRequest, fmt.Sprintf("ip=%.64q is no IP address: ask for one, as /api/v1/who?ip=192.168.1.240", text))
		return
	}
	h.json(w, h.cfg.Who(ip))
}
