package status

import (
	"bytes"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

// page answers with the scene as one document, complete without any script.
func (h handlers) page(w http.ResponseWriter, r *http.Request) {
	x := h.scenes.now(r.Context())
	query := h.query(r)
	var buf bytes.Buffer
	if err := x.Render(&buf, query, h.explain(query)); err != nil {
		h.broken(w, err)
		return
	}
	answer(w, http.StatusOK, "text/html; charset=utf-8", buf.Bytes())
}

// query is what a browser wants to see, and whether it came by this node's own address.
func (h handlers) query(r *http.Request) page.Query {
	q := page.ParseQuery(r.URL.Query())
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return q // a name, such as localhost, or that of a proxy
	}
	s := h.cfg.Snapshot()
	q.Near = slices.ContainsFunc(s.Members, func(m api.Member) bool {
		own, err := netip.ParseAddrPort(m.Addr)
		return err == nil && m.Name == s.Node && own.Addr() == ip
	})
	return q
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
