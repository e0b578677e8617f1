package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script runs operations, one a line, against one speaker and an API server:
//
//	pool NAME [OPTION]... RANGE[,RANGE]        adds a pool to the configuration, see options
//	pools                                      empties the configuration
//	create NAME [REQUEST]...                      creates a Service
//	edit NAME [REQUEST]...                        changes it
//	delete NAME | deleting NAME                ends it, or only announces that
//	recreate NAME                              ends it and makes it again at once, with the same spec
//	ingress NAME IP[,IP]|- [BY]                sets its ingress, as another implementation does
//	lease NAME TEXT|-                          sets its lease, as a hand does
//	restore NAME IP                            sets lease and ingress to bound, under the same version
//	reserve IP WHY                             reserves an address
//	conflict [IP=MAC]...                       tells this speaker which stations answer for bound addresses
//	spread NODE=[IP[,IP]...]...                says who would announce which address
//	namespace [LABEL=VALUE]...                 makes the namespace known, with these labels
//	rank N | class NAME | freeze               the speaker's rank, class, freeze
//	restart                                    goes on as a new speaker, with nothing but a list
//	break | mend                               lets writes fail, or not any more
//	settle                                     takes steps until none is due
//	step KIND NAME...                          takes one round of steps and says which they are
//	wait DURATION                              lets time pass
//	NAME IP[,IP]|-                             expects these addresses to be bound and shown
//	holds NAME IP(claimed|bound|shown),...     expects exactly these holds
//	events NAME [REASON: TEXT]; ...            expects the events since the last such line
//	usage POOL USED WAITING                    expects the counts
//	vips -|IP[=SERVICE+SERVICE]...             expects these to be announced
//	writes N                                   expects so many writes since the last such line
type script struct {
	t        *testing.T
	api      *server
	table    *Table
	view     View
	pools    []Pool
	reserved map[netip.Addr]string
	rank     int
	broken   bool
	events   map[string][]string
	seen     int // writes
}

func runScript(t *testing.T, text string) {
	t.Helper()
	s := &script{t: t, api: newServer(), table: NewTable(), reserved: map[netip.Addr]string{}, events: map[string][]string{}}
	s.view = View{
		Now: epoch, Installation: "here", Self: "n1", Rank: func(string) int { return s.rank },
		Reserved: func(ip netip.Addr) string { return s.reserved[ip] },
	}
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if diff := s.do(line); diff != "" {
			t.Fatalf("line %d: %s\n%s", i+1, line, diff)
		}
	}
}

func (s *script) do(line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	words := strings.Fields(rest)
	switch verb {
	case "pool", "pools", "reserve", "conflict", "spread", "namespace", "rank", "class", "freeze", "break", "mend", "wait":
		s.configure(verb, words)
	case "create":
		k := key(words[0])
		svc := Service{Namespace: k.Namespace, Name: k.Name, Type: typeLoadBalancer, Families: []string{ipv4}, Ports: []string{"TCP/80"}}
		requests(&svc, words[1:])
		s.api.create(svc)
	case "edit":
		s.api.edit(key(words[0]), func(svc *Service) { requests(svc, words[1:]) })
	case "delete":
		delete(s.api.services, key(words[0]))
	case "recreate":
		svc := s.api.services[key(words[0])]
		svc.strip(LeaseAnnotation)
		svc.strip(PoolAnnotation)
		svc.Ingress = nil
		s.api.create(svc)
	case "deleting":
		s.api.edit(key(words[0]), func(svc *Service) { svc.Deleting = true })
	case "ingress":
		s.api.edit(key(words[0]), func(svc *Service) { svc.Ingress, svc.Writer = list(words[1]), strings.Join(words[2:], " ") })
	case "lease":
		s.api.edit(key(words[0]), func(svc *Service) { svc.annotate(LeaseAnnotation, strings.TrimPrefix(words[1], "-")) })
	case "restart":
		s.table = NewTable()
	case "restore":
		s.restore(key(words[0]), netip.MustParseAddr(words[1]))
	case "settle":
		return s.settle()
	default:
		return s.expect(verb, words, rest)
	}
	s.watch()
	return ""
}

// restore gives a Service another content and no other version, as a restored backup may do.
func (s *script) restore(k Key, ip netip.Addr) {
	version := s.api.services[k].Version
	s.api.edit(k, func(svc *Service) {
		svc.annotate(LeaseAnnotation, Lease{V: 1, By: "here", IPs: []Item{{IP: ip, Pool: "default", State: stateBound}}}.Encode())
		svc.annotate(PoolAnnotation, "default")
		svc.Ingress = []string{ip.String()}
	})
	svc := s.api.services[k]
	svc.Version = version
	s.api.services[k] = svc
}

func (s *script) configure(verb string, words []string) {
	switch verb {
	case "pool":
		s.pools = append(s.pools, options(Pool{Name: words[0], Ranges: list(words[len(words)-1])}, words[1:len(words)-1]))
		fallthrough
	case "pools":
		if verb == "pools" {
			s.pools = nil
		}
		pools, err := NewPools(s.pools)
		if err != nil {
			s.t.Fatal(err)
		}
		s.view.Pools = pools
	case "reserve":
		s.reserved[netip.MustParseAddr(words[0])] = strings.Join(words[1:], " ")
	case "conflict":
		s.view.Conflicts = map[netip.Addr]string{}
		for _, w := range words {
			ip, mac, _ := strings.Cut(w, "=")
			s.view.Conflicts[netip.MustParseAddr(ip)] = mac
		}
	case "spread":
		s.view.Spread = spreadOf(words)
	case "namespace":
		labels := labeled(words)
		s.view.NamespaceLabels = func(string) Labels { return labels }
		s.view.NamespaceEdits++
	case "rank":
		if _, err := fmt.Sscan(words[0], &s.rank); err != nil {
			s.t.Fatal(err)
		}
	case "class":
		s.view.Classes = Classes(words[0])
	case "freeze":
		s.view.Freeze = true
	case "break", "mend":
		s.broken = verb == "break"
	case "wait":
		d, err := time.ParseDuration(words[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.view.Now = s.view.Now.Add(d)
	}
}

// spreadOf reads "NODE=IP,IP NODE=IP"; without any it is none.
func spreadOf(words []string) *Spread {
	if len(words) == 0 {
		return nil
	}
	by := map[string]string{}
	s := &Spread{Announcer: func(ip netip.Addr) string { return by[ip.String()] }}
	for _, w := range words {
		node, ips, _ := strings.Cut(w, "=")
		s.Nodes = append(s.Nodes, node)
		for _, ip := range list(ips) {
			by[ip] = node
		}
	}
	return s
}

// options reads "noauto avoid across keep keep=RULE revoke=DURATION exclude=IP,IP priority=N
// namespaces=NAME,NAME", and "spaces=LABEL=VALUE services=LABEL=VALUE", each of which adds a
// selector.
func options(p Pool, words []string) Pool {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "noauto":
			p.AutoAssign = new(bool)
		case "limit":
			p.MaxPerNamespace, _ = strconv.Atoi(value)
		case "keepFor":
			p.KeepFor = Duration(value)
		case "given":
			p.Allocate = new(bool)
		case "external":
			p.Allocate, p.ExternalIPs = new(bool), true
		case "avoid":
			p.AvoidBuggyIPs = true
		case "keep":
			if p.Keep = KeepAlways; value != "" {
				p.Keep = Keep(value)
			}
		case "revoke":
			p.Keep, p.RevokeAfter = KeepNever, Duration(value)
		case "exclude":
			p.Exclude = list(value)
		case "priority":
			n, _ := strconv.Atoi(value)
			p.Priority = &n
		case "namespaces":
			p.Namespaces = list(value)
		case "reserved":
			name, ips, _ := strings.Cut(value, ":")
			p.Reservations = map[string]string{name: strings.ReplaceAll(ips, "+", ",")}
		case "across":
			p.ShareAcrossNamespaces = true
		case "spaces":
			p.NamespaceSelectors = append(p.NamespaceSelectors, Selector{MatchLabels: labeled([]string{value})})
		case "services":
			p.ServiceSelectors = append(p.ServiceSelectors, Selector{MatchLabels: labeled([]string{value})})
		}
	}
	return p
}

// labeled reads "LABEL=VALUE" words.
func labeled(words []string) Labels {
	labels := Labels{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		labels[name] = value
	}
	return labels
}

// watch brings the table up to date.
func (s *script) watch() {
	var gone []Key
	for k := range s.table.entries {
		if _, ok := s.api.services[k]; !ok {
			gone = append(gone, k)
		}
	}
	s.table.Apply(false, refs(s.api.list()...), gone, s.view.Now)
}

// round takes the steps that are due now and returns them as "kind name".
func (s *script) round() []string {
	steps, _ := s.table.Steps(s.view)
	var did []string
	for _, st := range steps {
		did = append(did, st.Kind+" "+st.Service.Name)
		if st.Kind != Tell {
			var err error
			if err = errGone; !s.broken {
				err = s.api.write(st)
			}
			s.table.Done(st, s.view.Now, err)
			if err != nil {
				continue
			}
		}
		for _, e := range st.Events {
			s.events[st.Service.Name] = append(s.events[st.Service.Name], e.Reason+": "+e.Message)
		}
	}
	s.watch()
	return did
}

func (s *script) settle() string {
	for range 100 {
		if len(s.round()) == 0 {
			return ""
		}
	}
	return "there is no end of steps"
}

func (s *script) expect(verb string, words []string, rest string) string {
	switch verb {
	case "step":
		var want []string
		for i := 0; i+1 < len(words); i += 2 {
			want = append(want, words[i]+" "+words[i+1])
		}
		return cmp.Diff(want, s.round())
	case "holds":
		return cmp.Diff(words[1], s.holds(words[0]))
	case "events":
		name, texts, _ := strings.Cut(rest, " ")
		got := s.events[name]
		s.events[name] = nil
		return cmp.Diff(strings.TrimSpace(texts), strings.Join(got, "; "))
	case "usage":
		for _, u := range s.table.Usage(s.view.Pools) {
			if u.Pool == words[0] {
				return cmp.Diff(words[1:], []string{fmt.Sprint(u.Used), fmt.Sprint(u.Waiting), fmt.Sprint(u.Free)}[:len(words)-1])
			}
		}
		return "no such pool"
	case "vips":
		return cmp.Diff(rest, s.vips(strings.Contains(rest, "=")))
	case "writes":
		n := s.api.writes - s.seen
		s.seen = s.api.writes
		return cmp.Diff(words[0], fmt.Sprint(n))
	}
	return cmp.Diff(words[0], s.addresses(verb))
}

// vips are the addresses to announce, with their Services or without.
func (s *script) vips(services bool) string {
	var all []string
	for _, v := range s.table.VIPs(s.view) {
		text := v.IP.String()
		if services {
			var names []string
			for _, k := range v.Services {
				names = append(names, k.String())
			}
			text += "=" + strings.Join(names, "+")
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, " ")
}

// addresses returns the ingress of a Service, having made sure that lease, table and pool
// annotation agree with it.
func (s *script) addresses(name string) string {
	svc, ok := s.api.services[key(name)]
	if !ok {
		return "no such Service"
	}
	var bound []string
	for _, v := range s.table.VIPs(s.view) {
		if slices.Contains(v.Services, key(name)) {
			bound = append(bound, v.IP.String())
		}
	}
	if len(bound) != len(svc.Ingress) {
		return fmt.Sprintf("announced %v, shown %v", bound, svc.Ingress)
	}
	if (svc.note(PoolAnnotation) == "") != (len(bound) == 0) {
		return fmt.Sprintf("announced %v, pool annotation %q", bound, svc.note(PoolAnnotation))
	}
	if len(svc.Ingress) == 0 {
		return "-"
	}
	return strings.Join(svc.Ingress, ",")
}

func (s *script) holds(name string) string {
	e := s.table.entries[key(name)]
	var all []string
	for _, h := range e.holds {
		state := "claimed"
		switch {
		case h.bound:
			state = "bound"
		case h.shown:
			state = "shown"
		}
		all = append(all, h.ip.String()+"("+state+")")
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ",")
}

// requests reads "ips=IP+IP pool=NAME share=KEY ports=A,B spec=IP type=T class=C families=46
// policy=P local selector=S label=NAME=VALUE NAME/ANNOTATION=VALUE"; "nolabel" takes all labels
// away.
func requests(s *Service, words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "ips":
			s.annotate(askIPs[0], value)
		case "pool":
			s.annotate(askPool[0], value)
		case "share":
			s.annotate(askShare[0], value)
		case "ports":
			s.Ports = list(value)
		case "spec":
			s.LoadBalancerIP = value
		case "type":
			s.Type = value
		case "class":
			s.Class = value
		case "families":
			s.Families = strings.Split(strings.NewReplacer("46", "IPv4 IPv6", "64", "IPv6 IPv4", "4", "IPv4", "6", "IPv6").Replace(value), " ")
		case "policy":
			s.FamilyPolicy = value
		case "local":
			s.Local = value != "no"
		case "selector":
			s.Selector = value
		case "external":
			s.ExternalIPs = list(value)
		case "label":
			s.Labels = strings.TrimPrefix(s.Labels+","+value, ",")
		case "nolabel":
			s.Labels = ""
		default:
			s.annotate(name, value)
		}
	}
}

// key reads "NAME" of the namespace ns, or "NAMESPACE/NAME".
func key(text string) Key {
	if space, name, other := strings.Cut(text, "/"); other {
		return Key{space, name}
	}
	return Key{"ns", text}
}

func list(text string) []string {
	if text == "-" || text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

type scriptTest struct{ name, script string }

func runScripts(t *testing.T, tests []scriptTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { runScript(t, tt.script) })
	}
}
