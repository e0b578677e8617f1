package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

// asJSON answers with what f gives, the same for all who ask at the moment.
func asJSON[T any](h handlers, f func() T) http.HandlerFunc {
	text := share(func() encoded { return encode(f()) })
	return func(w http.ResponseWriter, _ *http.Request) { h.encoded(w, text()) }
}

func (h handlers) json(w http.ResponseWriter, v any) { h.encoded(w, encode(v)) }

// encoded is an answer in JSON, or why there is none.
type encoded struct {
	body []byte
	err  error
}

func encode(v any) encoded {
	body, err := json.Marshal(v)
	return encoded{append(body, '\n'), err}
}

func (h handlers) encoded(w http.ResponseWriter, e encoded) {
	if e.err != nil {
		h.broken(w, e.err)
		return
	}
	answer(w, http.StatusOK, "application/json", e.body)
}

func (h handlers) events() api.Events {
	s := h.cfg.Snapshot()
	return api.Events{Node: s.Node, Nodes: s.Nodes(), Events: h.cfg.Events()}
}

// others asks the other speakers, as for the page.
func (h handlers) others(w http.ResponseWriter, r *http.Request) {
	x := h.scenes.now(r.Context())
	all := x.Elsewhere()
	h.json(w, api.Others{Node: x.Snapshot.Node, Findings: api.LegacyReports(all), Places: x.Places(), Conditions: append([]api.Reported{}, all...)})
}

// who answers who announces the address of the parameter ip.
func (h handlers) who(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("ip")
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		plain(w, http.StatusBadRequest, fmt.Sprintf("ip=%.64q is no IP address: ask for one, as /api/v1/who?ip=192.168.1.240", text))
		return
	}
	a := h.cfg.Who(ip)
	if a.VIP != nil && a.VIP.Owner != a.Node {
		located := api.Locate([]api.VIP{*a.VIP}, page.Scene{Views: h.scenes.views.now(r.Context())}.Places())
		a.VIP = &located[0]
	}
	h.json(w, a)
}
