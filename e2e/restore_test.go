package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// TestRestoredEtcd sets etcd back to a backup and writes past the revision at which the speakers
// are, before any of them reaches the API server again. A Service that was made since the backup is
// gone without a word: nobody may answer for it any more, and its address is free. What the backup
// has is served all the time.
func TestRestoredEtcd(t *testing.T) {
	s := watchService(t, "kept", "udp")
	ctx := context.WithoutCancel(t.Context())
	backup, err := shared.Backup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	allReady(t)
	ghost := expose(t, "ghost")
	owner(t, s.watcher, ghost)
	revision, err := shared.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}

	if err := shared.HideAPI(ctx); err != nil {
		t.Fatal(err)
	}
	show := func() error { return shared.ShowAPI(ctx) }
	t.Cleanup(func() {
		if show != nil {
			if err := show(); err != nil {
				t.Error(err)
			}
		}
		for _, n := range shared.Nodes { // kube-proxy goes on with what it knew, so it would serve the ghost for good.
			if err := n.Restart(ctx, "kube-proxy"); err != nil {
				t.Error(err)
			}
		}
		if err := cluster.Until(ctx, cluster.PodTime, "speakers", everybodyReady); err != nil {
			t.Error(err)
		}
	})
	if err := shared.Restore(ctx, backup); err != nil {
		t.Fatal(err)
	}
	if err := shared.WritePast(ctx, revision); err != nil {
		t.Fatal(err)
	}
	create(t, "heir", annotate("loadBalancerIPs", ghost.String()))
	if macs, err := s.watcher.Who(ctx, 50*time.Millisecond, ghost); err != nil || len(macs) != 1 {
		t.Fatalf("%v answer for %s, %v; without API server the address is announced as before", macs, ghost, err)
	}
	err = show()
	show = nil
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if ip := addresses(t, "heir", 1)[0]; ip != ghost { // Within 15 s.
		t.Errorf("heir has %s in place of %s", ip, ghost)
	}
	t.Logf("the address went to another Service %v after the API server was back", time.Since(begun).Round(time.Millisecond))
	settled(t, s.watcher, ghost, s.ip)
	s.held(t)
	s.undisturbed(t, "etcd restored and written past")
}
