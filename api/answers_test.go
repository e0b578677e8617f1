package api

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
)

// The bytes below are the public contract: a change of them breaks users.
func TestAnswersJSON(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	bad := health.New(health.PoolFull, health.Pool("p"), "w").Do("t").From(since)
	all := full(since)
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nobody knows", Who{}, `{"node":"","ip":"","held":false,"vip":null,"pool":"","words":"","ranking":[],"conflict":null}`},
		{
			"who",
			Who{
				Node: "n1", IP: "198.18.64.1", Held: true, VIP: &VIP{IP: "198.18.64.1", Since: since}, Pool: "p", Words: "w",
				Ranking: []Candidate{{"n1", "00000000000000ff", true, "", "announcer", []string{"tor1"}, ""}}, Conflict: &all.Conflicts[0],
			},
			`{"node":"n1","ip":"198.18.64.1","held":true,` +
				`"vip":{"ip":"198.18.64.1","services":[],"pool":"","owner":"","next":"","reason":"","todo":"","since":"2026-01-02T03:04:05Z","answeredBy":"","from":"","cause":"","change":"","routes":[],"interfaces":[],"entries":[]},` +
				`"pool":"p","words":"w","ranking":[{"node":"n1","score":"00000000000000ff","eligible":true,"reason":"","role":"announcer","routers":["tor1"],"notRouted":""}],` +
				`"conflict":{"ip":"198.18.64.1","kind":"stranger","mac":"02:00:00:00:00:01","since":"2026-01-02T03:04:05Z","node":"","words":"w","todo":"t"}}`,
		},
		{
			"leases",
			[]Lease{{Service: "a/b", By: "i", Foreign: true, Holder: "n1", Mistake: "m", IPs: []LeaseItem{{"198.18.64.1", "p", "bound"}}}},
			`[{"service":"a/b","by":"i","foreign":true,"holder":"n1","mistake":"m","ips":[{"ip":"198.18.64.1","pool":"p","state":"bound"}]}]`,
		},
		{
			"others",
			[]Reported{{bad, []string{"n2"}}},
			`[{"code":"pool-full","severity":"error","subject":{"kind":"pool","name":"p"},"words":"w","advice":"t","since":"2026-01-02T03:04:05Z","nodes":["n2"]}]`,
		},
		{
			"others as before", LegacyReports([]Reported{{bad, []string{"n2"}}}),
			`[{"level":"error","about":"pool p","words":"w","todo":"t","nodes":["n2"]}]`,
		},
		{"no others", LegacyReports(nil), `[]`},
		{"a place", Place{"p", "198.18.0.0/24", []string{"eth0"}, nil}, `{"pool":"p","network":"198.18.0.0/24","interfaces":["eth0"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("json (-want +got):\n%s", diff)
			}
		})
	}
}
