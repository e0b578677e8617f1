package metallb

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
)

// TestYAML reads as people read it: field by field in the order of the documentation.
func TestYAML(t *testing.T) {
	r := Result{
		Summary: "Pools: 2",
		Remarks: []Remark{{Where: "here", Text: "changed"}, {Text: "left out"}},
		Config: lease.Config{Pools: []lease.Pool{
			{
				Name: "yes", Ranges: []string{"192.0.2.0/28", "2001:db8::/64"}, AutoAssign: no(), AvoidBuggyIPs: true, Priority: new(1000000),
				Namespaces: []string{"web"}, NodeSelectors: []lease.Selector{node1()}, Interfaces: []string{"!eth0"},
			},
			{Name: "b", Ranges: []string{"198.51.100.0/28"}},
		}},
	}
	const want = `# Converted from MetalLB's configuration. Pools: 2.
#
# What was changed or has no counterpart:
# - here: changed
# - left out
pools:
- name: "yes"
  ranges:
  - 192.0.2.0/28
  - 2001:db8::/64
  autoAssign: false
  avoidBuggyIPs: true
  priority: 1000000
  namespaces:
  - web
  nodeSelectors:
  - matchLabels:
      kubernetes.io/hostname: n1
  interfaces:
  - '!eth0'
- name: b
  ranges:
  - 198.51.100.0/28
`
	got, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(r.Config, rereadAll(t, r)); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

func TestRename(t *testing.T) {
	long := strings.Repeat("a", maxName)
	tests := []struct {
		name string
		in   []string
		want []string
	}{
		{"names that fit", []string{"lab", "a.b_c-D9"}, []string{"lab", "a.b_c-D9"}},
		{"other characters", []string{"my pool", "größe"}, []string{"my-pool", "gr--e"}},
		{"ends", []string{"-a-", "...", "ä"}, []string{"a", "pool", "pool-2"}},
		{"long", []string{long + "b", long + "c"}, []string{long, long[:maxName-2] + "-2"}},
		{"taken by a later one", []string{"a b", "a-b", "a/b"}, []string{"a-b-2", "a-b", "a-b-3"}},
		{"cut at a dash", []string{long[:maxName-1] + "-b"}, []string{long[:maxName-1]}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &input{}
			for _, name := range tt.in {
				in.pools = append(in.pools, &pool{asked: name, node: node{r: &in.report}})
			}
			renamed := in.rename()
			changed := 0
			for i, p := range in.pools {
				if p.Name != tt.want[i] || renamed[p.asked] != p.Name {
					t.Errorf("%q became %q, told as %q, want %q", p.asked, p.Name, renamed[p.asked], tt.want[i])
				}
				changed += btoi(p.Name != p.asked)
			}
			if len(in.remarks) != changed {
				t.Errorf("%d remarks on %d changes", len(in.remarks), changed)
			}
		})
	}
}

// FuzzConvert: whatever comes in, it ends, the same way each time; what is converted is accepted by
// a speaker; and remarks stay in their lines.
func FuzzConvert(f *testing.F) {
	f.Add([]byte(ipPool("lab", four, "tier: a") + l2("a", "ipAddressPoolSelectors: [{matchLabels: {tier: a}}], interfaces: [eth0]") + serviceYAML("", "", "192.0.2.1")))
	f.Add([]byte(old("address-pools:", "- {name: \"a\\nb\", protocol: layer2, addresses: [192.0.2.7/28]}", "peers: [1]")))
	f.Add([]byte(`{"kind": "List", "apiVersion": "v1", "items": [{"kind": "IPAddressPool", "apiVersion": "metallb.io/v1beta1", "metadata": {"name": "x"}, "spec": {"addresses": ["2001:db8::/64"]}}]}`))
	f.Add([]byte(ipPool("lab", four) + metallbObject("BGPAdvertisement", "a", "peers: [tor], communities: [slow]") + metallbObject("Community", "c", "communities: [{name: slow, value: 64513:1}]") +
		bgpPeer("tor", "peerAddress: 192.0.2.254, bfdProfile: f, password: x") + bgpPeer("twin", "peerAddress: 192.0.2.254, holdTime: 9s") + metallbObject("BFDProfile", "f", "receiveInterval: 9")))
	f.Add([]byte("a: &a [*a]\n--- \n%\n..."))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Convert(Source{Data: data})
		again, errAgain := Convert(Source{Data: data})
		if diff := cmp.Diff(r, again); diff != "" || (err == nil) != (errAgain == nil) {
			t.Errorf("another time it is another: %s %v %v", diff, err, errAgain)
		}
		for line := range strings.SplitSeq(strings.Join(remarks(r), "\n"), "\n") {
			if printable(line[:min(len(line), most)]) != line[:min(len(line), most)] {
				t.Errorf("remark %q cannot be printed", line)
			}
		}
		if err != nil {
			return
		}
		text, err := r.YAML()
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := bytes.Cut(text, []byte("\npools:\n"))
		head, _, _ = bytes.Cut(head, []byte("\nbgp:\n"))
		if n := bytes.Count(head, []byte("\n")); n != bytes.Count(head, []byte("\n#")) {
			t.Errorf("the comments do not stay in their lines:\n%s", head)
		}
		if diff := cmp.Diff(r.Config, rereadAll(t, r)); diff != "" {
			t.Errorf("read again (-want +got):\n%s", diff)
		}
	})
}
