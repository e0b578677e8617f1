package status

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // page and style
	"encoding/base64"
	"html/template"
	"net/http"
	"time"

	"github.com/starling-lb/starling/speaker"
	"github.com/starling-lb/starling/status/text"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// contentPolicy allows a page exactly one thing: our own style sheet, which stands in the page.
var contentPolicy = "default-src 'none'; style-src 'sha256-" + digest(pageStyle) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"state": speaker.Member.Condition,
	"free":  text.Free,
}).Parse(pageText))

// page is what the template shows.
type page struct {
	speaker.Snapshot
	Style       template.CSS
	At          time.Time
	NoAddresses string
	NoPools     string
}

// Age and Stamp are a moment for people and for machines.
func (p page) Age(t time.Time) string   { return text.Since(t, p.At) }
func (p page) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Why is why the speaker is not ready.
func (p page) Why() []string { return reasons(p.Snapshot) }

// page answers with the snapshot as tables, complete without any script.
func (h handlers) page(w http.ResponseWriter, _ *http.Request) {
	s := h.cfg.Snapshot()
	var buf bytes.Buffer
	err := pageTemplate.Execute(&buf, page{
		Snapshot:    s,
		Style:       template.CSS(pageStyle),
		At:          time.Now(),
		NoAddresses: text.NoAddresses(s.Pools),
		NoPools:     text.NoPools,
	})
	if err != nil {
		h.broken(w, err)
		return
	}
	answer(w, http.StatusOK, "text/html; charset=utf-8", buf.Bytes())
}

// digest is how a content policy names a style sheet.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
