package lease

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEachMistakeOnce: a mistake of form hides what comes of it, and nothing else.
func TestEachMistakeOnce(t *testing.T) {
	const (
		peer    = "{name: tor1, address: 192.0.2.1, asn: 1}"
		web     = "\npools: [{name: web, ranges: [198.18.64.0/28], announce: [bgp: {peers: [tor2]}]}]"
		unknown = `f: line 2: pool "web": announce[0]: unknown peer "tor2"; known are tor1`
		asn     = "bgp: asn: missing or 0; want the AS of the nodes, 1 to 4294967295; 64512 to 65534 are for private use"
		router  = "want the AS that the router has in its own configuration, 1 to 4294967295"
	)
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"bgp: {asn: 0, peers: [" + peer + "]}" + web, []string{"f: line 1: " + asn, unknown}},
		{"bgp: {asn: 5000000000, peers: [" + peer + "]}" + web, []string{
			"f: line 1: bgp: asn 5000000000: want the AS of the nodes, 1 to 4294967295; 64512 to 65534 are for private use", unknown,
		}},
		{"bgp: {asn: 1, peers: [{name: tor1, address: 192.0.2.1, asn: 5000000000}]}" + web, []string{
			`f: line 1: bgp: peer "tor1": asn 5000000000: ` + router, unknown,
		}},
		{"bgp: {asn: 10000000000000000000000, peers: [" + peer + "]}" + web, []string{
			"f: line 1: bgp.asn: want a whole number between -9007199254740992 and 9007199254740992, got the number 10000000000000000000000", unknown,
		}},
		{`bgp: {asn: "1", peers: [` + peer + "]}" + web, []string{`f: line 1: bgp.asn: want a whole number, got the text "1"; remove the quotes`, unknown}},
		{"bgp: {asn: 1, session: few, peers: [" + peer + "]}" + web, []string{`f: line 1: bgp: unknown key "session"; did you mean sessions?`, unknown}},
		{"bgp: {asn: 1, port: 179, peers: [" + peer + "]}" + web, []string{`f: line 1: bgp: unknown key "port"; known are asn, peers, sessions`, unknown}},
		{"bgp: {asn: 1, peers: [{name: tor1, address: 192.0.2.1, asn: 1, bfd: on}]}" + web, []string{
			`f: line 1: bgp.peers[0].bfd: want keys with values, got true`, unknown,
		}},
		{"bgp: {asn: 1, peers: [{name: tor1, address: 192.0.2.1, asn: 1, holdTime: 90}]}" + web, []string{
			"f: line 1: bgp.peers[0].holdTime: want a duration with its unit, such as 90s, got the number 90", unknown,
		}},
		{"bgp: {asn: 1, peers: [{name: tor1, ip: 192.0.2.1, asn: 1}]}" + web, []string{
			`f: line 1: bgp.peers[0]: unknown key "ip"; known are address, asn, bfd, holdTime, keepaliveTime, multihop, name, nodeSelectors, passwordFile, passwordSecret, port, sourceAddress`,
			`f: line 1: bgp: peer "tor1": it has no address`, unknown,
		}},
		{"bgp: {asn: 1, peers: [{name: tor1, adress: 192.0.2.1}]}" + web, []string{
			`f: line 1: bgp.peers[0]: unknown key "adress"; did you mean address?`,
			`f: line 1: bgp: peer "tor1": asn: missing or 0; ` + router, unknown,
		}},
		{"bgp: {asn: 0, asn: 0, peers: [" + peer + "]}" + web, []string{
			`f: line 1: bgp: key "asn" is there twice, first in line 1`, "f: line 1: " + asn, unknown,
		}},
		{"bgp: {asn: 1, x: 1, peers: [" + peer + "]}", []string{
			`f: no key "pools" (an empty list is written as pools: [])`, `f: line 1: bgp: unknown key "x"; known are asn, peers, sessions`,
		}},

		// From here on the routers may be there and cannot be read.
		{"bgp: {asn: 1, peer: [" + peer + "]}" + web, []string{`f: line 1: bgp: unknown key "peer"; did you mean peers?`}},
		{"bgp: {asn: 1, peers: " + peer + "}" + web, []string{"f: line 1: bgp.peers: want a list, got keys with values"}},
		{"bgp: {asn: 1, peers: [" + peer + ", tor2]}" + web, []string{`f: line 1: bgp.peers[1]: want keys with values, got the text "tor2"`}},
		{"bgp: {asn: 1, peers: [{name: 2, address: 192.0.2.1, asn: 1}]}" + web, []string{
			"f: line 1: bgp.peers[0].name: want text, got the number 2; put it in quotes",
		}},
		{"bgp: {asn: 1, peers: [{nam: tor2, address: 192.0.2.1, asn: 1}]}" + web, []string{
			`f: line 1: bgp.peers[0]: unknown key "nam"; did you mean name?`,
		}},
		{"bgpp: {asn: 1, peers: [" + peer + "]}" + web, []string{`f: line 1: configuration: unknown key "bgpp"; did you mean bgp?`}},
		{"[]", []string{"f: configuration: want keys with values, got a list"}},
		{"3", []string{"f: configuration: want keys with values, got the number 3"}},
		{"configuration: 1\nbgp: {asn: 0, peers: [" + peer + "]}\npools: []", []string{
			`f: line 1: configuration: unknown key "configuration"; known are bgp, pools`, "f: line 2: " + asn,
		}},
	} {
		_, err := ReadPools(nil, "f", []byte(tt.text))
		if diff := cmp.Diff(tt.want, lines(text(err))); diff != "" {
			t.Errorf("%s\nerror (-want +got):\n%s", tt.text, diff)
		}
	}
}
