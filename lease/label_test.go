package lease

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSelectorsMatch(t *testing.T) {
	is := func(key, operator string, values ...string) Selector {
		return Selector{MatchExpressions: []Requirement{{Key: key, Operator: operator, Values: values}}}
	}
	for _, tt := range []struct {
		name      string
		selectors []Selector
		labels    Labels
		want      bool
	}{
		{"no selector matches all", nil, nil, true},
		{"an empty selector matches all", []Selector{{}}, Labels{"a": "b"}, true},
		{"a label", []Selector{{MatchLabels: Labels{"a": "b"}}}, Labels{"a": "b", "c": "d"}, true},
		{"another value", []Selector{{MatchLabels: Labels{"a": "b"}}}, Labels{"a": "c"}, false},
		{"no such label is not an empty one", []Selector{{MatchLabels: Labels{"a": ""}}}, Labels{"b": ""}, false},
		{"an empty one is", []Selector{{MatchLabels: Labels{"a": ""}}}, Labels{"a": ""}, true},
		{"all labels", []Selector{{MatchLabels: Labels{"a": "b", "c": "d"}}}, Labels{"a": "b"}, false},
		{"one of the selectors", []Selector{{MatchLabels: Labels{"a": "b"}}, {MatchLabels: Labels{"c": "d"}}}, Labels{"c": "d"}, true},
		{"none of the selectors", []Selector{{MatchLabels: Labels{"a": "b"}}, {MatchLabels: Labels{"c": "d"}}}, Labels{"c": "b"}, false},
		{"In", []Selector{is("a", "In", "x", "y")}, Labels{"a": "y"}, true},
		{"In without the label", []Selector{is("a", "In", "x", "")}, nil, false},
		{"NotIn", []Selector{is("a", "NotIn", "x", "y")}, Labels{"a": "y"}, false},
		{"NotIn with another value", []Selector{is("a", "NotIn", "x", "y")}, Labels{"a": "z"}, true},
		{"NotIn without the label", []Selector{is("a", "NotIn", "x")}, nil, true},
		{"Exists", []Selector{is("a", "Exists")}, Labels{"a": ""}, true},
		{"Exists without the label", []Selector{is("a", "Exists")}, Labels{"b": ""}, false},
		{"DoesNotExist", []Selector{is("a", "DoesNotExist")}, Labels{"b": ""}, true},
		{"DoesNotExist with the label", []Selector{is("a", "DoesNotExist")}, Labels{"a": ""}, false},
		{"labels and expressions together", []Selector{{MatchLabels: Labels{"a": "b"}, MatchExpressions: []Requirement{{Key: "c", Operator: "Exists"}}}}, Labels{"a": "b"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, errs := compileSelectors("k", tt.selectors)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if got := l.match(tt.labels); got != tt.want {
				t.Errorf("%s matches %v: %t, want %t", l, tt.labels, got, tt.want)
			}
		})
	}
}

func TestSelectorsText(t *testing.T) {
	l, errs := compileSelectors("k", []Selector{{}, {
		MatchLabels: Labels{"z": "1", "a.b/c": ""},
		MatchExpressions: []Requirement{
			{Key: "m", Operator: "NotIn", Values: []string{"y", "x", "y"}},
			{Key: "m", Operator: "NotIn", Values: []string{"y"}},
			{Key: "n", Operator: "In", Values: []string{"2", "1"}},
			{Key: "o", Operator: "Exists"},
			{Key: "p", Operator: "DoesNotExist"},
			{Key: "z", Operator: "In", Values: []string{"1"}},
		},
	}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := []string{"", "!p,a.b/c=,m notin (x,y),m!=y,n in (1,2),o,z=1"}
	if diff := cmp.Diff(want, l.texts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long, _ := compileSelectors("k", []Selector{{MatchLabels: Labels{"a": strings.Repeat("x", 60), "b": strings.Repeat("x", 60), "c": strings.Repeat("x", 60)}}})
	if got := long.String(); len(got) > maxSaid+3 {
		t.Errorf("%d bytes in a message: %s", len(got), got)
	}
}

func TestSelectorsRefused(t *testing.T) {
	x63 := strings.Repeat("x", 63)
	for _, tt := range []struct {
		name string
		req  Requirement
		want string
	}{
		{"the longest name and value", Requirement{x63, "In", []string{x63}}, ""},
		{"the longest prefix", Requirement{strings.Repeat("abc.", 63) + "d/x", "Exists", nil}, ""},
		{"an empty value", Requirement{"a", "In", []string{""}}, ""},
		{"no name", Requirement{"", "Exists", nil}, `label "": it has no name`},
		{"no name after the prefix", Requirement{"a.b/", "Exists", nil}, `label "a.b/": it has no name`},
		{"a long name", Requirement{x63 + "x", "Exists", nil}, `label "` + x63 + `x": longer than 63 bytes`},
		{"a bad name", Requirement{"a b", "Exists", nil}, `label "a b": only letters and digits, and '-', '_' and '.' between them`},
		{"two prefixes", Requirement{"a/b/c", "Exists", nil}, `label "a/b/c": only letters and digits, and '-', '_' and '.' between them`},
		{"an empty prefix", Requirement{"/b", "Exists", nil}, `label "/b": what stands before the / must be a DNS name in lower case`},
		{"a bad prefix", Requirement{"A.b/c", "Exists", nil}, `label "A.b/c": what stands before the / must be a DNS name in lower case`},
		{"a long prefix", Requirement{strings.Repeat("abc.", 63) + "de/x", "Exists", nil}, `label "` + strings.Repeat("abc.", 16) + `...": what stands before the / is longer than 253 bytes`},
		{"no operator", Requirement{"a", "", nil}, `label "a": it has no operator; want In, NotIn, Exists or DoesNotExist`},
		{"an operator in lower case", Requirement{"a", "in", []string{"b"}}, `label "a": unknown operator "in"; want In, NotIn, Exists or DoesNotExist`},
		{"In nothing", Requirement{"a", "In", nil}, `label "a": operator In needs values`},
		{"NotIn nothing", Requirement{"a", "NotIn", nil}, `label "a": operator NotIn needs values`},
		{"Exists with values", Requirement{"a", "Exists", []string{"b"}}, `label "a": operator Exists takes no values; use In or NotIn with them`},
		{"DoesNotExist with values", Requirement{"a", "DoesNotExist", []string{""}}, `label "a": operator DoesNotExist takes no values; use In or NotIn with them`},
		{"a long value", Requirement{"a", "In", []string{"b", x63 + "x"}}, `label "a": value "` + x63 + `x": longer than 63 bytes`},
		{"a bad value", Requirement{"a", "NotIn", []string{"-b"}}, `label "a": value "-b": only letters and digits, and '-', '_' and '.' between them`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, text(tt.req.check())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelectorMatch(t *testing.T) {
	s := Selector{MatchLabels: Labels{"a": "b"}}
	for _, tt := range []struct {
		labels Labels
		want   bool
	}{{Labels{"a": "b"}, true}, {Labels{"a": "c"}, false}, {nil, false}} {
		if got, err := s.Match(tt.labels); got != tt.want || err != nil {
			t.Errorf("%v: %t, %v, want %t", tt.labels, got, err, tt.want)
		}
	}
	s.MatchExpressions = []Requirement{{Key: "c", Operator: "Near"}}
	if _, err := s.Match(nil); err == nil || !strings.Contains(err.Error(), `unknown operator "Near"`) {
		t.Errorf("an operator that there is not: %v", err)
	}
}

// TestLabelsOfServices finds labels in the text that the watcher writes of them.
func TestLabelsOfServices(t *testing.T) {
	const text = "a.b/c=d,e=,f=g"
	for _, tt := range []struct {
		name, text, key, value string
		has                    bool
	}{
		{"no labels", "", "a", "", false},
		{"the only one", "a=b", "a", "b", true},
		{"the first", text, "a.b/c", "d", true},
		{"an empty one", text, "e", "", true},
		{"the last", text, "f", "g", true},
		{"the end of a name", text, "c", "", false},
		{"the beginning of a name", text, "a.b", "", false},
		{"a value", text, "g", "", false},
		{"no name", text, "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if value, has := labelOf(tt.text, tt.key); value != tt.value || has != tt.has {
				t.Errorf("%q %t, want %q %t", value, has, tt.value, tt.has)
			}
			list := selectors{{reqs: []Requirement{{Key: tt.key, Operator: opExists}}}}
			if got := list.matchText(tt.text); got != tt.has {
				t.Errorf("Exists %t, want %t", got, tt.has)
			}
		})
	}
}
