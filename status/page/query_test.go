package page

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
)

func TestParseQuery(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want Query
	}{
		{"nothing", "", Query{}},
		{"everything", "q=web+n1&show=moved&sort=since&page=3&address=198.18.64.1", Query{"web n1", "moved", "since", 2, "198.18.64.1", false}},
		{"the first page", "page=1", Query{}},
		{"no page", "page=0&page=7", Query{}},
		{"before the first page", "page=-3", Query{}},
		{"a page of a book", "page=ix", Query{}},
		{"an unknown choice", "show=all&sort=color", Query{}},
		{"an address in other words", "address=2001:DB8:0::1", Query{Address: "2001:db8::1"}},
		{"an address in the other family", "address=::ffff:198.18.64.1", Query{Address: "198.18.64.1"}},
		{"no address", "address=n1", Query{}},
		{"an address of one link", "address=fe80::1%25eth0", Query{}},
		{"a novel", "q=" + strings.Repeat("ä", maxWords), Query{Words: strings.Repeat("ä", maxWords/2)}},
		{"bytes", "q=%ff%fea", Query{Words: "a"}},
	}
	for _, tt := range tests {
		v, err := url.ParseQuery(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		got := ParseQuery(v)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		link, err := url.Parse(got.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, ParseQuery(link.Query())); diff != "" {
			t.Errorf("%s comes back from its link otherwise (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	scene := Scene{At: noon, Snapshot: api.Snapshot{VIPs: []api.VIP{
		{IP: "198.18.64.1", Services: []string{"shop/Web"}, Pool: "red", Owner: "n2", Next: "n1", Since: noon.Add(-freshFor)},
		{IP: "198.18.64.2", Services: []string{"mail/web"}, Pool: "blue", Owner: "n1", Reason: "highest score", Since: noon.Add(-freshFor + 1)},
		{IP: "2001:db8::1", Services: []string{"a/b", "z/dns"}, Pool: "blue", Reason: "no serving endpoint", Since: noon.Add(-freshFor * 2)},
	}}}
	const a, b, c = "198.18.64.1", "198.18.64.2", "2001:db8::1"
	tests := []struct {
		name string
		q    Query
		want []string
	}{
		{"all", Query{}, []string{a, b, c}},
		{"a Service, in any case", Query{Words: "WEB"}, []string{a, b}},
		{"the second Service", Query{Words: "z/d"}, []string{c}},
		{"two words", Query{Words: " web  blue "}, []string{b}},
		{"announcer or next in line", Query{Words: "n1"}, []string{a, b}},
		{"a reason", Query{Words: "endpoint"}, []string{c}},
		{"an address in other words", Query{Words: "2001:0DB8:0:0::1"}, []string{c}},
		{"nothing", Query{Words: "web dns"}, nil},
		{"not across columns", Query{Words: "bluen1"}, nil},
		{"what is wrong", Query{Show: "wrong"}, []string{c}},
		{"what moved", Query{Show: "moved"}, []string{b}},
		{"by announcer", Query{Sort: "announcer"}, []string{c, b, a}},
		{"by Service", Query{Sort: "service"}, []string{c, b, a}},
		{"the latest first", Query{Sort: "since"}, []string{b, a, c}},
		{"sorted and chosen", Query{Sort: "since", Words: "blue"}, []string{b, c}},
	}
	x := NewIndex(scene)
	for _, tt := range tests {
		var got []string
		for _, r := range tt.q.find(x.rows) {
			got = append(got, r.IP)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	x := NewIndex(many(PageSize*2+1, 3))
	tests := []struct {
		name            string
		q               Query
		first, last     int
		prev, following string
	}{
		{"the first", Query{}, 1, PageSize, "", "?page=2#addresses"},
		{"the middle", Query{Page: 1, Sort: "since"}, PageSize + 1, 2 * PageSize, "?sort=since#addresses", "?page=3&sort=since#addresses"},
		{"the last", Query{Page: 2}, 2*PageSize + 1, 2*PageSize + 1, "?page=2#addresses", ""},
		{"beyond, since addresses have gone", Query{Page: 9}, 2*PageSize + 1, 2*PageSize + 1, "?page=2#addresses", ""},
		{"none", Query{Words: "zzz", Page: 3}, 0, 0, "", ""},
	}
	for _, tt := range tests {
		m := x.model(tt.q, nil)
		if m.First() != tt.first || m.Last() != tt.last {
			t.Errorf("%s: rows %d to %d, want %d to %d", tt.name, m.First(), m.Last(), tt.first, tt.last)
		}
		if m.Prev() != tt.prev || m.Following() != tt.following {
			t.Errorf("%s: links %q and %q, want %q and %q", tt.name, m.Prev(), m.Following(), tt.prev, tt.following)
		}
	}
}
