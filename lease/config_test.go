package lease

import (
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
	no := false
	for _, tt := range []struct {
		name, text, err string
		want            Config
	}{
		{"empty", "", "", Config{}},
		{"everything", `
pools:
- name: default
  ranges: [192.0.2.0/28, "2001:db8::/64"]
- name: kept
  autoAssign: false
  avoidBuggyIPs: true
  ranges:
  - 192.0.2.16-192.0.2.31
`, "", Config{Pools: []Pool{
			{Name: "default", Ranges: []string{"192.0.2.0/28", "2001:db8::/64"}},
			{Name: "kept", AutoAssign: &no, AvoidBuggyIPs: true, Ranges: []string{"192.0.2.16-192.0.2.31"}},
		}}},
		{"unknown keys, also where only the case differs", `
pool: []
pools:
- name: a
  adresses: []
  autoassign: false
- {range: []}
`, `configuration: unknown key "pool"
			pools[0]: unknown key "adresses"
			pools[0]: unknown key "autoassign"
			pools[1]: unknown key "range"`, Config{}},
		{"a wrong type", "pools: 3", `configuration: json: cannot unmarshal number into Go struct field Config.pools of type []lease.Pool`, Config{}},
		{"a list at the top", "[]", `configuration: json: cannot unmarshal array into Go value of type lease.Config`, Config{}},
		{"a key twice", "pools: []\npools: []", `configuration: yaml: unmarshal errors: line 2: key "pools" already set in map`, Config{}},
		{"no YAML", "\t", `configuration: yaml: found character that cannot start any token`, Config{}},
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

// FuzzParseConfig makes sure that no document is accepted that cannot be compiled or refused by
// line, and that nothing panics.
func FuzzParseConfig(f *testing.F) {
	f.Add("pools: [{name: a, ranges: [192.0.2.0/24, 2001:db8::-2001:db8::9]}]")
	f.Add("pools: [{name: a, ranges: [192.0.2.9-192.0.2.8, x]}, {nam: a}]")
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := ParseConfig([]byte(doc))
		if err != nil {
			oneLineEach(t, err)
			return
		}
		p, err := NewPools(c.Pools)
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
