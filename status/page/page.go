// Package page makes the status page: a scene, which is one speaker's snapshot and what the other
// speakers see, becomes HTML. It does no input or output and reads no clock.
//
// The page must answer three questions in one look: where is the address, why there, and is
// anything wrong. So it begins with one sentence and the list of what needs somebody, each with
// what to do, goes on with a drawing, and then has the tables. See notices.go for what is worth a
// line.
//
// There is one way of rendering, the template. A page is made of parts; without a script they come
// together as one document, with all tables, filters and pages of tables as links and a form. The
// script listens to the same parts as they change, and moves them into the document piece by piece,
// so that the focus, the selection and what was scrolled stay. A script gets ages as
// moments, since otherwise every part would change every second.
//
// However many addresses there are, a page shows PageSize of them; an Index is made once of a scene
// for everybody who watches.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // page, style and script
	"encoding/base64"
	"html/template"
	"io"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// Policy is the content security policy of the page: its own style and script, which stand in the
// page, the speaker itself to hear from, and nothing else of this world.
var Policy = "default-src 'none'; style-src 'sha256-" + digest(style) + "'; script-src 'sha256-" + digest(script) +
	"'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// digest is how a content policy names a style sheet or a script.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Scene is what a page shows.
type Scene struct {
	Snapshot api.Snapshot
	Views    []View    // of the other speakers, sorted by node
	At       time.Time // when the snapshot was taken
}

// View is how another speaker sees the addresses.
type View struct {
	Node    string
	Page    string       // where it shows its view itself, "" if that is not known
	Silent  string       // why it did not tell, "" when it did
	Differs []Difference // sorted by address; none when both see the same

	Conditions []health.Condition // what it knows and others may not
	Places     []api.Place        // where it announces its addresses
}

// Difference is an address that two speakers see at different announcers.
type Difference struct {
	IP           string
	Here, There  string // the announcer, "" for nobody
	Known, Heard bool   // whether this speaker, and the other, know the address at all
}

var templates = template.Must(template.New("page").Parse(document))

// parts are the pieces of a page that change, each a template and an element of the same name.
var parts = []string{"head", "drawing", "changes", "addresses", "members", "pools", "conflicts"}

// Render writes the whole page as a document; who is what there is to say of the query's address,
// if it has one.
func (x *Index) Render(w io.Writer, q Query, who *api.Who) error {
	m := x.model(q, who)
	m.Style, m.Script = template.CSS(style), template.JS(script)
	return templates.ExecuteTemplate(w, "document", m)
}

// Parts are the pieces that change, by name, for a script that counts the ages itself; who is as
// for Render.
func (x *Index) Parts(q Query, who *api.Who) (map[string]string, error) {
	m := x.model(q, who)
	m.live = true
	r := make(map[string]string, len(parts))
	for _, name := range parts {
		var buf bytes.Buffer
		if err := templates.ExecuteTemplate(&buf, name, m); err != nil {
			return nil, err
		}
		r[name] = buf.String()
	}
	return r, nil
}
