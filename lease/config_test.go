package lease

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePoolFlag(t *testing.T) {
	for _, tt := range []struct {
		text, err string
		want      Pool
	}{
		{"192.0.2.0/28", "", Pool{Name: "default", Ranges: []string{"192.0.2.0/28"}}},
		{"lab=192.0.2.1-192.0.2.9,2001:db8::/64", "", Pool{Name: "lab", Ranges: []string{"192.0.2.1-192.0.2.9", "2001:db8::/64"}}},
		{"", `pool "": it has no range`, Pool{}},
		{"lab=", `pool "lab=": it has no range`, Pool{}},
		{"=192.0.2.0/28", `pool "=192.0.2.0/28": it has no name`, Pool{}},
		{"a b=192.0.2.0/28", `pool "a b=192.0.2.0/28": name "a b": only letters and digits, and '-', '_' and '.' between them`, Pool{}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			got, err := ParsePoolFlag(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.err, text(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParseConfig(t *testing.T) {
	no, ten := false, 10
	const keys = "; known are allocate, announce, autoAssign, avoidBuggyIPs, endpoints, exclude, externalIPs, interfaces, keep, keepFor, maxPerNamespace, name, namespaceSelectors, namespaces, nodeSelectors, nodeWeights, priority, ranges, reservations, revokeAfter, serviceSelectors, shareAcrossNamespaces"
	for _, tt := range []struct {
		name, text, err string
		want            Config
	}{
		{"empty", "", "", Config{}},
		{"everything", `
pools:
- name: default
  ranges: [192.0.2.0/28, "2001:db8::/64"]
  exclude: [192.0.2.3, 192.0.2.4/31]
  priority: 10
  namespaces: [team-a]
  namespaceSelectors: [{matchLabels: {a: b}}]
  serviceSelectors: [{matchExpressions: [{key: k, operator: In, values: [x, "1"]}]}]
  nodeSelectors: [{}]
  interfaces: [eth0, "!eth1"]
  keep: true
- name: kept
  autoAssign: false
  avoidBuggyIPs: true
  ranges:
  - 192.0.2.16-192.0.2.31
`, "", Config{Pools: []Pool{
			{
				Name: "default", Ranges: []string{"192.0.2.0/28", "2001:db8::/64"}, Exclude: []string{"192.0.2.3", "192.0.2.4/31"}, Priority: &ten,
				Namespaces: []string{"team-a"}, NamespaceSelectors: []Selector{{MatchLabels: Labels{"a": "b"}}},
				ServiceSelectors: []Selector{{MatchExpressions: []Requirement{{Key: "k", Operator: "In", Values: []string{"x", "1"}}}}},
				NodeSelectors:    []Selector{{}}, Interfaces: []string{"eth0", "!eth1"}, Keep: KeepAlways,
			},
			{Name: "kept", AutoAssign: &no, AvoidBuggyIPs: true, Ranges: []string{"192.0.2.16-192.0.2.31"}},
		}}},
		{"keys without values", "pools:\n- name: a\n  autoAssign:\n  ranges:\n  priority:", "", Config{Pools: []Pool{{Name: "a"}}}},
		{"unknown keys, also where only the case differs", `
pool: []
pools:
- name: a
  adresses: []
  autoassign: false
- {nodeSelectors: [{matchLabel: {}}, {matchExpressions: [{op: In}]}]}
`, `configuration: unknown key "pool"; did you mean pools?
			pools[0]: unknown key "adresses"` + keys + `
			pools[0]: unknown key "autoassign"; did you mean autoAssign?
			pools[1].nodeSelectors[0]: unknown key "matchLabel"; did you mean matchLabels?
			pools[1].nodeSelectors[1].matchExpressions[0]: unknown key "op"; known are key, operator, values`, Config{}},
		{"wrong types, all of them at once", `
pools:
- name: 7
  ranges: 192.0.2.0/24
  autoAssign: "no"
  exclude: [192.0.2.1, 2, {a: b}, [c]]
  priority: high
  namespaces: {a: b}
  namespaceSelectors: [a=b, {matchLabels: [a]}, {matchLabels: {a: yes, b: {}}}]
  keep: 1
- priority: 1.5
- priority: 5000000000
- three
`, `pools[0].autoAssign: want true or false, got the text "no"
			pools[0].exclude[1]: want text, got the number 2; put it in quotes
			pools[0].exclude[2]: want text, got keys with values
			pools[0].exclude[3]: want text, got a list
			pools[0].keep: want true, false or untilReplaced, got the number 1
			pools[0].name: want text, got the number 7; put it in quotes
			pools[0].namespaceSelectors[0]: want keys with values, got the text "a=b"
			pools[0].namespaceSelectors[1].matchLabels: want keys with values, got a list
			pools[0].namespaceSelectors[2].matchLabels.a: want text, got true; put it in quotes
			pools[0].namespaceSelectors[2].matchLabels.b: want text, got keys with values
			pools[0].namespaces: want a list, got keys with values
			pools[0].priority: want a whole number, got the text "high"
			pools[0].ranges: want a list, got the text "192.0.2.0/24"
			pools[1].priority: want a whole number, got the number 1.5
			pools[2].priority: want a whole number between -2147483647 and 2147483647, got the number 5000000000
			pools[3]: want keys with values, got the text "three"`, Config{}},
		{"a number in place of the pools", "pools: 3", `pools: want a list, got the number 3`, Config{}},
		{"a list at the top", "[]", `configuration: want keys with values, got a list`, Config{}},
		{"a key twice", "pools: []\npools: []", `configuration: key "pools" is there twice, first in line 1`, Config{}},
		{"no YAML", "\t", `configuration: yaml: found character that cannot start any token`, Config{}},
		{"too long", strings.Repeat("#", maxConfig+1), `configuration of 1048577 bytes: longer than 1048576`, Config{}},
		{"a thousand mistakes", "pools: [" + strings.Repeat("1, ", 1000) + "]", lineEach(maxMistakes, "pools[%d]: want keys with values, got the number 1") + "and 950 more mistakes", Config{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseConfig([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(lines(tt.err), lines(text(err))); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReadPools: all that is wrong is told at once, with its lines.
func TestReadPools(t *testing.T) {
	flag := []Pool{{Name: "flag", Ranges: []string{"198.19.0.0/24"}}}
	bad := []Pool{{Name: "flag", Ranges: []string{"198.19.0.0/99"}}}
	for _, tt := range []struct {
		name    string
		besides []Pool
		text    string
		pools   []string
		err     string // each line without the file's name
	}{
		{"good", flag, "pools:\n- name: lab\n  ranges: [198.18.0.0/24]\n", []string{"flag", "lab"}, ""},
		{"none", flag, "pools: []\n", []string{"flag"}, ""},
		{"no key", nil, "# nothing\n", nil, `f: no key "pools" (an empty list is written as pools: [])`},
		{"another key", nil, "pool: []\n", nil, `f: line 1: configuration: unknown key "pool"; did you mean pools?`},
		{"not a word of YAML", nil, "pools:\n- name: [\n", nil, `f: configuration: yaml: line 2: did not find expected node content`},
		{"form and content", nil, `# two pools
pools:
  - name: one
    range: [198.18.64.0/24]
  - name: two
    ranges:
      - 198.18.65.0/24
      - 198.18.64.300
`, nil, `f: line 4: pools[0]: unknown key "range"; did you mean ranges?
			f: line 8: pool "two": range "198.18.64.300": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20`},
		{"much of both, and flags", bad, `pools:
- name: one
  name: uno
  ranges: [198.18.64.0/24, 7]
  priority: high
  exclude: [198.18.64.300]
- ranges: [198.18.65.0/24, 198.18.66.0/24]
  priority: -1
  nodeWeights:
  - weight: 101
    nodeSelectors: [{matchLabels: {a: b}}]
  - weight: 3
    nodeSelectors:
    - matchExpressions: [{key: k, operator: Is}]
- name: "two words"
  nodeSelectors:
  - matchLabels: {ok: "yes"}
  - matchExpressions:
    - {key: k, operator: In}
- name: three
  ranges: {}
  namespaces: [A]
  interfaces:
  - eth0
  - "["
- name: four
  ranges:
  - 198.18.67.0/24
  - 198.18.66.128/25
- name: four
  ranges: [198.18.68.0/24]
- five
`, nil, `pool "flag": range "198.19.0.0/99": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			f: line 3: pools[0]: key "name" is there twice, first in line 2
			f: line 4: pools[0].ranges[1]: want text, got the number 7; put it in quotes
			f: line 5: pools[0].priority: want a whole number, got the text "high"
			f: line 6: pool "uno": exclude "198.18.64.300": malformed: want an address, a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			f: line 7: pool 2: it has no name
			f: line 8: pool 2: priority -1: negative; the smallest one, 0, comes first
			f: line 10: pool 2: nodeWeights[0]: weight 101; want 0 (only while there is no other node) to 100
			f: line 14: pool 2: nodeWeights[1]: nodeSelectors[0]: label "k": unknown operator "Is"; want In, NotIn, Exists or DoesNotExist
			f: line 15: pool 3: name "two words": only letters and digits, and '-', '_' and '.' between them
			f: line 15: pool 3: it has no range
			f: line 18: pool 3: nodeSelectors[1]: label "k": operator In needs values
			f: line 21: pools[3].ranges: want a list, got keys with values
			f: line 22: pool "three": namespace "A": only lower-case letters and digits, and '-' between them, at most 63
			f: line 25: pool "three": interface "[": malformed pattern; a [ needs its ], and a \ something after it
			f: line 29: pool "four": range "198.18.66.128/25": overlaps range "198.18.66.0/24" of pool 2
			f: line 30: pool "four": the name is used twice; put all its ranges into one pool
			f: line 32: pools[6]: want keys with values, got the text "five"`},
		{"reservations beside another mistake", nil, `pools:
- name: one
  ranges: [198.18.64.0/24]
  priority: -1
  reservations:
    gateway: 198.18.64.1
`, nil, `f: line 4: pool "one": priority -1: negative; the smallest one, 0, comes first
			f: line 6: pool "one": reservation of "gateway": want NAMESPACE/NAME of a Service`},
		{"what becomes of addresses", nil, `pools:
- name: one
  ranges: [198.18.64.0/24]
  keep: never
- name: two
  ranges: [198.18.65.0/24]
  revokeAfter: 30s
`, nil, `f: line 4: pools[0].keep: want true, false or untilReplaced, got the text "never"
			f: line 7: pool "two": revokeAfter "30s": has no effect without keep: false; remove it, or add keep: false`},
		{"by an anchor", nil, "a: &a\n- {name: x, ranges: [198.18.0.300]}\npools: *a\n", nil, `f: line 1: configuration: unknown key "a"; known are bgp, pools
			f: line 2: pool "x": range "198.18.0.300": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20`},
		{"JSON", nil, "{\n\"pools\": [\n{\"name\": \"x\",\n\"ranges\": [\"x\"]}]}", nil, `f: line 4: pool "x": range "x": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ReadPools(tt.besides, "f", []byte(tt.text))
			if diff := cmp.Diff(lines(tt.err), lines(text(err))); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			var names []string
			for _, i := range p.List() {
				names = append(names, i.Name)
			}
			if diff := cmp.Diff(tt.pools, names); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
		})
	}
}

// lineEach returns a text once for each number below n.
func lineEach(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}

// FuzzParseConfig makes sure that no document is accepted that cannot be compiled or refused by
// line, and that nothing panics.
func FuzzParseConfig(f *testing.F) {
	f.Add("pools: [{name: a, ranges: [192.0.2.0/24, 2001:db8::-2001:db8::9]}]")
	f.Add("pools: [{name: a, ranges: [192.0.2.9-192.0.2.8, x]}, {nam: a}]")
	f.Add("pools: [{name: a, ranges: [192.0.2.0/24], exclude: [192.0.2.7, 192.0.2.16/31, 192.0.2.9-192.0.2.12], avoidBuggyIPs: true, priority: 3, keep: true}]")
	f.Add("pools: [{name: a, ranges: [192.0.2.0/24], namespaces: [x, X], namespaceSelectors: [{matchLabels: {a/b: c}}], serviceSelectors: [{matchExpressions: [{key: k, operator: NotIn, values: [v]}]}]}]")
	f.Add("pools: [{name: a, ranges: [192.0.2.0/24], nodeSelectors: [{matchExpressions: [{key: k, operator: Exists, values: []}]}], interfaces: [eth0, '!vlan*', '[']}]")
	f.Add("bgp: {asn: 64513, peers: [{name: r, address: 192.0.2.1, asn: 1, holdTime: 9s, bfd: {multiplier: 2}}]}\npools: [{name: a, ranges: [192.0.2.0/24], announce: [layer2, bgp: {peers: [r], communities: [no-export], aggregationLength: 25}]}]")
	f.Add("bgp: {asn: 0, peers: [{}, {address: x, port: -1}]}\npools: [{name: a, ranges: [192.0.2.1/32], nodeSelectors: [{}], announce: [{}, bgb, {layer2: , bgp: }, {layer2: {interfaces: ['[']}}]}]")
	f.Add("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\npools: [*c]")
	f.Fuzz(func(t *testing.T, doc string) {
		_, formErr := ParseConfig([]byte(doc))
		p, err := ReadPools(nil, "f", []byte(doc))
		if formErr != nil && err == nil {
			t.Fatalf("pools in spite of %v", formErr)
		}
		if err != nil {
			oneLineEach(t, err)
			return
		}
		for _, q := range p.list {
			for _, spans := range q.spans {
				for _, s := range spans {
					if name, ok := p.Of(s.first); (!ok || name != q.Name) && !q.avoids(s.first) {
						t.Errorf("%s is not of pool %s", s.first, q.Name)
					}
					if covers(q.excluded[family(s.first)], s.first) || covers(q.excluded[family(s.first)], s.last) {
						t.Errorf("%s-%s of pool %s is excluded", s.first, s.last, q.Name)
					}
				}
			}
		}
	})
}

// oneLineEach checks that an error has one line for each mistake.
func oneLineEach(t *testing.T, err error) {
	t.Helper()
	n := 1
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		n = len(many.Unwrap())
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != n {
		t.Errorf("%d lines for %d mistakes:\n%s", got, n, err)
	}
}

func FuzzParsePoolFlag(f *testing.F) {
	f.Add("lab=192.0.2.1-192.0.2.9,2001:db8::/64")
	f.Fuzz(func(t *testing.T, flag string) {
		p, err := ParsePoolFlag(flag)
		if err == nil {
			_, err = NewPools([]Pool{p})
		}
		if err != nil {
			oneLineEach(t, err)
		}
	})
}

// TestLargestConfigIsBounded reads files about as long as they may be, of the worst kinds: what is
// said about them stays short.
func TestLargestConfigIsBounded(t *testing.T) {
	ranges := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i>>16&255, i>>8&255, i&255)
		}
		return b.String()
	}
	for name, doc := range map[string]string{
		"many ranges and holes": "pools:\n- name: a\n  ranges:\n" + ranges(20000, "  - 10.%d.%d.%d/32\n") + "  exclude:\n" + ranges(19999, "  - 10.%d.%d.%d\n"),
		"many holes in one":     "pools:\n- name: a\n  ranges: [10.0.0.0/8]\n  exclude:\n" + ranges(40000, "  - 10.%d.%d.%d\n"),
		"overlaps":              "pools:\n- name: a\n  ranges:\n" + strings.Repeat("  - 10.0.0.0/8\n", 40000),
		"many pools":            "pools:\n" + strings.ReplaceAll(ranges(10000, "- {name: pX%d-%d-%d, ranges: [10.Y/32]}\n"), "Y", "0.0.0"),
		"many unknown keys":     ranges(60000, "x%d-%d-%d: 1\n"),
		"many wrong values":     "pools:\n- name: a\n  ranges:\n" + ranges(60000, "  - %d%d%d\n"),
		"deep":                  strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"aliases":               "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\npools: *f\n",
		"long words":            "pools:\n- name: " + strings.Repeat("x", 500000) + "\n  ranges: [" + strings.Repeat("9", 500000) + "]\n",
	} {
		t.Run(name, func(t *testing.T) {
			if len(doc) > maxConfig {
				t.Fatalf("%d bytes", len(doc))
			}
			_, err := ReadPools(nil, "f", []byte(doc))
			if err != nil && len(err.Error()) > 64<<10 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			t.Logf("%d bytes: %.200v", len(doc), err)
		})
	}
}

// TestDurations: a number for any key of a duration gets the advice to add the unit.
func TestDurations(t *testing.T) {
	texts := map[string]string{
		"keepFor": "pools: [{keepFor: 90}]", "revokeAfter": "pools: [{revokeAfter: 90}]", "interval": "bgp: {peers: [{bfd: {interval: 90}}]}",
		"holdTime": "bgp: {peers: [{holdTime: 90}]}", "keepaliveTime": "bgp: {peers: [{keepaliveTime: 90}]}",
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(texts)), durations(reflect.TypeFor[Config]())); diff != "" {
		t.Errorf("keys of durations (-tested +known):\n%s", diff)
	}
	for key, doc := range texts {
		_, err := ParseConfig([]byte(doc))
		if want := key + ": want a duration with its unit, such as 90s, got the number 90"; !strings.HasSuffix(text(err), want) {
			t.Errorf("%s: %v, want %q", doc, err, want)
		}
	}
}

// durations are the keys of durations in a type and below it, sorted.
func durations(t reflect.Type) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return durations(t.Elem())
	case reflect.Struct:
		for key, of := range keysOf(t) {
			if keys = append(keys, durations(of)...); of == reflect.TypeFor[Duration]() {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}
