package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	core "k8s.io/api/core/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// TestTwoCards: the announcer has two interfaces on the network. One of them answers. It loses its
// link, by which also gossip and the API server are reached, and the other one takes over at once,
// and no other node ever; and back again.
func TestTwoCards(t *testing.T) {
	allReady(t)
	s := &watched{watcher: watch(t), ip: expose(t, "cards", func(s *core.Service) { s.Spec.ExternalTrafficPolicy = core.ServiceExternalTrafficPolicyLocal })}
	s.owner = owner(t, s.watcher, s.ip)
	if err := workload.Programmed(t.Context(), shared, s.ip); err != nil {
		t.Fatal(err)
	}
	card, err := s.owner.AddCard()
	if card != nil {
		t.Cleanup(func() {
			if err := card.Pull(); err != nil {
				t.Error(err)
			}
			if err := cluster.Until(context.WithoutCancel(t.Context()), cluster.PodTime, "speakers", everybodyReady); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.announcedOn(t, s.owner.Host)
	settled(t, s.watcher, s.ip)
	for _, tt := range []struct {
		name     string
		act      func() error
		from, to *cluster.Host
	}{
		{"link lost", s.owner.Unplug, s.owner.Host, card},
		{"link back", s.owner.Plug, card, s.owner.Host},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.client = ask(t, "udp", s.ip)
			double, begun := doubles(t, s), time.Now()
			if err := tt.act(); err != nil {
				t.Fatal(err)
			}
			until(t, 10*time.Second, "answers of "+tt.to.Name, func(ctx context.Context) error {
				macs, err := s.watcher.Who(ctx, 50*time.Millisecond, s.ip)
				if err == nil && !slices.Equal(macs, []string{tt.to.MAC.String()}) {
					err = fmt.Errorf("%v answer", macs)
				}
				return err
			})
			took := s.claimedBy(t, tt.to, begun)
			t.Logf("%s announced after %v", tt.to.Name, took.Round(100*time.Microsecond))
			if took > swift {
				t.Errorf("%s announced after %v, more than %v", tt.to.Name, took, swift)
			}
			answered(t, s.client, 1000) // long enough for gossip and watchers to think better of it
			s.served(t, tt.name, swift)
			if longest := double(); longest > swift {
				t.Errorf("both answered for %v", longest)
			}
			s.announcedOn(t, tt.to)
			allReady(t)
			settled(t, s.watcher, s.ip)
		})
	}
	for _, claim := range s.watcher.Claims(s.ip) {
		if claim.MAC != s.owner.MAC.String() && claim.MAC != card.MAC.String() {
			t.Errorf("%s claimed %s, not a card of %s", claim.MAC, s.ip, s.owner.Name)
		}
	}
}

// announcedOn waits until the owner says that it announces the address on this interface alone.
func (s *watched) announcedOn(t *testing.T, h *cluster.Host) {
	t.Helper()
	until(t, 15*time.Second, "announced on "+h.NIC, func(ctx context.Context) error {
		got, err := starling.StatusOf(ctx, shared, s.owner)
		if err != nil {
			return err
		}
		for _, v := range got.VIPs {
			if v.IP == s.ip.String() && !slices.Equal(v.Interfaces, []string{h.NIC}) {
				return fmt.Errorf("on %v", v.Interfaces)
			}
		}
		return nil
	})
}

// claimedBy returns how long after a moment the interface first said that it has the address.
func (s *watched) claimedBy(t *testing.T, h *cluster.Host, since time.Time) time.Duration {
	t.Helper()
	for _, c := range s.watcher.Claims(s.ip) {
		if c.At.After(since) && c.MAC == h.MAC.String() {
			return c.At.Sub(since)
		}
	}
	t.Fatalf("%s never claimed %s", h.Name, s.ip)
	return 0
}
