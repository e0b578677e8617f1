package watcher

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/transcript"
)

// TestReleases: a speaker starts from the snapshot file of any release, and this tree writes what
// the newest one does.
func TestReleases(t *testing.T) {
	t.Parallel()
	svc := &Service{
		Namespace: "ns", Name: "web", UID: "u1", Version: "7", Created: time.Unix(1_800_000_000, 0).UTC(), Deleting: true, Local: true,
		Type: "LoadBalancer", Class: "x/y", Annotations: [][2]string{{"starling-lb.io/lease", "{}"}}, Labels: "a=b", LoadBalancerIP: "198.18.64.3",
		Families: []string{"IPv4", "IPv6"}, FamilyPolicy: "PreferDualStack", Ports: []string{"TCP/80"}, Selector: "app=web",
		Ingress: []string{"198.18.64.1"}, Writer: "starling", ExternalIPs: []string{"198.18.64.9"}, SourceRanges: []string{"198.18.0.0/16"},
	}
	node := Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Labels: map[string]string{"rack": "1"}}
	s := saved{
		Cluster: "c1", Services: []*Service{svc}, Nodes: []Node{node},
		Endpoints: map[Key]Endpoints{svc.Key(): {V4: Places{Nodes: []string{"", "n1"}, Found: Serving}, V6: Places{Found: NoEndpoint}}},
	}
	var b bytes.Buffer
	if err := s.encode(&b); err != nil {
		t.Fatal(err)
	}
	transcript.Golden(t, transcript.Sample{Name: snapshotName, Text: b.String(), Read: func(text string) (any, error) {
		s, err := decode(strings.NewReader(text))
		var at []any
		for k, e := range s.Endpoints {
			at = append(at, k, e.V4, e.V6)
		}
		return map[string]any{"cluster": s.Cluster, "services": s.Services, "nodes": s.Nodes, "endpoints": at}, err
	}})
}
