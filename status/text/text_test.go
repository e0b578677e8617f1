package text

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   api.Snapshot
		told []api.Reported
		want string
	}{
		{
			name: "nothing known",
			want: `As - sees it, starling -, not ready

MEMBERS
  none: this speaker has not joined the mesh yet

ADDRESSES
  no addresses yet: name a pool first

POOLS
  no pools yet: put your addresses into the ConfigMap starling
`,
		},
		{
			name: "fresh installation",
			in: api.Snapshot{
				Node: "n1", Version: "v0.1.0", Ready: true,
				Members: []api.Member{{Name: "n1", Addr: "198.18.0.1:7927", State: "alive", Ready: true, Segments: []string{"198.18.0.0/24"}}},
				Pools:   []api.Pool{{Name: "default", Ranges: []string{"198.18.64.0/24"}, Size: 256}},
			},
			want: `As n1 sees it, starling v0.1.0, ready

MEMBERS
  NAME  STATE  ANNOUNCES  SEEN  ROUND-TRIP  VERSION  NETWORKS
  n1    ready  0          -     -           -        198.18.0.0/24

ADDRESSES
  no addresses yet: create a Service of type LoadBalancer

POOLS
  NAME     FAMILY  USED  FREE  WAITING  RANGES          RULES
  default  -       0     256   0        198.18.64.0/24  -
`,
		},
		{
			name: "what others find",
			in:   api.Snapshot{Node: "n1", Ready: true, Conditions: []health.Condition{{Severity: health.Warning, Words: "a pool overlaps"}}},
			told: []api.Reported{
				{Condition: health.New(health.AddressTaken, health.Address("198.18.64.1"), "02:00:00:00:00:09 also answers").Do("find the machine"), Nodes: []string{"n2"}},
				{Condition: health.Condition{Severity: health.Warning, Words: "gossip to n1 is blocked"}, Nodes: []string{"n2", "n3"}},
			},
			want: `As n1 sees it, starling -, ready
  warning: a pool overlaps
  error on n2: 02:00:00:00:00:09 also answers
    to do: find the machine
  warning on n2, n3: gossip to n1 is blocked

MEMBERS
  none: this speaker has not joined the mesh yet

ADDRESSES
  no addresses yet: name a pool first

POOLS
  no pools yet: put your addresses into the ConfigMap starling
`,
		},
		{
			name: "everything",
			in:   busy(),
			want: `As n1 sees it, starling v0.1.0, not ready
  error: missing NET_RAW
  error: gossip port 7927 is in use

MEMBERS
  NAME  STATE      ANNOUNCES  SEEN  ROUND-TRIP  VERSION  NETWORKS
  n1    not ready  0          5s    -           v0.1.0   -
  n2    draining   1          1s    0.25 ms     v0.1.0   198.18.0.0/24 2001:db8::/64
  n3    dead       0          -     -           -        -

ADDRESSES
  ADDRESS        ANNOUNCER  NEXT  SINCE  POOL     SERVICE        INTERFACE  REASON
  198.18.64.1    n2         n1    5m     default  a/web b/web    eth0 eth1  highest score of 2 eligible
  2001:db8::1:0  none       -     -      -        default/quiet  -          no serving endpoint

POOLS
  NAME     FAMILY  USED  FREE   WAITING  RANGES                          RULES
  default  -       2     0      3        198.18.64.0/31                  -
  wide     -       1     >10^9  0        2001:db8::/48 2001:db8:1::/48   priority 1; by nodes with rack=1
  dual     IPv4    3     1      0        198.18.65.0/30 2001:db8:2::/64  -
  dual     IPv6    0     >10^9  0        198.18.65.0/30 2001:db8:2::/64  -

CONFLICTS
  ADDRESS      KIND      MAC                NODE  SINCE
  198.18.64.1  stranger  02:00:00:00:00:01  -     3h
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := (Printer{Now: now}).Status(&out, tt.in, tt.told); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("Status (-want +got):\n%s", diff)
			}
		})
	}
}

func busy() api.Snapshot {
	return api.Snapshot{
		Node: "n1", Version: "v0.1.0", Reasons: []string{"missing NET_RAW"}, Problems: []string{"gossip port 7927 is in use"},
		Findings: []api.Finding{{Level: "error", Words: "missing NET_RAW"}, {Level: "error", Words: "gossip port 7927 is in use"}},
		Members: []api.Member{
			{Name: "n1", Addr: "198.18.0.1:7927", State: "alive", Version: "v0.1.0", LastSeen: now.Add(-5 * time.Second), Tier: "normal", Keys: []string{"0a0b0c0d"}},
			{
				Name: "n2", Addr: "198.18.0.2:7927", State: "alive", Ready: true, Draining: true, Segments: []string{"198.18.0.0/24", "2001:db8::/64"},
				Version: "v0.1.0", LastSeen: now.Add(-time.Second), RoundTrip: 0.00025, Announces: 1, Tier: "draining",
			},
			{Name: "n3", State: "dead", Ready: true, Unfit: "dead"},
		},
		VIPs: []api.VIP{
			{
				IP: "198.18.64.1", Services: []string{"a/web", "b/web"}, Pool: "default", Owner: "n2", Next: "n1", Interfaces: []string{"eth0", "eth1"},
				Reason: "highest score of 2 eligible", Since: now.Add(-5 * time.Minute),
			},
			{IP: "2001:db8::1:0", Services: []string{"default/quiet"}, Reason: "no serving endpoint"},
		},
		Pools: []api.Pool{
			{Name: "default", Ranges: []string{"198.18.64.0/31"}, Size: 2, Used: 2, Waiting: 3},
			{Name: "wide", Ranges: []string{"2001:db8::/48", "2001:db8:1::/48"}, Rules: []string{"priority 1", "by nodes with rack=1"}, Size: 1<<64 - 1, Used: 1},
			{Name: "dual", Ranges: []string{"198.18.65.0/30", "2001:db8:2::/64"}, Families: []api.FamilyUse{{Family: "IPv4", Size: 4, Used: 3, Free: 1}, {Family: "IPv6", Size: 1<<64 - 1, Free: 1<<64 - 1}}},
		},
		Conflicts: []api.Conflict{{IP: "198.18.64.1", Kind: "stranger", MAC: "02:00:00:00:00:01", Since: now.Add(-3 * time.Hour)}},
	}
}

func TestNoAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		pools []api.Pool
		want  string
	}{
		{"no pool", nil, "name a pool first"},
		{"nobody asked", []api.Pool{{Name: "a"}}, "create a Service of type LoadBalancer"},
		{"somebody waits", []api.Pool{{Name: "a"}, {Name: "b", Waiting: 1}}, "Services wait for one"},
	}
	for _, tt := range tests {
		if got := NoAddresses(tt.pools); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q does not say %q", tt.name, got, tt.want)
		}
	}
}

func TestFree(t *testing.T) {
	t.Parallel()
	for free, want := range map[uint64]string{0: "0", 252: "252", many - 1: "999999999", many: ">10^9", 1<<64 - 3: ">10^9"} {
		if got := Free(api.FamilyUse{Free: free}); got != want {
			t.Errorf("%d are shown as %s, want %s", free, got, want)
		}
	}
}

// A member of another release, or an attacker with the key, may say anything of itself.
func TestStatusCleansWhatOthersSay(t *testing.T) {
	t.Parallel()
	in := api.Snapshot{Members: []api.Member{{Name: "n\x1b[2J\t1\n", State: "alive"}}}
	var out strings.Builder
	if err := (Printer{Now: now}).Status(&out, in, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "  n?[2J?1?  not ready") {
		t.Errorf("printed %q", out.String())
	}
}

func TestStatusTellsWriteErrors(t *testing.T) {
	t.Parallel()
	if err := (Printer{Now: now}).Status(broken{}, busy(), nil); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
