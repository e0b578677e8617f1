package lease

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// FuzzHostileService gives a Service everything that users may write, and two neighbors that must
// not suffer from it: an older one, which has its address, and a younger one, which waits for one.
func FuzzHostileService(f *testing.F) {
	f.Add(`{"v":1,"ips":[{"ip":"192.0.2.1","state":"bound"}]}`, "192.0.2.1", "p", "k", "192.0.2.1", uint8(0))
	f.Add(`{{{`, "192.0.2.1,2001:db8::1", "\x00", "k", "::", uint8(255))
	f.Add(strings.Repeat("[", 1<<18), strings.Repeat("192.0.2.1,", 1<<15), strings.Repeat("p", 1<<18), strings.Repeat("\xff", 1<<18), "", uint8(2))
	f.Add(`{"v":1,"by":"here","ips":`+strings.Repeat(`[{"ip":`, 500), "2001:db8::1", "p", "\x00\x01\xfe", "\xff\xfe", uint8(0x38))
	f.Add(`{"v":1,"by":"here","ips":[`+strings.Repeat(`{"ip":"192.0.2.1"},`, 15)+`{"ip":"192.0.2.1","state":"bound"}]}`, "192.0.2.2,192.0.2.1", "p", "k", "", uint8(1))
	f.Add(`{"v":9223372036854775807,"by":"here","ips":[{"ip":"192.0.2.3","state":"bound"}]}`, "", "", "", "192.0.2.3", uint8(0x10))
	f.Add("{\"v\":1,\"by\":\"here\\u0000\\n\",\"ips\":[{\"ip\":\"192.0.2.3\",\"pool\":\"\\n\"}]}", "192.0.2.3\n", "p\n", "k\n", "192.0.2.3\n", uint8(0x20))
	pools := mustPools(f, Pool{Name: "p", Ranges: []string{"192.0.2.1-192.0.2.9", "2001:db8::/64"}})
	f.Fuzz(func(t *testing.T, lease, ips, pool, share, spec string, bits uint8) {
		hostile := plainService(1)
		hostile.Annotations = nil
		for name, value := range map[string]string{LeaseAnnotation: lease, askIPs[bits%3]: ips, askPool[bits%3]: pool, askShare[0]: share} {
			hostile.annotate(name, value)
		}
		hostile.LoadBalancerIP = spec
		hostile.Ingress = strings.Split(ips, ",")
		hostile.Families = [][]string{{ipv4}, {ipv6}, {ipv4, ipv6}, {share}}[bits>>2&3]
		hostile.FamilyPolicy = []string{"", preferDualStack, requireDualStack, pool}[bits>>4&3]
		younger := plainService(2)
		elder := boundServices(1, netip.MustParseAddr("192.0.2.1"))[0]
		api := newServer()
		api.revision = 1
		api.services = map[Key]Service{elder.Key(): elder, hostile.Key(): hostile, younger.Key(): younger}
		table, told := NewTable(), 0
		v := View{Now: epoch, Installation: "here", Pools: pools}
		for busy := true; busy; v.Now = v.Now.Add(interval) {
			if busy, told = round(t, table, api, v, told); v.Now.Sub(epoch) > 20*interval {
				t.Fatalf("there is no end of steps: %+v", api.services[hostile.Key()])
			}
		}
		if table.looks > 50 || told > 2*maxReported {
			t.Errorf("%d looks and %d events for one bad Service", table.looks, told)
		}
		if s := api.services[elder.Key()]; s.Version != "1" {
			t.Errorf("the elder was written to: %s", brief(s))
		}
		if s := api.services[younger.Key()]; len(s.Ingress) != 1 || s.Ingress[0] == elder.Ingress[0] {
			t.Errorf("the younger neighbor has %v", s.Ingress)
		}
	})
}

// round takes the steps that are due, and counts the events.
func round(t *testing.T, table *Table, api *server, v View, told int) (bool, int) {
	t.Helper()
	table.Apply(false, refs(api.list()...), nil, v.Now)
	steps, _ := table.Steps(v)
	for _, st := range steps {
		if st.Kind != Tell {
			table.Done(st, v.Now, api.write(st))
		}
		small(t, st)
		told += len(st.Events)
	}
	return len(steps) > 0, told
}

// small checks that a step is no burden for the API server.
func small(t *testing.T, st Step) {
	t.Helper()
	text, err := json.Marshal(st.Annotations)
	if err != nil || len(text) > 2*maxLease || len(st.Ingress) > maxShown+2 {
		t.Errorf("annotations of %d bytes, %d addresses, %v", len(text), len(st.Ingress), err)
	}
	for _, e := range st.Events {
		if len(e.Message) > 1000 || strings.Contains(e.Message, "\n") {
			t.Errorf("%q", e.Message)
		}
	}
}

// TestHugeServices gives Services as much of everything as an object has room for. What grew with
// the square of that would take minutes.
func TestHugeServices(t *testing.T) {
	const much = 40000
	var ports, ingress []string
	for i := range much {
		ports = append(ports, fmt.Sprint("TCP/", i))
		ingress = append(ingress, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String())
	}
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	for _, tt := range []struct {
		name   string
		change func(i int, s *Service)
	}{
		{"ports of two that share", func(i int, s *Service) {
			s.annotate(askShare[0], "k")
			if s.Ports = ports; i > 0 {
				s.Ports = append([]string{"UDP/1"}, ports[1:]...)
			}
		}},
		{"ingress", func(_ int, s *Service) { s.Ingress = ingress }},
		{"annotations", func(_ int, s *Service) {
			text := strings.Repeat(`{"a":[`, much)
			for _, names := range [][3]string{askIPs, askPool, askShare, {LeaseAnnotation, PoolAnnotation, "metallb.io/other"}} {
				for _, name := range names {
					s.annotate(name, text)
				}
			}
		}},
		{"families", func(_ int, s *Service) { s.Families = ports }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := newServer()
			for i := range 2 {
				s := plainService(i)
				tt.change(i, &s)
				api.create(s)
			}
			begin := time.Now()
			table, told := NewTable(), 0
			for busy := true; busy; v.Now = v.Now.Add(interval) {
				busy, told = round(t, table, api, v, told)
			}
			if took := time.Since(begin); took > 5*time.Second || told > 4*maxReported {
				t.Errorf("%v and %d events for two Services", took, told)
			}
		})
	}
}
