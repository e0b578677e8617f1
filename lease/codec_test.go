package lease

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compareAddrs = cmpopts.EquateComparable(netip.Addr{})

func TestLeaseEncode(t *testing.T) {
	l := Lease{V: 1, By: "0b5c", Holder: "n2", IPs: []Item{
		{IP: netip.MustParseAddr("198.18.64.3"), Pool: "default", State: "bound"},
		{IP: netip.MustParseAddr("2001:db8::3"), Pool: "default", State: "claimed"},
	}}
	const want = `{"v":1,"by":"0b5c","holder":"n2","ips":[{"ip":"198.18.64.3","pool":"default","state":"bound"},{"ip":"2001:db8::3","pool":"default","state":"claimed"}]}`
	if got := l.Encode(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got, err := DecodeLease(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeLease(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		name, text, err string
		want            Lease
	}{
		{"a later version", `{"v":7,"by":"b","more":{},"ips":[{"ip":"192.0.2.1","state":"bound","more":1}]}`, "", Lease{V: 7, By: "b", IPs: []Item{{IP: ip, State: "bound"}}}},
		{"an unknown state is no bound one", `{"v":1,"ips":[{"ip":"192.0.2.1","state":"BOUND"}]}`, "", Lease{V: 1, IPs: []Item{{IP: ip, State: "claimed"}}}},
		{"addresses are compared parsed", `{"v":1,"ips":[{"ip":"::ffff:192.0.2.1","state":"bound"}]}`, "", Lease{V: 1, IPs: []Item{{IP: ip, State: "bound"}}}},
		{"what is no address is left out", `{"v":1,"ips":[{"ip":"x"},{"ip":"fe80::1%eth0"},{"ip":"192.0.2.1"},{}]}`, "", Lease{V: 1, IPs: []Item{{IP: ip, State: "claimed"}}}},
		{"twice: bound only if both are", `{"v":1,"ips":[{"ip":"192.0.2.1","state":"bound"},{"ip":"192.0.2.1"}]}`, "", Lease{V: 1, IPs: []Item{{IP: ip, State: "claimed"}}}},
		{"twice the same", `{"v":1,"ips":[{"ip":"192.0.2.1","state":"bound"},{"ip":"192.0.2.1","state":"bound"}]}`, "", Lease{V: 1, IPs: []Item{{IP: ip, State: "bound"}}}},
		{"no version", `{"ips":[]}`, "lease: it has no version", Lease{}},
		{"empty", ``, "lease: unexpected end of JSON input", Lease{}},
		{"a list", `[1]`, "lease: json: cannot unmarshal array into Go value of type lease.rawLease", Lease{}},
		{"too long", `{"v":1,"by":"` + strings.Repeat("x", maxLease) + `"}`, "lease of 4111 bytes: longer than 4096", Lease{}},
		{"too many", `{"v":1,"ips":[` + strings.Repeat(`{"ip":"192.0.2.1"},`, 16) + `{}]}`, "lease of 17 addresses: more than 16", Lease{}},
		{"nested", `{"v":1,"ips":` + strings.Repeat("[", 4000), "lease: unexpected end of JSON input", Lease{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeLease(tt.text)
			if diff := cmp.Diff(tt.want, got, compareAddrs); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(text(err), tt.err) || tt.err == "" && err != nil {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// FuzzDecodeLease makes sure that whatever is read can be written and read again as the same.
func FuzzDecodeLease(f *testing.F) {
	f.Add(`{"v":1,"by":"x","holder":"n2","ips":[{"ip":"198.18.64.3","pool":"default","state":"bound"}]}`)
	f.Add(`{"v":9,"ips":[{"ip":"::1"},{"ip":"::1","state":"bound"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := DecodeLease(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(l.IPs) > 0 {
				t.Errorf("%q: %v beside %v", text, err, l)
			}
			return
		}
		again, err := DecodeLease(l.Encode())
		if err != nil && len(l.Encode()) <= maxLease {
			t.Fatalf("%q: %v", l.Encode(), err)
		}
		if diff := cmp.Diff(l, again, compareAddrs); err == nil && diff != "" {
			t.Errorf("(-once +twice):\n%s", diff)
		}
	})
}
