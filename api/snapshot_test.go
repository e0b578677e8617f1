package api

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
)

// added are the empty forms of what later releases added to the end.
const added = `"at":"0001-01-01T00:00:00Z","waiting":[],"interfaces":[],"keys":{"held":[],"state":""},"activity":{"writes":{},"events":{}},"findings":[],"conditions":[],"unselected":[],"moves":[],"routers":[]`

// The bytes below are the public contract: a change of them breaks users.
func TestSnapshotJSON(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name string
		in   Snapshot
		want string
	}{
		{
			name: "empty has every field and no null",
			want: `{"node":"","version":"","ready":false,"reasons":[],"problems":[],"members":[],"vips":[],"pools":[],"conflicts":[],` + added + `}`,
		},
		{
			name: "lists inside of lists are never null",
			in:   Snapshot{Members: []Member{{Name: "n1"}}, VIPs: []VIP{{IP: "198.18.64.1", Since: since}}, Pools: []Pool{{Name: "p"}}},
			want: `{"node":"","version":"","ready":false,"reasons":[],"problems":[],` +
				`"members":[{"name":"n1","addr":"","state":"","ready":false,"draining":false,"returning":false,"hold":"","away":"","notForwarding":false,"noKubeProxy":false,"segments":[],"keys":[],"version":"","health":"","verdict":"","todo":"","tier":"","unfit":"","announces":0}],` +
				`"vips":[{"ip":"198.18.64.1","services":[],"pool":"","owner":"","next":"","reason":"","todo":"","since":"2026-01-02T03:04:05Z","answeredBy":"","from":"","cause":"","change":"","routes":[],"interfaces":[],"entries":[]}],` +
				`"pools":[{"name":"p","ranges":[],"rules":[],"size":0,"used":0,"waiting":0,"free":0,"families":[]}],"conflicts":[],` + added + `}`,
		},
		{
			name: "full",
			in:   full(since),
			want: `{"node":"n1","version":"v1","ready":true,"reasons":["a"],"problems":["b"],` +
				`"members":[{"name":"n2","addr":"198.18.0.2:7927","state":"alive","ready":true,"draining":true,"returning":false,"hold":"","away":"","notForwarding":false,"noKubeProxy":false,"segments":["198.18.0.0/24"],"keys":["0a0b0c0d"],` +
				`"version":"v1","since":"2026-01-02T03:04:05Z","lastSeen":"2026-01-02T03:04:05Z","roundTrip":0.00025,` +
				`"health":"draining","verdict":"odd","todo":"look","tier":"draining","unfit":"","announces":1}],` +
				`"vips":[{"ip":"198.18.64.1","services":["a/b"],"pool":"p","owner":"n2","next":"n1","reason":"none","todo":"look","since":"2026-01-02T03:04:05Z",` +
				`"answeredBy":"","from":"n1","cause":"moved","change":"moved from n1","routes":[{"router":"tor1","nodes":["n1"],"leaving":[],"by":[]}],"interfaces":["eth0"],"entries":["announce[0]"]}],` +
				`"pools":[{"name":"p","ranges":["2001:db8::/64"],"rules":["priority 1"],"size":18446744073709551615,"used":2,"waiting":3,"free":4,"families":[{"family":"IPv6","size":5,"used":2,"free":3}]}],` +
				`"conflicts":[{"ip":"198.18.64.1","kind":"stranger","mac":"02:00:00:00:00:01","since":"2026-01-02T03:04:05Z","node":"","words":"w","todo":"t"}],` +
				`"at":"2026-01-02T03:04:05Z","waiting":[{"service":"a/b","pool":"p","reason":"full","code":"pool-full"}],` +
				`"interfaces":[{"name":"eth0","mac":"02:00:00:00:00:02","prefixes":["198.18.0.0/24"],"used":true,"reason":""}],` +
				`"keys":{"held":["0a0b0c0d"],"state":"all"},"activity":{"writes":{"ok":1},"events":{"sent":2}},` +
				`"findings":[{"level":"error","about":"p","words":"w","todo":"t"}],` +
				`"conditions":[{"code":"pool-full","severity":"error","subject":{"kind":"pool","name":"p"},"words":"w","advice":"t","since":"2026-01-02T03:04:05Z"}],"unselected":["n3"],` +
				`"moves":[{"at":"2026-01-02T03:04:05Z","from":"n1","to":"n2","count":1,"ips":["198.18.64.1"],"cause":"member-lost","change":"n1 was lost","silent":0.18,"held":60}],"routers":[{"name":"tor1","address":"192.0.2.1","asn":64512,"sessions":"few","why":"w","speakers":["n1"],"up":[],"session":{"state":"active","cause":"refused","words":"w","paths":1,"flaps":2}}]}`,
		},
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

func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	want := full(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Snapshot
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after a round trip (-want +got):\n%s", diff)
	}
}

func full(at time.Time) Snapshot {
	return Snapshot{
		Node: "n1", Version: "v1", Ready: true, Reasons: []string{"a"}, Problems: []string{"b"}, At: at,
		Members: []Member{{
			Name: "n2", Addr: "198.18.0.2:7927", State: "alive", Ready: true, Draining: true,
			Segments: []string{"198.18.0.0/24"}, Keys: []string{"0a0b0c0d"}, Version: "v1", Since: at, LastSeen: at, RoundTrip: 0.00025,
			Health: "draining", Verdict: "odd", Todo: "look", Tier: "draining", Announces: 1,
		}},
		VIPs: []VIP{{
			IP: "198.18.64.1", Services: []string{"a/b"}, Pool: "p", Owner: "n2", Next: "n1",
			Reason: "none", Todo: "look", Since: at, From: "n1", Cause: "moved", Change: "moved from n1", Routes: []Route{{"tor1", []string{"n1"}, []string{}, []string{}}}, Interfaces: []string{"eth0"}, Entries: []string{"announce[0]"},
		}},
		Pools:      []Pool{{Name: "p", Ranges: []string{"2001:db8::/64"}, Rules: []string{"priority 1"}, Size: 1<<64 - 1, Used: 2, Waiting: 3, Free: 4, Families: []FamilyUse{{"IPv6", 5, 2, 3}}}},
		Conflicts:  []Conflict{{IP: "198.18.64.1", Kind: "stranger", MAC: "02:00:00:00:00:01", Since: at, Words: "w", Todo: "t"}},
		Waiting:    []Waiting{{Service: "a/b", Pool: "p", Reason: "full", Code: health.PoolFull}},
		Interfaces: []Interface{{Name: "eth0", MAC: "02:00:00:00:00:02", Prefixes: []string{"198.18.0.0/24"}, Used: true}},
		Keys:       Keys{Held: []string{"0a0b0c0d"}, State: "all"},
		Activity:   Activity{Writes: map[string]uint64{"ok": 1}, Events: map[string]uint64{"sent": 2}},
		Findings:   []Finding{{Level: "error", About: "p", Words: "w", Todo: "t"}},
		Conditions: []health.Condition{health.New(health.PoolFull, health.Pool("p"), "w").Do("t").From(at)},
		Unselected: []string{"n3"},
		Moves:      []Move{{At: at, From: "n1", To: "n2", Count: 1, IPs: []string{"198.18.64.1"}, Cause: "member-lost", Change: "n1 was lost", Silent: 0.18, Held: 60}},
		Routers:    []Router{{Name: "tor1", Address: "192.0.2.1", ASN: 64512, Sessions: "few", Why: "w", Speakers: []string{"n1"}, Up: []string{}, Session: &Session{State: "active", Cause: "refused", Words: "w", Paths: 1, Flaps: 2}}},
	}
}

// TestNodes: who left or died cannot be asked, and the findings tell of the dead.
func TestNodes(t *testing.T) {
	t.Parallel()
	var s Snapshot
	for _, state := range []string{Alive, Left, Dead, OnWire} {
		s.Members = append(s.Members, Member{Name: "n-" + state, State: state})
	}
	if diff := cmp.Diff([]string{"n-alive", "n-wire"}, s.Nodes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A digest is of who announces what, and of nothing else.
func TestDigest(t *testing.T) {
	t.Parallel()
	sees := func(vips ...VIP) Snapshot { return Snapshot{VIPs: vips} }
	one := sees(VIP{IP: "198.18.64.1", Owner: "n1", Reason: "the only one"}, VIP{IP: "198.18.64.2"})
	tests := []struct {
		name string
		in   Snapshot
		same bool
	}{
		{"for another reason", sees(VIP{IP: "198.18.64.1", Owner: "n1", Reason: "highest score"}, VIP{IP: "198.18.64.2"}), true},
		{"another announcer", sees(VIP{IP: "198.18.64.1", Owner: "n2"}, VIP{IP: "198.18.64.2"}), false},
		{"nobody", sees(VIP{IP: "198.18.64.1"}, VIP{IP: "198.18.64.2"}), false},
		{"exchanged", sees(VIP{IP: "198.18.64.1"}, VIP{IP: "198.18.64.2", Owner: "n1"}), false},
		{"one less", sees(VIP{IP: "198.18.64.1", Owner: "n1"}), false},
		{"another address", sees(VIP{IP: "198.18.64.1", Owner: "n1"}, VIP{IP: "198.18.64.3"}), false},
	}
	for _, tt := range tests {
		if got := tt.in.Digest() == one.Digest(); got != tt.same {
			t.Errorf("%s: the same digest %v, want %v", tt.name, got, tt.same)
		}
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   Member
		want string
	}{
		{Member{State: "alive", Ready: true}, "ready"},
		{Member{State: "alive"}, "not ready"},
		{Member{State: "alive", Ready: true, Draining: true}, "draining"},
		{Member{State: "dead", Ready: true, Draining: true}, "dead"},
		{Member{State: "left"}, "left"},
		{Member{State: "wire", Ready: true}, "on the wire"},
		{Member{State: "alive", Ready: true, Returning: true}, "returning"},
	} {
		if got := tt.in.Condition(); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.in, got, tt.want)
		}
	}
}
