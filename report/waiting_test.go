package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
)

// TestQueued: those that wait for the same are one condition, and a Service whose own wish is
// refused is one of its own.
func TestQueued(t *testing.T) {
	t.Parallel()
	svc := func(name string) lease.Key { return lease.Key{Namespace: "ns", Name: name} }
	got := waiting([]lease.Waiting{
		{Service: svc("a"), Pool: "lan", Code: health.PoolFull, Reason: "full"},
		{Service: svc("b"), Code: health.AddressInNoPool, Reason: "nowhere"},
		{Service: svc("c"), Pool: "lan", Code: health.PoolFull, Reason: "full"},
		{Service: svc("d"), Pool: "lan", Code: health.AddressHeld, Reason: "held"},
		{Service: svc("e"), Code: health.NoPool, Reason: "no pool is configured"},
	})
	want := []health.Condition{
		health.New(health.AddressInNoPool, health.Service("ns/b"), "ns/b waits for an address: nowhere"),
		health.New(health.AddressHeld, health.Service("ns/d"), "ns/d waits for an address: held"),
		health.New(health.PoolFull, health.Pool("lan"), `2 wait for an address of pool "lan" (ns/a, ns/c): full`),
		health.New(health.NoPool, health.Cluster(), "1 wait for an address (ns/e): no pool is configured"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

// TestNearlyUsedUp: each family of a pool counts for itself.
func TestNearlyUsedUp(t *testing.T) {
	t.Parallel()
	got := nearlyFull([]api.Pool{
		{Name: "dual", Size: 264, Used: 8, Free: 256, Families: []api.FamilyUse{{Family: "IPv4", Size: 10, Used: 9, Free: 1}, {Family: "IPv6", Size: 256, Used: 0, Free: 256}}},
		{Name: "half", Size: 264, Used: 8, Free: 256, Families: []api.FamilyUse{{Family: "IPv4", Size: 8, Used: 8, Free: 0}, {Family: "IPv6", Size: 256, Used: 0, Free: 256}}},
		{Name: "room", Size: 10, Used: 8, Free: 2, Families: []api.FamilyUse{{Family: "IPv4", Size: 10, Used: 8, Free: 2}}},
		{Name: "reserved", Size: 10, Used: 2, Free: 1, Families: []api.FamilyUse{{Family: "IPv4", Size: 10, Used: 2, Free: 1}}},
		{Name: "all reserved", Size: 2, Families: []api.FamilyUse{{Family: "IPv4", Size: 2}}},
		{Name: "used up on purpose", Size: 1, Used: 1, Families: []api.FamilyUse{{Family: "IPv4", Size: 1, Used: 1, Free: 0}}},
	})
	want := []health.Condition{
		health.New(health.PoolNearlyFull, health.Pool("dual"), `pool "dual" is nearly full: 1 of 10 IPv4 addresses are left`),
		health.New(health.PoolNearlyFull, health.Pool("half"), `pool "half" is full: none of 8 IPv4 addresses is left`),
		health.New(health.PoolNearlyFull, health.Pool("reserved"), `pool "reserved" is nearly full: 1 of 10 IPv4 addresses are left`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}
