package status

import (
	"bytes"
	"net/http"
	"net/netip"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

// page answers with the scene as one document, complete without any script.
func (h handlers) page(w http.ResponseWriter, r *http.Request) {
	x := h.scenes.now(r.Context())
	query := page.ParseQuery(r.URL.Query())
	var buf bytes.Buffer
	if err := x.Render(&buf, query, h.explain(query)); err != nil {
		h.broken(w, err)
		return
	}
	answer(w, http.StatusOK, "text/html; charset=utf-8", buf.Bytes())
}

// explain says why the address that the query asks for is where it is.
func (h handlers) explain(q page.Query) *api.Who {
	ip, err := netip.ParseAddr(q.Address)
	if err != nil {
		return nil
	}
	who := h.cfg.Who(ip)
	return &who
}

// icon answers with the picture for a tab of the browser.
func (h handlers) icon(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, "image/svg+xml", page.Icon(r.URL.Query().Get("level")))
}
