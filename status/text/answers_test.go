package text

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/doctor"
	"github.com/starling-lb/starling/health"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		print func(io.Writer) error
		want  string
	}{
		{"who", func(w io.Writer) error {
			return Printer{Now: now}.Who(w, api.Who{
				Node: "n3", Words: "n1 announces 198.18.64.1: highest score of 2 eligible",
				VIP:      &api.VIP{Services: []string{"a/web", "b/web"}, Pool: "default", Since: now.Add(-time.Minute), Change: "n2 was lost", Interfaces: []string{"eth0", "eth1"}},
				Conflict: &api.Conflict{Words: "somebody else has it", Todo: "find it"},
				Ranking: []api.Candidate{
					{Node: "n1", Score: "ffff000000000001", Eligible: true, Role: "announcer"},
					{Node: "n3", Score: "0000000000000001", Eligible: true, Role: "next"},
					{Node: "n2", Score: "ffffffffffffffff", Reason: "dead"},
				},
			})
		}, `n1 announces 198.18.64.1: highest score of 2 eligible
  service  a/web b/web
  pool     default
  on       eth0 eth1
  since    60s: n2 was lost
  conflict: somebody else has it
    to do: find it

RANKING AS n3 SEES IT
  NODE  SCORE             ELIGIBLE  ROLE       WHY NOT
  n1    ffff000000000001  yes       announcer  -
  n3    0000000000000001  yes       next       -
  n2    ffffffffffffffff  no        -          dead
`},
		{"no leases", func(w io.Writer) error { return Printer{}.Leases(w, nil) }, "no Service holds an address\n"},
		{"leases", func(w io.Writer) error {
			return Printer{Wide: true}.Leases(w, []api.Lease{
				{Service: "a/b", By: "uid", Holder: "n1", IPs: []api.LeaseItem{{IP: "198.18.64.1", Pool: "p", State: "bound"}, {IP: "2001:db8::1", Pool: "p", State: "claimed"}}},
				{Service: "c/d", By: "other", Foreign: true, Holder: "x", Mistake: "odd", IPs: []api.LeaseItem{{IP: "198.18.64.2", State: "shown"}}},
			})
		}, `  SERVICE  ADDRESS      STATE    POOL  WRITTEN BY  REMARK                                                  INSTALLATION
  a/b      198.18.64.1  bound    p     n1          -                                                       uid
  a/b      2001:db8::1  claimed  p     n1          -                                                       uid
  c/d      198.18.64.2  shown    -     x           odd; of another installation or release, never touched  other
`},
		{"nothing happened", func(w io.Writer) error { return Printer{}.Events(w, nil) }, "nothing happened, as far as the speakers remember\n"},
		{"events", func(w io.Writer) error {
			return Printer{}.Events(w, []Event{
				{Time: now, Speaker: "n1", Level: "info", Message: "announcing", Fields: "reason=new vip=198.18.64.1"},
				{Speaker: "n2", Level: "warn", Message: "odd"},
			})
		}, `  TIME                SPEAKER  LEVEL  WHAT        DETAILS
  01-02 03:04:05.000  n1       info   announcing  reason=new vip=198.18.64.1
  -                   n2       warn   odd         -
`},
		{"doctor", func(w io.Writer) error {
			return Printer{}.Doctor(w, []doctor.Found{
				{Check: doctor.Check{Name: "gossip-tcp", Result: doctor.Fail, Words: "n2 is blocked", Todo: "open it"}, Nodes: []string{"n1"}},
				{Check: doctor.Check{Name: "clock", Result: doctor.Warn, Words: "apart", Todo: "synchronize"}, Nodes: []string{}},
				{Check: doctor.Check{Name: "speaker", Result: doctor.OK, Words: "answers", Todo: "nothing"}, Nodes: []string{"n1", "n2", "n3", "n4", "n5", "n6"}},
			})
		}, `  RESULT  CHECK       NODES                   FOUND
  fail    gossip-tcp  n1                      n2 is blocked
  warn    clock       -                       apart
  ok      speaker     n1 n2 n3 n4 and 2 more  answers

TO DO
  gossip-tcp: n2 is blocked
    open it
  clock: apart
    synchronize
`},
		{"a node", func(w io.Writer) error {
			vip := api.VIP{IP: "198.18.64.1", Services: []string{"a/b"}, Pool: "p", Owner: "n1", Since: now.Add(-time.Hour), Reason: "highest score of 2 eligible", Interfaces: []string{"eth0"}}
			next := api.VIP{IP: "198.18.64.2", Services: []string{"a/c"}, Pool: "p", Owner: "n2"}
			return Printer{Now: now}.Node(w, "n1", "ready", []api.VIP{vip}, []api.VIP{next})
		}, `n1 (ready) announces 1 address and is next in line for 1

  ADDRESS      ROLE       SINCE  POOL  SERVICE  INTERFACE  REASON
  198.18.64.1  announcer  60m    p     a/b      eth0       highest score of 2 eligible
  198.18.64.2  next       -      p     a/c      -          after n2
`},
		{"a node without addresses", func(w io.Writer) error { return Printer{}.Node(w, "n1", "dead", nil, nil) }, "n1 (dead) announces 0 addresses and is next in line for 0\n"},
		{"pools, and who waits", func(w io.Writer) error {
			return Printer{}.Pools(w, api.Snapshot{
				Pools:   []api.Pool{{Name: "p", Ranges: []string{"198.18.64.0/31"}, Size: 2, Used: 2, Waiting: 1}},
				Waiting: []api.Waiting{{Service: "a/b", Pool: "p", Reason: `pool "p" has no free IPv4 address`}},
			})
		}, `
POOLS
  NAME  FAMILY  USED  FREE  WAITING  RANGES          RULES
  p     -       2     0     1        198.18.64.0/31  -

WAITING
  SERVICE  POOL  REASON
  a/b      p     pool "p" has no free IPv4 address
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := tt.print(&out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusWide(t *testing.T) {
	t.Parallel()
	s := busy()
	s.Members, s.VIPs, s.Pools, s.Conflicts = s.Members[:2], s.VIPs[:1], nil, nil
	s.VIPs[0].Change = "n1 was lost"
	s.Conditions = []health.Condition{health.New(health.NoNetRaw, health.Node("n1"), "missing NET_RAW").Do("add it"), {Severity: health.Warning, Words: "odd"}}
	s.Interfaces = []api.Interface{{Name: "eth0", MAC: "02:00:00:00:00:01", Prefixes: []string{"198.18.0.0/24"}, Used: true}, {Name: "lo", Reason: "loopback"}}
	s.Keys = api.Keys{Held: []string{"0a0b0c0d"}, State: "all hold the same key"}
	s.Activity.Writes = map[string]uint64{"ok": 3, "conflict": 1, "gone": 0}
	want := `As n1 sees it, starling v0.1.0, not ready
  error (no-net-raw): missing NET_RAW
    to do: add it
  warning: odd

MEMBERS
  NAME  STATE      ANNOUNCES  SEEN  ROUND-TRIP  VERSION  NETWORKS                     GOSSIP           TIER      KEYS
  n1    not ready  0          5s    -           v0.1.0   -                            198.18.0.1:7927  normal    0a0b0c0d
  n2    draining   1          1s    0.25 ms     v0.1.0   198.18.0.0/24 2001:db8::/64  198.18.0.2:7927  draining  -

ADDRESSES
  ADDRESS      ANNOUNCER  NEXT  SINCE  POOL     SERVICE      INTERFACE  REASON                       CHANGE
  198.18.64.1  n2         n1    5m     default  a/web b/web  eth0 eth1  highest score of 2 eligible  n1 was lost

POOLS
  no pools yet: put your addresses into the ConfigMap starling

INTERFACES OF n1
  NAME  USED  MAC                NETWORKS       WHY NOT
  eth0  yes   02:00:00:00:00:01  198.18.0.0/24  -
  lo    no    -                  -              loopback

KEYS  0a0b0c0d: all hold the same key
WROTE  leases: 1 conflict, 3 ok; events: none
`
	var out strings.Builder
	if err := (Printer{Now: now, Wide: true}).Status(&out, s, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

// TestEntries: an address names its entry of announce where other addresses of the pool have
// another one, and in the wide table.
func TestEntries(t *testing.T) {
	t.Parallel()
	s := api.Snapshot{VIPs: []api.VIP{
		{IP: "198.18.64.1", Owner: "n1", Pool: "racks", Entries: []string{"announce[0]"}},
		{IP: "198.18.64.2", Owner: "n2", Pool: "racks", Entries: []string{"announce[0]", "announce[1]"}},
		{IP: "198.18.65.1", Owner: "n2", Pool: "plain", Entries: []string{"announce[2]"}},
	}}
	for _, tt := range []struct {
		wide bool
		want []string
	}{
		{false, []string{"racks announce[0]", "racks announce[0] announce[1]", "plain"}},
		{true, []string{"racks announce[0]", "racks announce[0] announce[1]", "plain announce[2]"}},
	} {
		var out strings.Builder
		if err := (Printer{Now: now, Wide: tt.wide}).Status(&out, s, nil); err != nil {
			t.Fatal(err)
		}
		for i, v := range s.VIPs {
			_, row, _ := strings.Cut(out.String(), "\n  "+v.IP+" ")
			row, _, _ = strings.Cut(row, "\n")
			if !strings.Contains(row, "  "+tt.want[i]+"  ") {
				t.Errorf("wide %v: %s in %q, want the pool %q", tt.wide, v.IP, row, tt.want[i])
			}
		}
	}
}

// Colors change nothing but the color: without their codes the tables are the same, columns and
// all.
func TestColors(t *testing.T) {
	t.Parallel()
	var plainOut, colored strings.Builder
	for color, out := range map[bool]*strings.Builder{false: &plainOut, true: &colored} {
		if err := (Printer{Now: now, Color: color}).Status(out, busy(), nil); err != nil {
			t.Fatal(err)
		}
	}
	bare := strings.NewReplacer(plain, "", red, "", green, "", yellow, "", over, "").Replace(colored.String())
	if diff := cmp.Diff(plainOut.String(), bare); diff != "" {
		t.Errorf("without the codes (-want +got):\n%s", diff)
	}
	for _, want := range []string{red + "not ready" + over, yellow + "draining" + over, red + "dead" + over, red + "none" + over, red + "stranger" + over} {
		if !strings.Contains(colored.String(), want) {
			t.Errorf("no %q in %q", want, colored.String())
		}
	}
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	line := `{"level":"info","room":"speaker","vip":"198.18.64.1","from":"","count":3,"time":"2026-01-02T03:04:05.000Z","message":"announcing"}`
	got, err := ParseEvent("n1", []byte(line))
	if err != nil {
		t.Fatal(err)
	}
	want := Event{Time: now, Speaker: "n1", Level: "info", Message: "announcing", Fields: "count=3 vip=198.18.64.1", Raw: got.Raw}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	var raw map[string]any
	if err := json.Unmarshal(got.Raw, &raw); err != nil || raw["speaker"] != "n1" || raw["room"] != "speaker" || raw["count"] != float64(3) {
		t.Errorf("raw %s, %v", got.Raw, err)
	}
	for _, bad := range []string{"", "announcing", "[]"} {
		if _, err := ParseEvent("n1", []byte(bad)); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("understand the event %q", bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
