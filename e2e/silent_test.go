package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/starling"
)

// muteRules have a kernel reply to no question that is for it alone, as rules of arptables may. Its
// neighbors still find it when they ask everybody.
const muteRules = `add table arp starling_e2e_mute
add chain arp starling_e2e_mute in { type filter hook input priority 0; }
add rule arp starling_e2e_mute in arp operation request meta pkttype host drop
add table ip6 starling_e2e_mute
add chain ip6 starling_e2e_mute in { type filter hook input priority 0; }
add rule ip6 starling_e2e_mute in icmpv6 type nd-neighbor-solicit meta pkttype host drop`

// TestKernelSilent: a node whose kernel replies to no probe keeps its addresses and is named, until
// it replies again.
func TestKernelSilent(t *testing.T) {
	s := watchService(t, "kernel-silent", "udp")
	begun := time.Now()
	unmute := func(ctx context.Context) error {
		_, err := s.owner.Run(ctx, "nft", "delete table arp starling_e2e_mute; delete table ip6 starling_e2e_mute")
		return err
	}
	if _, err := s.owner.Run(t.Context(), "nft", muteRules); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unmute(context.WithoutCancel(t.Context())) }) // in case the test ends early
	words := "the kernel of " + s.owner.Name + " replies to no ARP request"
	named := func(want bool) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			for _, n := range s.others() {
				page, failed := starling.PageOf(ctx, shared, n)
				if got := strings.Contains(starling.Visible(page), words); failed != nil || got != want {
					err = errors.Join(err, failed, fmt.Errorf("%s names it: %v", n.Name, got))
				}
			}
			return err
		}
	}
	until(t, 40*time.Second, "the silent kernel is named", named(true))
	if took := time.Since(begun); took < 10*time.Second {
		t.Errorf("it is named after %v", took)
	}
	if err := unmute(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, 30*time.Second, "it replies again", named(false))
	s.unmoved(t, begun)
	s.undisturbed(t, "a kernel that replies to no probe")
	allReady(t)
}
