package lease

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
)

// user does anything to any Service.
func (s *simulation) user() {
	k := key(oneOf(s.rand, []string{"a", "b", "c", "d"}))
	old, ok := s.api.services[k]
	if !ok {
		svc := Service{Namespace: k.Namespace, Name: k.Name, Type: typeLoadBalancer, Families: []string{ipv4}}
		svc.Ports = []string{oneOf(s.rand, []string{"TCP/80", "TCP/81"})}
		requests(&svc, oneOf(s.rand, [][]string{nil, {"share=k"}, {"families=46", "policy=RequireDualStack"}, {"families=64", "policy=PreferDualStack"}}))
		s.api.create(svc)
	} else {
		s.change(k)
	}
	for _, h := range held(s.api.services[k]) {
		if h.bound && !boundTo(old, h.ip) {
			s.forced[grip{k, h.ip}] = true
		}
	}
	s.record()
	s.note("user: %s", brief(s.api.services[k]))
}

func (s *simulation) change(k Key) {
	ip := oneOf(s.rand, []string{"192.0.2.1", "192.0.2.2", "192.0.2.9", "2001:db8::1", "203.0.113.1"})
	what := oneOf(s.rand, strings.Fields(edits))
	switch what {
	case "delete":
		delete(s.api.services, k)
		return
	case "namespace":
		s.labels = append(s.labels, Labels{"env": oneOf(s.rand, []string{"", "four"})})
		return
	}
	s.api.edit(k, func(c *Service) {
		switch what {
		case "deleting":
			c.Deleting = true
		case "flip":
			c.Type = map[string]string{typeLoadBalancer: "ClusterIP", "ClusterIP": typeLoadBalancer}[c.Type]
		case "note":
			c.annotate("metallb.io/note", strconv.Itoa(s.api.revision))
		case "strip", "copy", "forge", "foreign", "garbage":
			s.tamper(c, what, ip)
		case "ingress":
			c.Ingress = []string{ip}
		case "clear":
			c.Ingress = nil
		default:
			s.request(c, what, ip)
		}
	})
}

const edits = `delete deleting flip note note strip copy forge foreign garbage ingress clear request unrequest nonsense
	share class ports local selector pool families label namespace external`

// tamper changes the lease.
func (s *simulation) tamper(c *Service, what, ip string) {
	state := oneOf(s.rand, []string{stateBound, stateClaimed})
	text := ""
	switch what {
	case "copy":
		other := oneOf(s.rand, s.api.list())
		text = other.note(LeaseAnnotation)
	case "forge":
		text = fmt.Sprintf(`{"v":1,"by":"here","ips":[{"ip":%q,"state":%q}]}`, ip, state)
	case "foreign":
		text = fmt.Sprintf(`{"v":1,"by":"there","ips":[{"ip":%q,"state":%q}]}`, ip, state)
	case "garbage":
		text = oneOf(s.rand, []string{"{{", "[]", `{"v":0}`, `{"v":1,"by":"here","ips":[{"ip":7}]}`})
	}
	if c.annotate(LeaseAnnotation, text); text == "" {
		c.strip(LeaseAnnotation)
	}
}

// request changes what the Service asks for.
func (s *simulation) request(c *Service, what, ip string) {
	switch what {
	case "request":
		c.LoadBalancerIP = ip
	case "unrequest":
		c.LoadBalancerIP = ""
	case "nonsense":
		c.LoadBalancerIP = "nonsense"
	case "share":
		c.annotate(askShare[0], oneOf(s.rand, []string{"", "k"}))
	case "class":
		c.Class = oneOf(s.rand, []string{"", "other"})
	case "ports":
		c.Ports = oneOf(s.rand, [][]string{{"TCP/80"}, {"TCP/81"}, {"UDP/80", "TCP/82"}})
	case "local":
		c.Local = !c.Local
	case "selector":
		c.Selector = oneOf(s.rand, []string{"app=x", "app=y"})
	case "pool":
		c.annotate(askPool[0], oneOf(s.rand, []string{"", "one", "two", "three", "four"}))
	case "external":
		c.ExternalIPs = oneOf(s.rand, [][]string{nil, nil, {ip}})
	case "label":
		c.Labels = oneOf(s.rand, []string{"tier=", "tier=3"})
	case "families":
		requests(c, oneOf(s.rand, [][]string{{"families=4", "policy=SingleStack"}, {"families=46", "policy=RequireDualStack"}, {"families=64", "policy=PreferDualStack"}}))
	}
}

// backup is a copy of etcd.
type backup struct {
	services map[Key]Service
	revision int
}

func (s *simulation) save() {
	s.backup = backup{services: maps.Clone(s.api.services), revision: s.api.revision}
}

// restore goes back to the last copy of etcd, so that versions are used again for other contents.
// Nothing that was on its way survives that, and everybody lists anew, sooner or later.
func (s *simulation) restore() {
	s.api.services, s.api.revision = maps.Clone(s.backup.services), s.backup.revision
	s.record()
	for k, svc := range s.api.services {
		for _, h := range held(svc) {
			if h.bound {
				s.forced[grip{k, h.ip}] = true
			}
		}
	}
	s.restored = len(s.history) - 1
	for _, p := range s.speakers {
		p.outbox, p.lost = nil, true
	}
	s.note("restored")
}

// TestSimulateCalm lets one speaker that misses nothing finish after each thing that users do. It
// then must have done all that one would do who looks at everything anew: whom an event concerns is
// known.
func TestSimulateCalm(t *testing.T) {
	first, last := uint64(1), *seedsFlag/4
	if raceDetector {
		last /= 10
	}
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	revisions := 0
	for seed := first; seed <= last; seed++ {
		s := newSimulation(t, seed)
		s.speakers = s.speakers[:1]
		for range 40 {
			s.user()
			s.finish()
		}
		revisions += len(s.history)
	}
	t.Logf("%d seeds, %d revisions", last-first+1, revisions)
}
