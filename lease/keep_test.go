package lease

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRevoke: with keep: false a Service loses what it may not have, whether or not it gets another
// address.
func TestRevoke(t *testing.T) {
	runScripts(t, []scriptTest{
		{"the pool is gone, and there is no other: after 30 s", `
			pool default keep=false 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			pools
			settle
			a 198.18.64.1
			events a AllocationFailed: no pool is configured; it loses 198.18.64.1 in 30s unless it gets another one first: 198.18.64.1 is in no pool
			wait 29999ms
			settle
			a 198.18.64.1
			wait 1ms
			step release a
			settle
			a -
			holds a -
			events a IPReleased: 198.18.64.1: given up after 30s without another one: it is in no pool; AllocationFailed: no pool is configured
			writes 3
		`},
		{"the rule is remembered by the lease, not by a speaker", `
			pool default revoke=5s 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			restart
			settle
			a 198.18.64.1
			wait 5s
			settle
			a -
		`},
		{"a restart begins the wait anew", `
			pool default keep=false 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			settle
			wait 29s
			restart
			settle
			wait 29s
			settle
			a 198.18.64.1
			wait 1s
			settle
			a -
		`},
		{"so does a speaker that did not run when the wait was over", `
			pool default keep=false 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			settle
			wait 33s
			settle
			wait 29s
			settle
			a 198.18.64.1
			wait 1s
			break
			step release a
			wait 10s
			mend
			step release a
			a -
		`},
		{"a slip that is mended in time moves nobody, and the next one has all of its time", `
			pool default keep=false 198.18.64.1-198.18.64.9
			create a
			settle
			writes 2
			pools
			settle
			wait 29s
			settle
			pool default keep=false 198.18.64.1-198.18.64.9
			settle
			wait 29s
			pools
			settle
			wait 29s
			settle
			a 198.18.64.1
			writes 0
		`},
		{"the label of the Service", `
			pool web keep=false services=app=web 198.18.64.1-198.18.64.9
			create a label=app=web
			settle
			edit a nolabel
			settle
			events a IPAllocated: 198.18.64.1 from pool "web"; AllocationFailed: no pool serves it: pool "web" is only for Services that match app=web, and this one has no labels; it loses 198.18.64.1 in 30s unless it gets another one first: 198.18.64.1 is of pool "web", which is only for Services that match app=web, and this one has no labels
			edit a other/note=1
			wait 30s
			settle
			a -
			events a IPReleased: 198.18.64.1: given up after 30s without another one: it is of pool "web", which is only for Services that match app=web, and this one has no labels; AllocationFailed: no pool serves it: pool "web" is only for Services that match app=web, and this one has no labels
			edit a label=app=web
			settle
			a 198.18.64.1
		`},
		{"the scope of the pool, and the label of the namespace", `
			namespace env=prod
			pool web keep=false 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool web keep=false spaces=env=test 198.18.64.1-198.18.64.9
			settle
			wait 30s
			settle
			a -
			namespace env=test
			settle
			a 198.18.64.1
			namespace env=prod
			settle
			wait 30s
			settle
			a -
		`},
		{"as long as the labels of the namespace are not known nothing is given up", `
			pool web revoke=0s 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool web revoke=0s spaces=env=test 198.18.64.1-198.18.64.9
			settle
			wait 1h
			settle
			a 198.18.64.1
			namespace env=prod
			settle
			a -
		`},
		{"what it asks for does not help", `
			pool web keep=false 198.18.64.1-198.18.64.9
			create a pool=web
			create b ips=198.18.64.7
			create c spec=198.18.64.8
			settle
			pools
			pool web keep=false services=app=web 198.18.64.1-198.18.64.9
			settle
			events b IPAllocated: 198.18.64.7 from pool "web"; AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.7 of pool "web", which is only for Services that match app=web, and this one has no labels; it loses 198.18.64.7 in 30s unless it gets another one first: 198.18.64.7 is of pool "web", which is only for Services that match app=web, and this one has no labels
			edit c spec=nonsense
			settle
			wait 30s
			settle
			a -
			b -
			c -
		`},
		{"a request that cannot be granted costs nobody what it may have", `
			pool web revoke=0s 198.18.64.1-198.18.64.9
			pool full 198.18.65.1/32
			create x pool=full
			create a
			settle
			a 198.18.64.1
			edit a pool=full
			settle
			wait 1h
			settle
			a 198.18.64.1
			edit a pool=none
			settle
			a 198.18.64.1
			edit a pool=web ips=198.18.65.1
			settle
			a 198.18.64.1
		`},
		{"who gets another address gets it as ever, at once", `
			pool web keep=false services=app=web 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a label=app=web
			settle
			edit a nolabel
			step claim a
			a 198.18.64.1
			step bind a
			a 198.18.65.1
			events a IPAllocated: 198.18.64.1 from pool "web"; IPAllocated: 198.18.65.1 from pool "rest"; IPReleased: 198.18.64.1: replaced by 198.18.65.1: the old one is of pool "web", which is only for Services that match app=web, and this one has no labels
		`},
		{"the pool that contains it says what becomes of it", `
			pool one keep=false 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			pools
			pool two services=app=web 198.18.64.1-198.18.64.1
			pool three keep=false services=app=web 198.18.64.2-198.18.64.2
			settle
			wait 30s
			settle
			a 198.18.64.1
			b -
		`},
		{"a pool that is there says it, whatever the lease remembers", `
			pool one 198.18.64.1-198.18.64.2
			create a
			create b
			settle
			pools
			pool one keep=false 198.18.64.1-198.18.64.2
			step note a note b
			pools
			pool one keep=untilReplaced 198.18.64.2/32
			step note a note b
			settle
			wait 1h
			settle
			a 198.18.64.1
			events a IPAllocated: 198.18.64.1 from pool "one"; AllocationFailed: pool "one" has no free IPv4 address; it keeps 198.18.64.1 for now, which is in no pool
			pools
			settle
			wait 1h
			settle
			a 198.18.64.1
		`},
		{"the lease follows the rule of the pool by one write", `
			pool one revoke=5s 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool one revoke=1m 198.18.64.1-198.18.64.9
			step note a
			pools
			settle
			wait 59s
			settle
			a 198.18.64.1
			wait 1s
			settle
			a -
			writes 4
		`},
		{"while members have different pools the lease keeps its rule, and nothing is given up", `
			pool one revoke=5s 198.18.64.1-198.18.64.9
			create a
			settle
			writes 2
			freeze
			pools
			pool one 198.18.64.1-198.18.64.9
			settle
			pools
			settle
			wait 1h
			settle
			a 198.18.64.1
			writes 0
		`},
		{"one family of two", `
			pool one keep=false 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			create a families=46 policy=PreferDualStack
			create b families=46 policy=RequireDualStack
			settle
			pools
			pool one keep=false 198.18.64.1-198.18.64.9
			settle
			events b IPAllocated: 198.18.64.2 from pool "one"; IPAllocated: 2001:db8:1::2 from pool "one"; AllocationFailed: pool "one" has no IPv6 range; both families have to come from one pool; it loses 2001:db8:1::2 in 30s unless it gets another one first: 2001:db8:1::2 is in no pool
			wait 30s
			settle
			a 198.18.64.1
			b 198.18.64.2
			events b IPReleased: 2001:db8:1::2: given up after 30s without another one: it is in no pool; AllocationFailed: pool "one" has no IPv6 range; both families have to come from one pool
		`},
		{"of those who share an address the one that may not have it", `
			pool web keep=false services=app=web 198.18.64.1-198.18.64.9
			create a label=app=web share=k ports=TCP/1
			create b label=app=web share=k ports=TCP/2
			settle
			b 198.18.64.1
			edit a nolabel
			settle
			wait 30s
			settle
			a -
			b 198.18.64.1
		`},
		{"what a node has meanwhile is no rule of the pool", `
			pool one keep=false 198.18.64.1-198.18.64.9
			create a
			settle
			reserve 198.18.64.1 node n1's address
			settle
			wait 1h
			settle
			a 198.18.64.1
		`},
		{"a Service that goes away keeps it to its end", `
			pool one keep=false 198.18.64.1-198.18.64.9
			create a
			settle
			deleting a
			pools
			settle
			wait 1h
			settle
			a 198.18.64.1
		`},
		{"keep: true keeps what its ranges do not contain, and nothing else", `
			pool one keep services=app=web 198.18.64.1-198.18.64.9
			create a label=app=web
			settle
			pools
			pool one keep services=app=web 198.18.65.1-198.18.65.9
			settle
			a 198.18.64.1
			pools
			settle
			wait 1h
			settle
			a 198.18.64.1
			pool two 198.18.66.1/32
			settle
			a 198.18.66.1
		`},
		{"the next speaker takes the step when the first one does not", `
			pool default revoke=5s 198.18.64.1-198.18.64.9
			create a
			settle
			rank 2
			pools
			settle
			wait 5s
			settle
			wait 1999ms
			settle
			a 198.18.64.1
			wait 1ms
			settle
			a -
		`},
	})
}

// TestRevokeIsOneWrite: two speakers whose waits began at different times do not undo each other.
// The first whose wait is over takes the step, and the write of the other one does not land.
func TestRevokeIsOneWrite(t *testing.T) {
	api := newServer()
	pools := mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.1/32"}, Keep: KeepNever})
	api.create(Service{Namespace: "ns", Name: "a", Type: typeLoadBalancer, Families: []string{ipv4}})
	speakers := []*Table{NewTable(), NewTable()}
	now := epoch
	turn := func(i int, p *Pools) (landed int) {
		speakers[i].Apply(true, refs(api.list()...), nil, now)
		steps, _ := speakers[i].Steps(View{Now: now, Installation: "here", Pools: p})
		for _, st := range steps {
			if st.Kind == Tell {
				continue
			}
			err := api.write(st)
			speakers[i].Done(st, now, err)
			landed += btoi(err == nil)
		}
		return landed
	}
	turn(0, pools)
	turn(0, pools)
	none := mustPools(t)
	turn(0, none)
	now = now.Add(20 * time.Second)
	turn(1, none)
	now = now.Add(10 * time.Second)
	stale, _ := speakers[1].Steps(View{Now: now.Add(20 * time.Second), Installation: "here", Pools: none})
	if n := turn(0, none); n != 1 || len(held(api.services[key("a")])) != 0 {
		t.Fatalf("%d writes landed, it holds %v", n, held(api.services[key("a")]))
	}
	for _, st := range stale {
		if st.Kind != Tell && api.write(st) == nil {
			t.Errorf("%s landed after the other one", st.Kind)
		}
	}
	for i := range speakers {
		if n := turn(i, none); n != 0 {
			t.Errorf("speaker %d has %d writes left", i, n)
		}
	}
}

func TestKeepInTheConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name, text, err string
		want            Keep
		after           time.Duration
	}{
		{"nothing", "", "", "", 0},
		{"no value", "keep: null", "", "", 0},
		{"the default", "keep: untilReplaced", "", KeepUntilReplaced, 0},
		{"true", "keep: true", "", KeepAlways, 0},
		{"false", "keep: false", "", KeepNever, 30 * time.Second},
		{"at once", "keep: false, revokeAfter: 0s", "", KeepNever, 0},
		{"later", "keep: false, revokeAfter: 1h30m", "", KeepNever, 90 * time.Minute},
		{"in quotes", `keep: "false"`, `pools[0].keep: want true, false or untilReplaced, got the text "false"`, "", 0},
		{"another word", "keep: never", `pools[0].keep: want true, false or untilReplaced, got the text "never"`, "", 0},
		{"a list", "keep: [true]", `pools[0].keep: want true, false or untilReplaced, got a list`, "", 0},
		{"a number", "keep: false, revokeAfter: 30", `pools[0].revokeAfter: want a duration with its unit, such as 90s, got the number 30`, "", 0},
		{"a number in quotes", `keep: false, revokeAfter: "30"`, `pool "p": revokeAfter "30": no duration; want one such as 30s or 5m`, "", 0},
		{"negative", "keep: false, revokeAfter: -1s", `pool "p": revokeAfter "-1s": negative; want 0s or more`, "", 0},
		{"without its rule", "revokeAfter: 1m", `pool "p": revokeAfter "1m": has no effect without keep: false; remove it, or add keep: false`, "", 0},
		{"with another rule", "keep: true, revokeAfter: 1m", `pool "p": revokeAfter "1m": has no effect without keep: false; remove it, or add keep: false`, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseConfig([]byte("pools: [{name: p, ranges: [192.0.2.0/24], " + tt.text + "}]"))
			var p *Pools
			if err == nil {
				p, err = NewPools(c.Pools)
			}
			if diff := cmp.Diff(tt.err, text(err)); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			if i := p.List()[0]; i.Keep != tt.want || i.RevokeAfter != tt.after {
				t.Errorf("keep %s, after %s", i.Keep, i.RevokeAfter)
			}
			again, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ParseConfig(again); err != nil || cmp.Diff(c, back) != "" {
				t.Errorf("written as %s and read as %+v: %v", again, back, err)
			}
		})
	}
	if _, err := NewPools([]Pool{{Name: "p", Ranges: []string{"192.0.2.0/24"}, Keep: "perhaps"}}); err == nil || !strings.Contains(err.Error(), `keep "perhaps": want true, false or untilReplaced`) {
		t.Errorf("a rule that there is not: %v", err)
	}
}

func TestSaid(t *testing.T) {
	for want, after := range map[string]time.Duration{"0s": 0, "30s": 30 * time.Second, "1m": time.Minute, "10m": 10 * time.Minute, "1m10s": 70 * time.Second, "1h": time.Hour, "1h30m": 90 * time.Minute, "20h0m30s": 20*time.Hour + 30*time.Second} {
		if got := shortDuration(after); got != want {
			t.Errorf("%v is said as %q, want %q", after, got, want)
		}
	}
}

// TestLeaseRemembersTheRule: leases of pools with another rule are written as before.
func TestLeaseRemembersTheRule(t *testing.T) {
	for said, want := range map[string]time.Duration{"": never, "30s": 30 * time.Second, "0s": 0, "-1s": never, "soon": never, "1h0m0s": time.Hour} {
		got := parseRevoke(said)
		if got != want {
			t.Errorf("%q is read as %v, want %v", said, got, want)
		}
		if again := parseRevoke(formatRevoke(got)); again != got {
			t.Errorf("%v is written as %q and read as %v", got, formatRevoke(got), again)
		}
	}
	if text := (Lease{V: 1, By: "here", Holder: "n1", IPs: []Item{{State: stateBound}}}).Encode(); strings.Contains(text, "revoke") {
		t.Error(text)
	}
}
