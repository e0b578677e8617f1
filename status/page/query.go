package page

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// PageSize is how many addresses stand on one page.
const PageSize = 50

const maxWords = 200 // bytes of a filter

// Query is what somebody wants to see of the addresses. The zero value is the first page of all.
type Query struct {
	Words   string // each must occur in the row
	Show    string // "", "wrong" or "moved"
	Sort    string // "", or a key of orders
	Page    int    // from 0
	Address string // to explain, "" for none
	Near    bool   // the browser reaches nodes by their addresses; no part of a link
}

// ParseQuery reads what Encode writes. What makes no sense is as if it were not there, because a
// page that refuses a link helps nobody.
func ParseQuery(v url.Values) Query {
	q := Query{Words: v.Get("q"), Show: v.Get("show"), Sort: v.Get("sort")}
	q.Words = strings.ToValidUTF8(q.Words[:min(len(q.Words), maxWords)], "")
	if q.Show != "wrong" && q.Show != "moved" {
		q.Show = ""
	}
	if orders[q.Sort] == nil {
		q.Sort = ""
	}
	if n, err := strconv.Atoi(v.Get("page")); err == nil && n > 1 {
		q.Page = n - 1
	}
	if ip, err := netip.ParseAddr(v.Get("address")); err == nil && ip.Zone() == "" {
		q.Address = ip.Unmap().String()
	}
	return q
}

// Encode is the query as a relative link.
func (q Query) Encode() string {
	v := url.Values{}
	for name, value := range map[string]string{"q": q.Words, "show": q.Show, "sort": q.Sort, "address": q.Address} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Page > 0 {
		v.Set("page", strconv.Itoa(q.Page+1))
	}
	return "?" + v.Encode() + "#addresses"
}

// orders are how rows may be sorted; rows that are equal stay in the order of their addresses.
var orders = map[string]func(a, b *row) int{
	"service":   func(a, b *row) int { return cmp.Compare(a.first(), b.first()) },
	"announcer": func(a, b *row) int { return cmp.Compare(a.Owner, b.Owner) },
	"since":     func(a, b *row) int { return b.Since.Compare(a.Since) },
}

// find is the rows that match, sorted, without changing rows.
func (q Query) find(rows []row) []*row {
	words := strings.Fields(strings.ToLower(q.Words))
	for i, w := range words {
		if ip, err := netip.ParseAddr(w); err == nil {
			words[i] = ip.Unmap().String() // as addresses are written here
		}
	}
	var r []*row
	for i := range rows {
		if x := &rows[i]; x.in(q.Show) && x.has(words) {
			r = append(r, x)
		}
	}
	if by := orders[q.Sort]; by != nil {
		slices.SortStableFunc(r, by)
	}
	return r
}

// in reports whether the row belongs to a tab.
func (r *row) in(show string) bool {
	switch show {
	case "wrong":
		return r.Level != good
	case "moved":
		return r.Fresh
	}
	return true
}

// has reports whether each word occurs in the row.
func (r *row) has(words []string) bool {
	if len(words) == 0 {
		return true
	}
	hay := strings.ToLower(strings.Join(append([]string{r.IP, r.Pool, r.Owner, r.Next, r.Reason}, r.Services...), "\n"))
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(hay, w) })
}

func (r *row) first() string {
	if len(r.Services) == 0 {
		return ""
	}
	return r.Services[0]
}
