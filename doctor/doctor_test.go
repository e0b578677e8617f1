package doctor

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

func peer(name, addr string) Peer { return Peer{name, netip.MustParseAddrPort(addr)} }

// well is an examiner of a node that lacks nothing.
func well() *Examiner {
	e := &Examiner{
		Node: "n1",
		Snapshot: func() api.Snapshot {
			return api.Snapshot{
				Node:       "n1",
				Members:    []api.Member{{Name: "n1", State: "alive"}, {Name: "n2", State: "alive"}, {Name: "n3", State: "left"}},
				Interfaces: []api.Interface{{Name: "eth0", Used: true}, {Name: "lo", Reason: "loopback"}},
				Keys:       api.Keys{Held: []string{"0a0b0c0d"}, State: "all hold the same key"},
				Pools:      []api.Pool{{Name: "p", Ranges: []string{"198.18.64.0/30"}, Size: 4, Free: 4}},
			}
		},
		Dial:   func(context.Context, string) error { return nil },
		Socket: func() error { return nil },
		Proxy:  func(context.Context) (string, error) { return "nftables", nil },
		Sysctl: func(string) (string, error) { return "", os.ErrNotExist },
	}
	e.Meet(
		func() []Peer { return []Peer{peer("n2", "198.18.0.2:7927"), peer("n3", "198.18.0.3:7927")} },
		func(context.Context, Peer) (time.Duration, error) { return time.Millisecond, nil },
	)
	return e
}

func wellChecks() []Check {
	return []Check{
		{"packet-socket", OK, "a packet socket can be opened (NET_RAW)", "", ""},
		{"interfaces", OK, "announces on eth0", "", ""},
		{"kube-proxy", OK, "mode nftables", "", ""},
		{"gossip-tcp", OK, "reaches all 2 other nodes", "", ""},
		{"gossip-udp", OK, "reaches all 2 other nodes", "", ""},
		{"keys", OK, "all hold the same key", "", ""},
		{"pools", OK, "1 pools have free addresses", "", ""},
		{"status", OK, "the speaker reports nothing", "", ""},
	}
}

// bad are the checks that a healthy node does not have.
func bad(all []Check) []Check {
	fine := map[Check]bool{}
	for _, c := range wellChecks() {
		fine[c] = true
	}
	var out []Check
	for _, c := range all {
		if !fine[c] {
			out = append(out, c)
		}
	}
	return out
}

func TestExamineAHealthyNode(t *testing.T) {
	t.Parallel()
	r := well().Examine(t.Context())
	if diff := cmp.Diff(wellChecks(), r.Checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"198.18.64.0/30"}, r.Pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"n1", "n2"}, r.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if r.Node != "n1" || r.At.IsZero() || r.View == "" {
		t.Errorf("report %+v", r)
	}
}

func TestExamine(t *testing.T) {
	t.Parallel()
	snapshot := func(edit func(*api.Snapshot)) func(*Examiner) {
		return func(e *Examiner) {
			s := e.Snapshot()
			edit(&s)
			e.Snapshot = func() api.Snapshot { return s }
		}
	}
	ipvs := func(arp map[string]string) func(*Examiner) {
		return func(e *Examiner) {
			e.Proxy = func(context.Context) (string, error) { return "ipvs", nil }
			e.Sysctl = func(name string) (string, error) {
				if v, ok := arp[name]; ok {
					return v + "\n", nil
				}
				return "", os.ErrNotExist
			}
		}
	}
	const ignore, announce = "net/ipv4/conf/all/arp_ignore", "net/ipv4/conf/all/arp_announce"
	const gone = "kube-proxy of n1 does not run, and new Services and endpoints are not reached by way of this node (nobody listens)"
	const goneThere = "kube-proxy of n2 does not run, and new Services and endpoints are not reached by way of this node"
	const strict = "`kubectl -n kube-system edit configmap kube-proxy`, set ipvs.strictARP: true, and restart kube-proxy"
	otherKey := snapshot(func(s *api.Snapshot) {
		s.Conditions = []health.Condition{health.New(health.GossipKeyMismatch, health.Node("n3"), "peer 198.18.0.3 uses another gossip key").Do("compare")}
	})
	deaf := func(names ...string) func(*Examiner) {
		return func(e *Examiner) {
			e.Meet(e.peers, func(_ context.Context, p Peer) (time.Duration, error) {
				if slices.Contains(names, p.Name) {
					return 0, errors.New("no answer")
				}
				return time.Millisecond, nil
			})
		}
	}
	dials := func(err error) func(*Examiner) {
		return func(e *Examiner) {
			e.Dial = func(_ context.Context, addr string) error {
				if addr == "198.18.0.2:7927" {
					return err
				}
				return nil
			}
		}
	}
	const openTCP = "open port 7927/tcp on n2 for the other nodes, and the same the other way; or see whether n2 is up"
	const openUDP = "open port 7927/udp on n2 for the other nodes, and the same the other way; or see whether n2 is up"
	const openHere, openHereEnd = "open port 7927/", " on n1 for the other nodes; if others say the same of themselves, open it between all of them"
	const seeNode = "see whether the node is up, its link, and its speaker: `kubectl get nodes`, `kubectl -n starling-system get pods -o wide`"
	const seeSpeaker = "see that a speaker runs on n2: `kubectl -n starling-system get pods -o wide`; if one does, a firewall rejects port 7927"
	died := snapshot(func(s *api.Snapshot) { s.Members = []api.Member{{Name: "n2", State: "dead"}} })
	for _, tt := range []struct {
		name  string
		edits []func(*Examiner)
		want  []Check
	}{
		{"no right", []func(*Examiner){func(e *Examiner) { e.Socket = func() error { return syscall.EPERM } }}, []Check{{
			"packet-socket", Fail, "no packet socket can be opened: operation not permitted",
			"let the container have the capability NET_RAW, and the namespace be privileged (label pod-security.kubernetes.io/enforce)", health.NoNetRaw,
		}}},
		{"no link", []func(*Examiner){snapshot(func(s *api.Snapshot) {
			s.Interfaces = []api.Interface{{Name: "eth0", Reason: "no carrier"}, {Name: "lo", Reason: "loopback"}}
		})}, []Check{{"interfaces", Fail, "no interface can be used: eth0 (no carrier)", "bring the link up, or name the right interface by --interface", health.NoInterface}}},
		{"a pod's own network", []func(*Examiner){snapshot(func(s *api.Snapshot) {
			s.Interfaces = []api.Interface{{Name: "lo", Reason: "loopback"}}
		})}, []Check{{"interfaces", Fail, "there is no interface but the loopback", "run the speaker with hostNetwork: true", health.NoInterface}}},
		{"not listed yet", []func(*Examiner){snapshot(func(s *api.Snapshot) { s.Interfaces = nil })}, []Check{
			{"interfaces", Unknown, "the speaker has not listed the interfaces yet", "ask again in a moment", health.InterfacesUnlisted},
		}},
		{"no kube-proxy", []func(*Examiner){func(e *Examiner) {
			e.Proxy = func(context.Context) (string, error) { return "", syscall.ECONNREFUSED }
		}}, []Check{{
			"kube-proxy", Unknown, "kube-proxy does not tell its mode: connection refused",
			"nothing, if the network plugin stands in for kube-proxy; else see that kube-proxy runs", "",
		}}},
		{"kube-proxy has ended", []func(*Examiner){
			func(e *Examiner) { e.Proxy = func(context.Context) (string, error) { return "", syscall.ECONNREFUSED } },
			snapshot(func(s *api.Snapshot) {
				s.Conditions = []health.Condition{
					health.New(health.KubeProxyMissing, health.Node("n1"), gone).Do("start it"), health.New(health.KubeProxyMissing, health.Node("n2"), goneThere).Do("start it there"),
				}
			}),
		}, []Check{{"kube-proxy", Fail, gone, "start it", health.KubeProxyMissing}, {"status", Fail, goneThere, "start it there", health.KubeProxyMissing}}},
		{"IPVS, strict", []func(*Examiner){ipvs(map[string]string{ignore: "1", announce: "2"})}, []Check{
			{"kube-proxy", OK, "mode ipvs", "", ""}, {"strict-arp", OK, "kube-proxy is in IPVS mode with strictARP", "", ""},
		}},
		{"IPVS, everybody answers", []func(*Examiner){ipvs(map[string]string{ignore: "0", announce: "2"})}, []Check{
			{"kube-proxy", OK, "mode ipvs", "", ""},
			{"strict-arp", Fail, "kube-proxy is in IPVS mode without strictARP (arp_ignore is 0): every node answers for every address", strict, health.KernelAnswers},
		}},
		{"IPVS, everybody announces", []func(*Examiner){ipvs(map[string]string{ignore: "1", announce: "0"})}, []Check{
			{"kube-proxy", OK, "mode ipvs", "", ""},
			{"strict-arp", Fail, "kube-proxy is in IPVS mode without strictARP (arp_announce is 0): every node answers for every address", strict, health.KernelAnswers},
		}},
		{"IPVS, strict on the interface that is used", []func(*Examiner){
			ipvs(map[string]string{ignore: "0", announce: "0", "net/ipv4/conf/eth0/arp_ignore": "1", "net/ipv4/conf/eth0/arp_announce": "2"}),
		}, []Check{{"kube-proxy", OK, "mode ipvs", "", ""}, {"strict-arp", OK, "kube-proxy is in IPVS mode with strictARP", "", ""}}},
		{"IPVS, strict on one of two", []func(*Examiner){
			ipvs(map[string]string{ignore: "0", announce: "2", "net/ipv4/conf/eth0/arp_ignore": "1", "net/ipv4/conf/eth1/arp_ignore": "0"}),
			snapshot(func(s *api.Snapshot) {
				s.Interfaces = append(s.Interfaces, api.Interface{Name: "eth1", Used: true})
			}),
		}, []Check{
			{"interfaces", OK, "announces on eth0, eth1", "", ""},
			{"kube-proxy", OK, "mode ipvs", "", ""},
			{"strict-arp", Fail, "kube-proxy is in IPVS mode without strictARP (arp_ignore is 0): every node answers for every address", strict, health.KernelAnswers},
		}},
		{"IPVS, told once", []func(*Examiner){
			ipvs(map[string]string{ignore: "0", announce: "2"}),
			snapshot(func(s *api.Snapshot) {
				s.Conditions = []health.Condition{health.New(health.KernelAnswers, health.Node("n1"), "addresses of Services are on kube-ipvs0 and arp_ignore of eth0 is 0")}
				s.Interfaces = append(s.Interfaces, api.Interface{Name: "kube-ipvs0"})
			}),
		}, []Check{
			{"kube-proxy", OK, "mode ipvs", "", ""},
			{"strict-arp", Fail, "kube-proxy is in IPVS mode without strictARP (arp_ignore is 0): every node answers for every address", strict, health.KernelAnswers},
		}},
		{"IPVS, settings that cannot be read", []func(*Examiner){ipvs(nil)}, []Check{
			{"kube-proxy", OK, "mode ipvs", "", ""},
			{"strict-arp", Unknown, "read net/ipv4/conf/all/arp_ignore: file does not exist", "see that kube-proxy's configuration says strictARP: true", ""},
			{"strict-arp", Unknown, "read net/ipv4/conf/all/arp_announce: file does not exist", "see that kube-proxy's configuration says strictARP: true", ""},
		}},
		{"IPVS by its interface", []func(*Examiner){
			func(e *Examiner) {
				e.Proxy = func(context.Context) (string, error) { return "", syscall.ECONNREFUSED }
				e.Sysctl = func(string) (string, error) { return "2", nil }
			},
			snapshot(func(s *api.Snapshot) { s.Interfaces = append(s.Interfaces, api.Interface{Name: "kube-ipvs0"}) }),
		}, []Check{{"kube-proxy", OK, "mode ipvs", "", ""}, {"strict-arp", OK, "kube-proxy is in IPVS mode with strictARP", "", ""}}},
		{"a firewall that drops", []func(*Examiner){dials(context.DeadlineExceeded), deaf("n2")}, []Check{
			{"gossip-tcp", Fail, "gossip port of n2 (198.18.0.2:7927 tcp) is blocked: no answer in 1s", openTCP, health.GossipBlocked},
			{"gossip-udp", Fail, "gossip port of n2 (198.18.0.2:7927 udp) is blocked, there or back", openUDP, health.GossipBlocked},
		}},
		{"a firewall that drops datagrams", []func(*Examiner){deaf("n2")}, []Check{{
			"gossip-udp", Fail, "gossip port of n2 (198.18.0.2:7927 udp) is blocked, there or back, while tcp passes",
			openUDP + "; or its speaker has another gossip key (`starling key status`)", health.GossipUDPBlocked,
		}}},
		{"a firewall that drops here", []func(*Examiner){deaf("n2", "n3"), func(e *Examiner) {
			e.Dial = func(context.Context, string) error { return context.DeadlineExceeded }
		}}, []Check{
			{"gossip-tcp", Fail, "gossip by tcp fails with all other nodes (n2, n3): most likely the port is blocked on this node, n1", openHere + "tcp" + openHereEnd, health.GossipBlocked},
			{"gossip-udp", Fail, "gossip by udp fails with all other nodes (n2, n3): most likely the port is blocked on this node, n1", openHere + "udp" + openHereEnd, health.GossipBlocked},
		}},
		{"a firewall that drops what comes in here", []func(*Examiner){deaf("n2", "n3")}, []Check{
			{"gossip-udp", Fail, "gossip by udp fails with all other nodes (n2, n3): most likely the port is blocked on this node, n1", openHere + "udp" + openHereEnd, health.GossipBlocked},
		}},
		{"one is blocked, and the other one died", []func(*Examiner){dials(context.DeadlineExceeded), deaf("n2", "n3"), func(e *Examiner) {
			snapshot(func(s *api.Snapshot) { s.Members = []api.Member{{Name: "n3", State: "dead"}} })(e)
			e.Dial = func(context.Context, string) error { return context.DeadlineExceeded }
		}}, []Check{
			{"gossip-tcp", Fail, "gossip port of n2 (198.18.0.2:7927 tcp) is blocked: no answer in 1s", openTCP, health.GossipBlocked},
			{"gossip-tcp", Fail, "n3 (198.18.0.3:7927 tcp) is unreachable: neither gossip nor the wire reaches it", seeNode, health.NodeLost},
			{"gossip-udp", Fail, "gossip port of n2 (198.18.0.2:7927 udp) is blocked, there or back", openUDP, health.GossipBlocked},
			{"gossip-udp", Fail, "no speaker answers on n3 (198.18.0.3:7927 udp), neither by gossip nor on the wire", seeNode, health.NodeLost},
		}},
		{"no family in common", []func(*Examiner){deaf("n2"), dials(syscall.ENETUNREACH), snapshot(func(s *api.Snapshot) {
			s.Conditions = []health.Condition{health.New(health.GossipNoFamily, health.Node("n2"), "gossip cannot reach node n2").Do("give both one")}
		})}, []Check{
			{"gossip-tcp", Fail, "gossip cannot reach node n2", "give both one", health.GossipNoFamily},
			{"gossip-udp", Fail, "gossip cannot reach node n2", "give both one", health.GossipNoFamily},
		}},
		{"nobody listens", []func(*Examiner){dials(syscall.ECONNREFUSED)}, []Check{{
			"gossip-tcp", Fail, "nobody listens for gossip on n2 (198.18.0.2:7927 tcp)",
			seeSpeaker, health.NodeLost,
		}}},
		{"nobody listens, and nobody answers", []func(*Examiner){dials(syscall.ECONNREFUSED), deaf("n2")}, []Check{
			{"gossip-tcp", Fail, "nobody listens for gossip on n2 (198.18.0.2:7927 tcp)", seeSpeaker, health.NodeLost},
			{"gossip-udp", Fail, "no speaker answers on n2 (198.18.0.2:7927 udp)", seeSpeaker, health.NodeLost},
		}},
		{"nodes that are to have no speaker", []func(*Examiner){dials(syscall.ECONNREFUSED), deaf("n2"), snapshot(func(s *api.Snapshot) {
			s.Unselected = []string{"n2"}
			s.Conditions = []health.Condition{health.New(health.NoSpeaker, health.Node("n2"), "n2 runs no speaker (the DaemonSet does not select it)")}
		})}, []Check{
			{"gossip-tcp", OK, "reaches all 1 other nodes", "", ""},
			{"gossip-udp", OK, "reaches all 1 other nodes", "", ""},
			{"speaker", Info, "n2 runs no speaker (the DaemonSet does not select it)", "", health.NoSpeaker},
		}},
		{"no way there", []func(*Examiner){dials(syscall.EHOSTUNREACH)}, []Check{
			{"gossip-tcp", Fail, "gossip port of n2 (198.18.0.2:7927 tcp) is not reached: no route to host", openTCP, health.GossipBlocked},
		}},
		{"a node that is cut off, or down", []func(*Examiner){dials(context.DeadlineExceeded), deaf("n2"), died}, []Check{
			{"gossip-tcp", Fail, "n2 (198.18.0.2:7927 tcp) is unreachable: neither gossip nor the wire reaches it", seeNode, health.NodeLost},
			{"gossip-udp", Fail, "no speaker answers on n2 (198.18.0.2:7927 udp), neither by gossip nor on the wire", seeNode, health.NodeLost},
		}},
		{"a speaker that is away", []func(*Examiner){dials(syscall.ECONNREFUSED), deaf("n2"), snapshot(func(s *api.Snapshot) {
			s.Members = []api.Member{{Name: "n2", State: "absent"}}
		})}, []Check{
			{byTCP, Warn, "the speaker of n2 is away: its node keeps its addresses for a while, and other nodes answer for them", "wait until it is back; if it is not, see `kubectl -n starling-system get pods -o wide`", health.SpeakerAway},
			{byUDP, Warn, "the speaker of n2 is away: its node keeps its addresses for a while, and other nodes answer for them", "wait until it is back; if it is not, see `kubectl -n starling-system get pods -o wide`", health.SpeakerAway},
		}},
		{"a speaker that died", []func(*Examiner){dials(syscall.ECONNREFUSED), deaf("n2"), died}, []Check{
			{"gossip-tcp", Fail, "nobody listens for gossip on n2 (198.18.0.2:7927 tcp)", seeSpeaker, health.NodeLost},
			{"gossip-udp", Fail, "no speaker answers on n2 (198.18.0.2:7927 udp), neither by gossip nor on the wire", seeSpeaker, health.NodeLost},
		}},
		{"another key", []func(*Examiner){otherKey, deaf("n3")}, []Check{
			{"gossip-udp", Fail, "n3 (198.18.0.3:7927 udp) does not understand our gossip: it has another key", "see the check keys", health.GossipKeyMismatch},
			{"keys", Fail, "peer 198.18.0.3 uses another gossip key", "compare", health.GossipKeyMismatch},
		}},
		{"nobody is known", []func(*Examiner){func(e *Examiner) { e.Meet(nil, nil) }}, []Check{
			{"gossip", Unknown, "the speaker does not know the other nodes yet", "ask again when it has started", ""},
		}},
		{"a rotation", []func(*Examiner){snapshot(func(s *api.Snapshot) { s.Keys.Held, s.Keys.State = []string{"0a", "0b"}, "all hold 2 keys" })}, []Check{
			{"keys", Warn, "all hold 2 keys", "`starling key status` shows who holds which", ""},
		}},
		{"a full pool", []func(*Examiner){snapshot(func(s *api.Snapshot) { s.Pools = []api.Pool{{Size: 4, Used: 4}} })}, []Check{
			{"pools", Warn, "no pool has a free address", "add addresses to a pool", ""},
		}},
		{"no pool", []func(*Examiner){snapshot(func(s *api.Snapshot) { s.Pools = nil })}, []Check{
			{"pools", Warn, "no pool is configured", "put your addresses into the ConfigMap starling", health.NoPool},
		}},
		{"conditions, without what other checks say", []func(*Examiner){snapshot(func(s *api.Snapshot) {
			s.Conditions = []health.Condition{
				health.New(health.ConfigRejected, health.Node("n1"), "the file is bad").Do("correct it"),
				health.New(health.PoolUnknown, health.Service("ns/web"), "ns/web waits for an address").Do("correct"),
				health.New(health.GossipBlocked, health.Node("n2"), "gossip to n2 on 7927 is blocked; n2 is alive on the wire"),
				health.New(health.NodeCordoned, health.Node("n2"), "n2 is cordoned"),
				health.New(health.KernelAnswers, health.Node("n1"), "198.18.64.1 is an address of lo").Do("remove it"),
			}
		})}, []Check{
			{"status", Fail, "the file is bad", "correct it", health.ConfigRejected},
			{"status", Warn, "ns/web waits for an address", "correct", health.PoolUnknown},
			{"status", Warn, "198.18.64.1 is an address of lo", "remove it", health.KernelAnswers},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := well()
			for _, edit := range tt.edits {
				edit(e)
			}
			if diff := cmp.Diff(tt.want, bad(e.Examine(t.Context()).Checks)); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever reaches the port may ask as often as they like: the network is not tried more often for
// it.
func TestExamineIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, dialled := well(), 0
		e.Dial = func(context.Context, string) error { dialled++; return nil }
		e.Meet(func() []Peer { return []Peer{peer("n2", "198.18.0.2:7927")} }, e.ping)
		first := e.Examine(t.Context())
		for range 100 {
			if diff := cmp.Diff(first, e.Examine(t.Context())); diff != "" {
				t.Fatalf("another report (-want +got):\n%s", diff)
			}
		}
		if dialled != 1 {
			t.Errorf("%d connections for 101 questions", dialled)
		}
		time.Sleep(fresh)
		if again := e.Examine(t.Context()); again.At.Equal(first.At) || dialled != 2 {
			t.Errorf("after %s the report is of %s, with %d connections", fresh, again.At, dialled)
		}
	})
}

// A report that was cut short because the asker hung up is not shown to others.
func TestExamineCutShort(t *testing.T) {
	t.Parallel()
	e := well()
	gone, hangUp := context.WithCancel(t.Context())
	e.Dial = func(context.Context, string) error { hangUp(); return context.Canceled }
	e.Examine(gone)
	e.Dial = func(context.Context, string) error { return nil }
	if diff := cmp.Diff(wellChecks(), e.Examine(t.Context()).Checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

func TestAlone(t *testing.T) {
	t.Parallel()
	e := well()
	e.Meet(nil, nil)
	if diff := cmp.Diff(wellChecks()[:3], e.Alone(t.Context()).Checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}
