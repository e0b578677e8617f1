package cluster

import (
	"context"
	"fmt"
)

// impairTable is the nftables table of a host's switch port.
func impairTable(h *Host) string { return "starling_e2e_" + h.Name }

// Lose has the switch lose so many of a hundred frames from and to the host, until EndImpair.
func (h *Host) Lose(ctx context.Context, percent int) error {
	const rules = `table netdev %[1]s {
	chain from { type filter hook ingress device "%[2]s" priority 0; numgen random mod 100 < %[3]d drop; }
	chain to { type filter hook egress device "%[2]s" priority 0; numgen random mod 100 < %[3]d drop; }
}`
	return h.impair(ctx, fmt.Sprintf(rules, impairTable(h), h.Name, percent))
}

// Repeat has the switch send so many of a hundred frames to the host twice, until EndImpair. A copy
// may be copied as well, so some frames arrive three times or more.
func (h *Host) Repeat(ctx context.Context, percent int) error {
	const rules = `table netdev %[1]s {
	chain to { type filter hook egress device "%[2]s" priority 0; numgen random mod 100 < %[3]d dup to "%[2]s"; }
}`
	return h.impair(ctx, fmt.Sprintf(rules, impairTable(h), h.Name, percent))
}

// EndImpair ends what Lose or Repeat has begun.
func (h *Host) EndImpair(ctx context.Context) error {
	return h.impair(ctx, "delete table netdev "+impairTable(h))
}

func (h *Host) impair(ctx context.Context, rules string) error {
	err := h.network.space.Do(func() error {
		_, err := command(ctx, "", "nft", rules)
		return err
	})
	if err != nil {
		return fmt.Errorf("switch port of %s: %w", h.Name, err)
	}
	return nil
}
