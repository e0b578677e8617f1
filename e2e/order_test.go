package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// TestNothingAnswersBeforeBound compares the wire with the API server's own record: the first claim
// of an address must come after the write that bound it.
func TestNothingAnswersBeforeBound(t *testing.T) {
	const count = 10
	w := watch(t)
	everything := addressesOf(cluster.Pool4)
	until(t, 10*time.Second, "silence without Services", func(ctx context.Context) error {
		answers, err := w.WhoAll(ctx, 300*time.Millisecond, everything)
		if err == nil && len(answers) > 0 {
			err = fmt.Errorf("answered are %v", answers)
		}
		return err
	})
	w = watch(t) // Remembers nothing from before.
	begun := time.Now()
	for i := range count {
		create(t, fmt.Sprintf("bound-%d", i))
	}
	for i := range count {
		ip := addresses(t, fmt.Sprintf("bound-%d", i), 1)[0]
		owner(t, w, ip)
		bound := boundAt(t, fmt.Sprintf("bound-%d", i), ip, begun)
		first := w.Claims(ip)[0]
		if first.At.Before(bound) {
			t.Errorf("%s was claimed by %s (%s) %v before it was bound", ip, first.MAC, first.Kind, bound.Sub(first.At))
		}
		t.Logf("%s: claimed %v after the write that bound it was received", ip, first.At.Sub(bound).Round(time.Microsecond))
	}
	after, err := w.WhoAll(t.Context(), 300*time.Millisecond, everything)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != count {
		t.Errorf("%d addresses of the pool are answered for, want %d", len(after), count)
	}
}

// addressesOf returns every address of the range.
func addressesOf(cidr string) (ips []netip.Addr) {
	prefix := netip.MustParsePrefix(cidr)
	for ip := prefix.Addr(); prefix.Contains(ip); ip = ip.Next() {
		ips = append(ips, ip)
	}
	return ips
}

// boundAt finds in the audit log when the API server received the first write, not older than
// since, that put the address into the status of the Service.
func boundAt(t *testing.T, service string, ip netip.Addr, since time.Time) time.Time {
	t.Helper()
	file, err := os.Open(shared.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var e struct {
			RequestReceivedTimestamp time.Time
			ObjectRef                struct{ Name, Subresource string }
			RequestObject            struct {
				Status struct {
					LoadBalancer struct{ Ingress []struct{ IP string } }
				}
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			if strings.HasSuffix(err.Error(), "unexpected end of JSON input") {
				continue // Being written just now.
			}
			t.Fatalf("audit log: %v in %s", err, lines.Text())
		}
		if e.ObjectRef.Name != service || e.RequestReceivedTimestamp.Before(since) {
			continue
		}
		for _, ingress := range e.RequestObject.Status.LoadBalancer.Ingress {
			if ingress.IP == ip.String() {
				return e.RequestReceivedTimestamp
			}
		}
	}
	t.Fatalf("no write put %s into Service %s: %v", ip, service, lines.Err())
	return time.Time{}
}
