package metallb

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/starling-lb/starling/lease"
)

// node is a value of a document and where it is. What is wrong with it goes to the report. One that
// is absent, or null, reads as the zero value of whatever is asked for.
type node struct {
	r     *report
	where string // document, kind and name
	path  string // field, "" for the whole object
	value any
}

func (n node) at(path string, value any) node {
	return node{r: n.r, where: n.where, path: path, value: value}
}

func (n node) child(key string) string {
	if n.path == "" {
		return key
	}
	return n.path + "." + key
}

// place says where the node is, for people.
func (n node) place() string {
	if n.path == "" {
		return n.where
	}
	return n.where + ", " + n.path
}

func (n node) fail(format string, args ...any) {
	n.r.fail(n.place(), fmt.Sprintf(format, args...))
}

func (n node) remark(format string, args ...any) {
	n.r.remark(n.place(), fmt.Sprintf(format, args...))
}

// wrong tells that the node is of another type than it should be.
func (n node) wrong(want string) {
	is := "a mapping"
	switch n.value.(type) {
	case string:
		is = "a text"
	case float64:
		is = "a number"
	case bool:
		is = "true or false"
	case []any:
		is = "a list"
	}
	n.fail("is %s, want %s", is, want)
}

// fields are the entries of a mapping.
type fields struct {
	node
	entries map[string]any
}

// fields reads a mapping.
func (n node) fields() fields {
	m, ok := n.value.(map[string]any)
	if !ok && n.value != nil {
		n.wrong("a mapping")
	}
	return fields{node: n, entries: m}
}

// get returns one entry.
func (f fields) get(key string) node { return f.at(f.child(key), f.entries[key]) }

// others remarks on every entry that is none of the known ones and says something.
func (f fields) others(known ...string) {
	for _, key := range slices.Sorted(maps.Keys(f.entries)) {
		if !slices.Contains(known, key) && !empty(f.entries[key]) {
			f.remark("field %q is not known here and was left out", printable(key))
		}
	}
}

// empty reports whether a value says nothing.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func (n node) items() []node {
	list, ok := n.value.([]any)
	if !ok && n.value != nil {
		n.wrong("a list")
	}
	items := make([]node, 0, len(list))
	for i, v := range list {
		items = append(items, n.at(fmt.Sprintf("%s[%d]", n.path, i), v))
	}
	return items
}

func (n node) text() string {
	s, ok := n.value.(string)
	if !ok && n.value != nil {
		n.wrong("a text")
	}
	return s
}

func (n node) texts() []string {
	var all []string
	for _, item := range n.items() {
		if item.value == nil {
			item.fail("is empty, want a text")
			continue
		}
		all = append(all, item.text())
	}
	return all
}

// flag returns nil when there is none.
func (n node) flag() *bool {
	b, ok := n.value.(bool)
	if n.value == nil {
		return nil
	}
	if !ok {
		n.wrong("true or false")
	}
	return &b
}

// count reads a whole number that is not negative.
func (n node) count() int {
	f, ok := n.value.(float64)
	switch {
	case n.value == nil:
	case !ok:
		n.wrong("a number")
	case f < 0 || f > 1<<31 || f != float64(int(f)):
		n.fail("is %s, want a whole number from 0", strconv.FormatFloat(f, 'f', -1, 64))
	default:
		return int(f)
	}
	return 0
}

// number reads a whole number of 32 bits.
func (n node) number() int64 {
	f, ok := n.value.(float64)
	switch {
	case n.value == nil:
	case !ok:
		n.wrong("a number")
	case f < 0 || f > math.MaxUint32 || f != math.Trunc(f):
		n.fail("is %s, want a whole number from 0 to %d", strconv.FormatFloat(f, 'f', -1, 64), uint32(math.MaxUint32))
	default:
		return int64(f)
	}
	return 0
}

// duration reads a time such as "90s".
func (n node) duration() time.Duration {
	text := n.text()
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		n.fail("%q is no duration, want one such as 90s", printable(text))
		return 0
	}
	return d
}

// labels reads a mapping of texts.
func (n node) labels() map[string]string {
	f := n.fields()
	if len(f.entries) == 0 {
		return nil
	}
	all := make(map[string]string, len(f.entries))
	for _, key := range slices.Sorted(maps.Keys(f.entries)) {
		all[key] = f.at(f.child(printable(key)), f.entries[key]).text()
	}
	return all
}

// selectors reads a list of label selectors. One that picks everything stays in the list.
func (n node) selectors() []lease.Selector {
	var all []lease.Selector
	for _, item := range n.items() {
		all = append(all, item.selector())
	}
	return all
}

// selector reads a label selector.
func (n node) selector() lease.Selector {
	f := n.fields()
	f.others("matchLabels", "matchExpressions")
	s := lease.Selector{MatchLabels: f.get("matchLabels").labels()}
	for _, e := range f.get("matchExpressions").items() {
		x := e.fields()
		x.others("key", "operator", "values")
		s.MatchExpressions = append(s.MatchExpressions, lease.Requirement{
			Key: x.get("key").text(), Operator: x.get("operator").text(), Values: x.get("values").texts(),
		})
	}
	if _, err := s.Match(nil); err != nil {
		n.fail("%s", printable(err.Error()))
	}
	return s
}
