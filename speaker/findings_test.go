package speaker

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/proxy"
)

func TestFindings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   Snapshot
		want []Finding
	}{
		{"nothing", Snapshot{Members: []Member{{Name: "n1", State: "alive"}}}, nil},
		{
			"one that went on purpose is none", Snapshot{Members: []Member{{Name: "n1", State: "left", Verdict: "the speaker of n1 was stopped"}}}, nil,
		},
		{
			"errors come first",
			Snapshot{
				Members:   []Member{{Name: "n2", State: "alive", Verdict: "cordoned", Todo: "uncordon"}, {Name: "n3", State: "dead", Verdict: "gone", Todo: "look"}},
				Reasons:   []string{"missing NET_RAW: operation not permitted"},
				Conflicts: []Conflict{{IP: "198.18.64.1", Words: "two", Todo: "one"}},
			},
			[]Finding{
				{harm, "", "missing NET_RAW: operation not permitted", Advice("missing NET_RAW")},
				{harm, "node n3", "gone", "look"},
				{harm, "198.18.64.1", "two", "one"},
				{hint, "node n2", "cordoned", "uncordon"},
			},
		},
		{
			"a verdict that is a problem too is told once",
			Snapshot{
				Members:  []Member{{Name: "n2", State: "wire", Verdict: "gossip to n2 is blocked; n2 is alive on the wire"}},
				Problems: []string{"gossip to n2 is blocked; n2 is alive on the wire"},
			},
			[]Finding{{hint, "", "gossip to n2 is blocked; n2 is alive on the wire", Advice("is blocked; ")}},
		},
		{
			"addresses without an announcer, by reason",
			Snapshot{VIPs: []VIP{
				{IP: "198.18.64.1", Reason: "no serving endpoint"},
				{IP: "198.18.64.2", Owner: "n1"},
				{IP: "198.18.64.3", Reason: "no serving endpoint"},
			}},
			[]Finding{{hint, "198.18.64.1", "nobody announces 198.18.64.1, 198.18.64.3: no serving endpoint", "`starling who 198.18.64.1` says why not for each node"}},
		},
	} {
		if diff := cmp.Diff(tt.want, findings(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What rooms say of their problems is followed by what to do; each line below is what one of them says.
func TestAdvice(t *testing.T) {
	t.Parallel()
	said := map[string]int{}
	for _, problem := range []string{
		allExcluded,
		blocked(nil, []mesh.Member{{Name: "n2", State: onWire}}, epoch)[0],
		blocked([]mesh.Member{{Name: "n2", State: mesh.Dead, Since: epoch}}, []mesh.Member{{Name: "n2", State: onWire}}, epoch)[0],
		lost("n2"),
		"peer 198.18.0.3 uses another gossip key",
		"peer 198.18.0.3 belongs to another cluster",
		"peer 198.18.0.3 takes connections but does not answer as a speaker of this cluster",
		"node n2 answers gossip by tcp but not by udp",
		"two nodes are named n2: 198.18.0.2:7927 and 198.18.0.3:7927",
		"gossip port 7927 is in use",
		"missing NET_RAW: operation not permitted",
		"no usable interface: eth0: down",
		"no interface matches eth9",
		"no interface to announce on",
		"the configuration file is not in force: pools: overlap",
		"the gossip keys are not followed: 3 bytes",
		"forbidden by RBAC: list services (no)",
		"API server 198.18.0.1:6443 unreachable: connection refused (since 3s)",
		"API server 198.18.0.1:6443 does not accept our credentials",
		"waiting for the Services from the Kubernetes API server",
		"waiting for the mesh",
		calling,
		proxyUnasked,
		waitsFor(proxy.Absent),
		waitsFor(proxy.Unhealthy),
	} {
		todo := Advice(problem)
		if todo == "" {
			t.Errorf("no advice for %q", problem)
		}
		said[todo]++
	}
	for _, r := range remedies() {
		if said[r[1]] == 0 {
			t.Errorf("no problem leads to %q", r[1])
		}
	}
	if got := Advice("something else"); got != "" {
		t.Errorf("advice %q for anything", got)
	}
}

// waitsFor is what a node says that waits for kube-proxy while another one has it.
func waitsFor(h proxy.Health) string {
	var f forwarding
	return f.lacks(&world{
		now: time.Unix(1000, 0), proxy: proxy.State{Health: h},
		gossip: []mesh.Member{{Name: "n2", State: mesh.Alive, Meta: mesh.Meta{Proxy: true}}},
	}, "n1")
}
