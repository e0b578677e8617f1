//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/watcher"
	"github.com/starling-lb/starling/watcher/kube"
)

// bootstrap is what a speaker must know before it can meet the mesh.
type bootstrap struct {
	cluster string // identity of the cluster
	keys    [][]byte
	addr    netip.AddrPort // where gossip listens
}

// retry is how often a missing piece of the bootstrap is asked for again.
const retry = time.Second

// bootstrap asks the API server until it has everything, and says in /readyz
// and, once for each reason, in the log what it waits for.
func (p *process) bootstrap(ctx context.Context, w *watcher.Watcher, failed <-chan error) (bootstrap, error) {
	var b bootstrap
	for {
		err := p.learn(ctx, w, &b)
		if err == nil {
			return b, nil
		}
		reason := err.Error()
		if last := p.waiting.Swap(&reason); last == nil || *last != reason {
			p.log.Warn().Str("reason", reason).Msg("waiting; retrying every second")
		}
		select {
		case <-ctx.Done():
			return b, ctx.Err()
		case err := <-failed:
			return b, err
		case <-time.After(retry):
		}
	}
}

// learn asks for what is still missing.
func (p *process) learn(ctx context.Context, w *watcher.Watcher, b *bootstrap) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var err error
	if b.cluster == "" {
		if b.cluster, err = p.identity(ctx, w); err != nil {
			return fmt.Errorf("identity of the cluster: %w", err)
		}
	}
	err = p.settings.begin(b.cluster, func() (watcher.ConfigText, error) { return watcher.Configuration(ctx, p.client, p.settings.object) })
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if b.keys == nil {
		if b.keys, err = p.gossipKeys(ctx, b.cluster); err != nil {
			return fmt.Errorf("gossip key: %w", err)
		}
	}
	if b.addr, err = gossipBind(p.cfg, w.State().Nodes); err != nil {
		return err
	}
	return nil
}

// identity is that of the API server, or the one in the snapshot file while the
// API server does not answer.
func (p *process) identity(ctx context.Context, w *watcher.Watcher) (string, error) {
	id, err := kube.ClusterID(ctx, p.client)
	if saved := w.State().Cluster; err != nil && saved != "" {
		return saved, nil
	}
	return id, err
}

// gossipKeys are those of --gossip-key-file, else those of the Secret, which
// the first speaker creates, else those known last.
func (p *process) gossipKeys(ctx context.Context, cluster string) ([][]byte, error) {
	return p.keys.begin(cluster, func(generate func() ([]byte, error)) ([]byte, error) {
		return kube.GossipKey(ctx, p.client, p.cfg.namespace, generate)
	})
}

// gossipBind is where gossip listens first of all.
func gossipBind(cfg config, nodes []watcher.Node) (netip.AddrPort, error) {
	if all := gossipAddrs(cfg, nodes); len(all) > 0 {
		return all[0], nil
	}
	return netip.AddrPort{}, fmt.Errorf("node %q has no InternalIP in Kubernetes: set --node-name or --gossip-addr", cfg.node)
}
