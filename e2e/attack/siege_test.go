package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// announcers are the nodes whose speakers have addresses.
func announcers() []*cluster.Node { return shared.Nodes[:3] }

// witness is the node that announces nothing.
func witness() *cluster.Node { return shared.Nodes[3] }

// get asks the speaker of a node from another one or from the node itself, as kubelet does.
func get(ctx context.Context, from, n *cluster.Node, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // As long as kubelet waits.
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, starling.URL(n)+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: from.Dial}}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s of %s: %s: %s", path, n.Name, answer.Status, bytes.TrimSpace(text))
	}
	return text, err
}

func statusOf(ctx context.Context, n *cluster.Node) (*starling.Status, error) {
	text, err := get(ctx, n, n, "/api/v1/status")
	if err != nil {
		return nil, err
	}
	var s starling.Status
	return &s, json.Unmarshal(text, &s)
}

// calm waits until every speaker sees all members alive and ready, and none that may have addresses
// lets others go first.
func calm(t *testing.T) {
	t.Helper()
	until(t, 75*time.Second, "calm", joined)
}

// joined returns nil when every speaker sees all nodes as good members.
func joined(ctx context.Context) error {
	var errs []error
	for _, n := range shared.Nodes {
		errs = append(errs, sees(ctx, n))
	}
	return errors.Join(errs...)
}

// sees returns nil when the speaker of the node sees all nodes as good members.
func sees(ctx context.Context, n *cluster.Node) error {
	s, err := statusOf(ctx, n)
	if err != nil {
		return err
	}
	good := 0
	for _, m := range s.Members {
		if strings.HasPrefix(m.Name, "n") && m.State == "alive" && m.Ready && (!m.Returning || m.Name == witness().Name) {
			good++
		}
	}
	if good != len(shared.Nodes) {
		return fmt.Errorf("%s sees %+v", n.Name, s.Members)
	}
	return nil
}

func until(t *testing.T, limit time.Duration, what string, ok func(context.Context) error) {
	t.Helper()
	if err := cluster.Until(t.Context(), limit, what, ok); err != nil {
		t.Fatal(err)
	}
}

// ownedBy are the addresses that a node announces, as the witness sees it.
func ownedBy(t *testing.T, n *cluster.Node) (owned []netip.Addr) {
	t.Helper()
	s, err := statusOf(t.Context(), witness())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range s.VIPs {
		if ip := netip.MustParseAddr(v.IP); v.Owner == n.Name && slices.Contains(vips, ip) {
			owned = append(owned, ip)
		}
	}
	return owned
}

// count is a metric of a node's speaker: one series, or the sum of all.
func count(t *testing.T, n *cluster.Node, metric string) int {
	t.Helper()
	text, err := get(t.Context(), n, n, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(metric, "{") {
		_, rest, _ := strings.Cut(string(text), "\n"+metric+" ")
		value, _, _ := strings.Cut(rest, "\n")
		text, metric = []byte("x "+value), "x"
	}
	sum, err := starling.Total(string(text), metric)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// moves is how many changes of owners the announcers have seen, those of new addresses left out.
func moves(t *testing.T) (sum int) {
	t.Helper()
	for _, n := range announcers() {
		sum += count(t, n, "starling_ownership_changes_total") - count(t, n, `starling_ownership_changes_total{reason="new"}`)
	}
	return sum
}

// settled waits until nothing has moved for a second.
func settled(t *testing.T) {
	t.Helper()
	last, since := -1, time.Now()
	until(t, 20*time.Second, "rest", func(context.Context) error {
		now := moves(t)
		if now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("addresses have moved %v ago", time.Since(since))
		}
		return nil
	})
}
