package lease

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestPriorityOfPools(t *testing.T) {
	runScripts(t, []scriptTest{
		{"the smallest first, then those without one in the order of the file", `
			pool late 198.18.64.1/32
			pool later 198.18.65.1/32
			pool second priority=20 198.18.66.1/32
			pool first priority=3 198.18.67.1/32
			pool asked priority=0 noauto 198.18.68.1/32
			create a
			create b
			create c
			create d
			create e
			create f pool=asked
			settle
			a 198.18.67.1
			b 198.18.66.1
			c 198.18.64.1
			d 198.18.65.1
			e -
			f 198.18.68.1
			usage first 1 1
		`},
		{"what is bound stays when a better pool has an address again", `
			pool late 198.18.64.1/32
			pool first priority=0 198.18.67.1/32
			create a
			create b
			settle
			b 198.18.64.1
			delete a
			wait 1m
			settle
			b 198.18.64.1
		`},
	})
}

func TestExcluded(t *testing.T) {
	runScripts(t, []scriptTest{
		{"excluded addresses are passed over and cannot be asked for", `
			pool default exclude=198.18.64.2,198.18.64.4/31 198.18.64.1-198.18.64.6
			create a
			create b
			create c
			create d
			create e ips=198.18.64.4
			settle
			a 198.18.64.1
			b 198.18.64.3
			c 198.18.64.6
			events d AllocationFailed: pool "default" has no free IPv4 address
			events e AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.4, which is excluded from pool "default"
			usage default 3 1
		`},
		{"an address that becomes excluded is replaced", `
			pool default 198.18.64.1-198.18.64.2
			create a
			settle
			pools
			pool default exclude=198.18.64.1 198.18.64.1-198.18.64.2
			step claim a
			a 198.18.64.1
			settle
			a 198.18.64.2
			events a IPAllocated: 198.18.64.1 from pool "default"; IPAllocated: 198.18.64.2 from pool "default"; IPReleased: 198.18.64.1: replaced by 198.18.64.2: the old one is excluded from pool "default"
		`},
		{"or stays, with an event, while there is no other", `
			pool default 198.18.64.1-198.18.64.2
			create a
			create b
			settle
			pools
			pool default exclude=198.18.64.1 198.18.64.1-198.18.64.2
			settle
			a 198.18.64.1
			events a IPAllocated: 198.18.64.1 from pool "default"; AllocationFailed: pool "default" has no free IPv4 address; it keeps 198.18.64.1 for now, which is excluded from pool "default"
			usage default 1 1
			delete b
			wait 5s
			settle
			a 198.18.64.2
		`},
	})
}

func TestKeep(t *testing.T) {
	runScripts(t, []scriptTest{
		{"a pool that keeps leaves bound addresses that it does not contain any more", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b ips=198.18.64.2
			settle
			pools
			pool default keep 198.18.65.1-198.18.65.9
			create c
			settle
			a 198.18.64.1
			b 198.18.64.2
			c 198.18.65.1
			events a IPAllocated: 198.18.64.1 from pool "default"
			events b IPAllocated: 198.18.64.2 from pool "default"
			usage default 1 0
			writes 6
			pools
			pool default 198.18.65.1-198.18.65.9
			settle
			a 198.18.65.2
			b 198.18.64.2
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.2, which is in no pool
		`},
		{"also what it excludes from now on", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool default keep exclude=198.18.64.1 198.18.64.1-198.18.64.9
			create b ips=198.18.64.1
			settle
			a 198.18.64.1
			b -
		`},
		{"only what is bound, and not what came from a pool of another name", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			step claim a claim b
			step bind a bind b
			create c
			step claim c
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.2","pool":"other","state":"bound"}]}
			pools
			pool default keep 198.18.65.1-198.18.65.9
			settle
			a 198.18.64.1
			b 198.18.65.1
			c 198.18.65.2
		`},
		{"who loses a kept address to an older Service does not get it again", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			create b ips=198.18.64.1
			pools
			pool default keep 198.18.65.1-198.18.65.9
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","pool":"default","state":"bound"}]}
			ingress b 198.18.64.1
			step repair b
			settle
			a 198.18.64.1
			b -
			events b AddressConflict: 198.18.64.1 was bound to ns/a too, which keeps it; IPReleased: 198.18.64.1: ns/a holds it; AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is in no pool
		`},
		{"a pool that is gone keeps nothing", `
			pool default keep 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool other keep 198.18.65.1-198.18.65.9
			settle
			a 198.18.65.1
			events a IPAllocated: 198.18.64.1 from pool "default"; IPAllocated: 198.18.65.1 from pool "other"; IPReleased: 198.18.64.1: replaced by 198.18.65.1: the old one is in no pool
		`},
		{"who is served by the pool no more does not keep either", `
			pool default services=app=web 198.18.64.1-198.18.64.9
			create a label=app=web
			create b label=app=web
			settle
			edit b nolabel
			pools
			pool default keep services=app=web 198.18.65.1-198.18.65.9
			pool rest 198.18.66.1-198.18.66.9
			settle
			a 198.18.64.1
			b 198.18.66.1
		`},
		{"what another pool contains now stands under the rules of that one", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			pools
			pool default keep 198.18.65.1-198.18.65.9
			pool web services=app=web 198.18.64.1/32
			settle
			a 198.18.65.1
			b 198.18.64.2
		`},
		{"a request for another pool moves it all the same", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool default keep 198.18.65.1-198.18.65.9
			pool two 198.18.66.1-198.18.66.9
			edit a pool=two
			settle
			a 198.18.66.1
		`},
	})
}

func TestKeptAddressIsOfItsPool(t *testing.T) {
	table := NewTable()
	s := boundServices(1, netip.MustParseAddr("198.18.0.1"))[0]
	s.annotate(LeaseAnnotation, `{"v":1,"by":"here","ips":[{"ip":"198.18.0.1","pool":"p","state":"bound"}]}`)
	table.Apply(true, refs(s), nil, epoch)
	for keep, want := range map[Keep]string{KeepAlways: "p", KeepUntilReplaced: "", KeepNever: ""} {
		pools := mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.9.0/24"}, Keep: keep})
		vips := table.VIPs(View{Now: epoch, Installation: "here", Pools: pools})
		if len(vips) != 1 || vips[0].Pool != want {
			t.Errorf("keep %s: %+v, want pool %q", keep, vips, want)
		}
	}
}

func TestServiceSelectors(t *testing.T) {
	runScripts(t, []scriptTest{
		{"each from the pool that is for it", `
			pool web services=app=web services=app=www 198.18.64.1-198.18.64.9
			pool db services=app=db 198.18.65.1-198.18.65.9
			create a label=app=db
			create b label=app=www
			create c label=app=mail
			create d
			settle
			a 198.18.65.1
			b 198.18.64.1
			events c AllocationFailed: no pool serves it: pool "web" is only for Services that match app=web or app=www, and this one has the labels app=mail; pool "db" is only for Services that match app=db, and this one has the labels app=mail
			events d AllocationFailed: no pool serves it: pool "web" is only for Services that match app=web or app=www, and this one has no labels; pool "db" is only for Services that match app=db, and this one has no labels
		`},
		{"nobody gets from it what it does not give, however it is asked for", `
			pool web services=app=web 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a pool=web
			create b ips=198.18.64.3
			create c label=app=web pool=web ips=198.18.64.3
			create d
			ingress d 198.18.64.9
			settle
			a -
			events a AllocationFailed: annotation starling-lb.io/address-pool asks for pool "web", which is only for Services that match app=web, and this one has no labels
			b -
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.3 of pool "web", which is only for Services that match app=web, and this one has no labels
			c 198.18.64.3
			d 198.18.65.1
		`},
		{"a change of labels moves the address, the new one claimed beside the old one", `
			pool web services=app=web 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a label=app=web
			settle
			a 198.18.64.1
			edit a nolabel
			step claim a
			holds a 198.18.64.1(bound),198.18.65.1(claimed)
			a 198.18.64.1
			step bind a
			a 198.18.65.1
			events a IPAllocated: 198.18.64.1 from pool "web"; IPAllocated: 198.18.65.1 from pool "rest"; IPReleased: 198.18.64.1: replaced by 198.18.65.1: the old one is of pool "web", which is only for Services that match app=web, and this one has no labels
			edit a label=app=web
			settle
			a 198.18.65.1
		`},
		{"without another pool it keeps what it has, and the reason is reported", `
			pool web services=app=web 198.18.64.1-198.18.64.9
			create a label=app=web
			create b label=app=web ips=198.18.64.5
			settle
			events a IPAllocated: 198.18.64.1 from pool "web"
			events b IPAllocated: 198.18.64.5 from pool "web"
			edit a nolabel
			edit b nolabel
			settle
			a 198.18.64.1
			b 198.18.64.5
			events a AllocationFailed: no pool serves it: pool "web" is only for Services that match app=web, and this one has no labels; it keeps 198.18.64.1 for now, which is of pool "web", which is only for Services that match app=web, and this one has no labels
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.5 of pool "web", which is only for Services that match app=web, and this one has no labels
			pools
			pool web services=app=web 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			settle
			a 198.18.65.1
			b 198.18.64.5
		`},
		{"a claim of a pool that is not for it any more is given up for another", `
			pool web services=app=web 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a label=app=web
			step claim a
			edit a nolabel
			step claim a
			holds a 198.18.65.1(claimed)
			settle
			a 198.18.65.1
		`},
		{"a change of the pool does the same", `
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9
			create a
			settle
			a 198.18.64.1
			pools
			pool one services=app=web 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9
			settle
			a 198.18.65.1
		`},
		{"nothing moves while members differ", `
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9
			create a
			settle
			freeze
			pools
			pool one services=app=web 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9
			create b
			settle
			a 198.18.64.1
			b 198.18.65.1
		`},
		{"those who wait for different pools do not wait for each other", `
			pool web services=app=web 198.18.64.1/32
			pool db services=app=db 198.18.65.1/32
			create a label=app=web
			create b label=app=db
			create c label=app=web
			create d label=app=db
			settle
			c -
			d -
			usage web 1 1
			usage db 1 1
			delete b
			wait 5s
			settle
			c -
			d 198.18.65.1
			edit c nolabel label=app=db
			settle
			events c AllocationFailed: pool "web" has no free IPv4 address; AllocationFailed: pool "db" has no free IPv4 address
			delete a
			delete d
			wait 5s
			settle
			c 198.18.65.1
		`},
		{"a pool named like a family is no family", `
			pool IPv6 198.18.64.1/32
			pool p 198.18.65.1/32
			create x
			create y
			settle
			create b pool=p families=46 policy=PreferDualStack
			create a
			settle
			a -
			delete x
			wait 5s
			settle
			a 198.18.64.1
		`},
		{"the second family comes from the pool of the first one, if that still serves", `
			pool both services=app=web 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create a label=app=web families=46 policy=PreferDualStack
			settle
			a 198.18.64.1,2001:db8::1
			edit a nolabel
			settle
			a 198.18.64.1,2001:db8::1
		`},
		{"those who share an address part when one is not served any more", `
			pool web services=app=web 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a label=app=web share=k ports=TCP/1
			create b label=app=web share=k ports=TCP/2
			settle
			b 198.18.64.1
			edit b nolabel
			settle
			a 198.18.64.1
			b 198.18.65.1
		`},
	})
}

func TestNamespaceSelectors(t *testing.T) {
	runScripts(t, []scriptTest{
		{"by name", `
			namespace
			pool theirs priority=1 namespaces=other,another 198.18.64.1-198.18.64.9
			pool ours priority=2 namespaces=ns 198.18.65.1-198.18.65.9
			create a
			create b pool=theirs
			settle
			a 198.18.65.1
			events b AllocationFailed: annotation starling-lb.io/address-pool asks for pool "theirs", which is only for namespaces named other, another, and the Service is in ns
		`},
		{"by name or by label", `
			namespace env=prod
			pool test namespaces=other spaces=env=test spaces=env=dev 198.18.64.1-198.18.64.9
			create a
			settle
			a -
			events a AllocationFailed: no pool serves it: pool "test" is only for namespaces named other or that match env=test or env=dev, and the Service is in ns, which has the labels env=prod
			namespace env=dev
			settle
			a 198.18.64.1
			pools
			pool test namespaces=ns spaces=env=test 198.18.64.1-198.18.64.9
			settle
			a 198.18.64.1
		`},
		{"a pool of higher priority is waited for as long as it might serve", `
			pool prod priority=1 spaces=env=prod 198.18.64.1-198.18.64.9
			pool rest priority=2 198.18.65.1-198.18.65.9
			pool asked priority=0 noauto spaces=env=prod 198.18.66.1-198.18.66.9
			create a families=46 policy=PreferDualStack
			create b
			settle
			b -
			writes 0
			namespace env=test
			settle
			a 198.18.65.1
			b 198.18.65.2
		`},
		{"both families of a pool that serves, or the one that there is of another", `
			namespace env=prod
			pool six spaces=env=prod 2001:db8::1-2001:db8::9
			pool four 198.18.65.1-198.18.65.9
			create a families=64 policy=RequireDualStack
			create b families=64 policy=PreferDualStack
			settle
			a -
			events a AllocationFailed: pool "six" has no IPv4 range; pool "four" has no IPv6 range; both families have to come from one pool
			b 2001:db8::1
		`},
		{"and by the Service as well", `
			namespace env=prod
			pool prod spaces=env=prod services=app=web 198.18.64.1-198.18.64.9
			create a
			create b label=app=web
			settle
			a -
			b 198.18.64.1
		`},
		{"a namespace that is not known yet is waited for without a word", `
			pool prod spaces=env=prod 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a
			create b ips=198.18.64.9
			create c pool=prod
			create d pool=rest
			settle
			a -
			b -
			c -
			d 198.18.65.1
			events a
			events b
			events c
			namespace env=prod
			settle
			a 198.18.64.1
			b 198.18.64.9
			c 198.18.64.2
		`},
		{"what another implementation left is adopted once the namespace is known", `
			pool prod spaces=env=prod 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a
			ingress a 198.18.64.4
			settle
			holds a 198.18.64.4(shown)
			writes 0
			namespace env=prod
			settle
			a 198.18.64.4
		`},
		{"or replaced, if the pool is not for it", `
			pool prod spaces=env=prod 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a
			ingress a 198.18.64.4
			settle
			namespace env=test
			step claim a
			holds a 198.18.65.1(claimed),198.18.64.4(shown)
			settle
			a 198.18.65.1
		`},
		{"a change of the namespace's labels moves its addresses", `
			namespace env=prod
			pool prod spaces=env=prod 198.18.64.1-198.18.64.9
			pool rest 198.18.65.1-198.18.65.9
			create a
			settle
			a 198.18.64.1
			namespace env=test
			step claim a
			settle
			a 198.18.65.1
			events a IPAllocated: 198.18.64.1 from pool "prod"; IPAllocated: 198.18.65.1 from pool "rest"; IPReleased: 198.18.64.1: replaced by 198.18.65.1: the old one is of pool "prod", which is only for namespaces that match env=prod, and the Service is in ns, which has the labels env=test
		`},
	})
}

// TestNamespaceChangesMarkTheirServices makes sure that a change of one namespace costs a look at
// its own Services alone, and one of the labels that nobody asked for costs none.
func TestNamespaceChangesMarkTheirServices(t *testing.T) {
	spaces := map[string]Labels{}
	v := View{
		Now: epoch, Installation: "here", NamespaceEdits: 1, NamespaceLabels: func(n string) Labels { return spaces[n] },
		Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}, NamespaceSelectors: []Selector{{MatchLabels: Labels{"a": "b"}}}}),
	}
	table := NewTable()
	var list []Service
	for i := range 100 {
		s := plainService(i)
		s.Namespace = fmt.Sprint("n", i%10)
		spaces[s.Namespace] = Labels{"a": "b"}
		list = append(list, s)
	}
	table.Apply(true, refs(list...), nil, epoch)
	if steps, _ := table.Steps(v); len(steps) != 100 {
		t.Fatalf("%d steps", len(steps))
	}
	marked := func(what string, want int) {
		t.Helper()
		v.NamespaceEdits++
		table.relabel(&v)
		if got := len(table.dirty); got != want {
			t.Errorf("%s: %d Services marked, want %d", what, got, want)
		}
		table.Steps(v)
	}
	marked("nothing", 0)
	spaces["n3"] = Labels{"a": "c"}
	marked("one namespace", 10)
	spaces["unused"] = Labels{"a": "b"}
	marked("a namespace without Services", 0)
	spaces["n4"], spaces["n5"] = Labels{"a": "b", "c": "d"}, nil
	marked("a label more, and a namespace that is gone", 20)
	v.Pools = mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})
	table.Steps(v)
	spaces["n6"] = Labels{}
	marked("the last time", 10)
	spaces["n6"] = Labels{"a": "b"}
	marked("nobody asks for labels any more", 0)
}

func TestSome(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, tt := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"none", nil, ""},
		{"one", []string{"a"}, "a"},
		{"several", []string{"a", "b", "c"}, "a, b, c"},
		{"too many", []string{long, long, long}, long + ", " + long[:maxSaid-102] + "..."},
		{"just enough", []string{long, long[:maxSaid-102]}, long + ", " + long[:maxSaid-102]},
		{"one more", []string{long, long[:maxSaid-102], "y"}, long + ", " + long[:maxSaid-102] + "..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, some(tt.texts, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestHostileLabelsAreBounded makes sure that what a user writes neither fills an event nor keeps
// the loop busy: sorting the labels for each pool would take ten times as long as is allowed here.
func TestHostileLabelsAreBounded(t *testing.T) {
	var list []Pool
	for i := range 200 {
		list = append(list, Pool{
			Name: fmt.Sprint("p", i), Ranges: []string{fmt.Sprintf("198.18.%d.0/24", i)},
			ServiceSelectors: []Selector{{MatchExpressions: []Requirement{{Key: "a", Operator: "In", Values: strings.Fields(strings.Repeat("x ", 500) + "y z")}}}},
		})
	}
	s := plainService(0)
	var labels []string
	for i := range 40000 {
		labels = append(labels, fmt.Sprintf("label%d=%s", i, strings.Repeat("v", 63)))
	}
	s.Labels = strings.Join(labels, ",")
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, list...)}
	begin := processorTime(t)
	table := NewTable()
	table.Apply(true, refs(s), nil, epoch)
	steps, _ := table.Steps(v)
	if took := processorTime(t) - begin; took > 2*time.Second {
		t.Errorf("%v for one Service", took)
	}
	if len(steps) != 1 || len(steps[0].Events) != 1 {
		t.Fatalf("%+v", steps)
	}
	got := steps[0].Events[0].Message
	if len(got) > 1000 || !strings.HasSuffix(got, "; and so on for 197 more") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// processorTime is how long this process has had a processor: a busy machine does not count.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestLabelsText(t *testing.T) {
	many := Labels{}
	for i := range 1000 {
		many[fmt.Sprintf("l%03d", i)] = ""
	}
	for _, tt := range []struct {
		name   string
		labels Labels
		want   string
	}{
		{"none", nil, "no labels"},
		{"in order", Labels{"b": "2", "a": "1", "c": ""}, "the labels a=1,b=2,c="},
		{"the first ones of many", many, "the labels " + strings.Join([]string{
			"l000=", "l001=", "l002=", "l003=", "l004=", "l005=", "l006=", "l007=", "l008=", "l009=", "l010=", "l011=", "l012=",
			"l013=", "l014=", "l015=", "l016=", "l017=", "l018=", "l019=", "l020=", "l021=", "l022=", "l023=", "l024=", "l025=",
		}, ",") + ",l026..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, labelsText(tt.labels)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
