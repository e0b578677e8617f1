package watcher

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// When nothing was heard for quiet the API server is asked for a trifle, so that an idle cluster does not look like a
// dead server. A busy cluster is never asked.
const (
	quiet        = 10 * time.Second
	probeEvery   = 5 * time.Second
	probeTimeout = 5 * time.Second
)

// probe asks for the Namespace kube-system, from the server's cache and with a right that ClusterID needs anyway.
func (w *Watcher) probe(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	known := false
	for {
		if !known || time.Since(w.health.lastContact()) > quiet {
			id, err := w.ask(ctx)
			if err == nil && !w.health.isCluster(id) {
				return ErrForeign
			}
			known = known || err == nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *Watcher) ask(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	id, err := clusterID(limited, w.client, metav1.GetOptions{ResourceVersion: "0"})
	if err == nil {
		w.health.reached()
	}
	w.health.report(ctx, "get namespaces", err)
	return id, err
}

// ClusterID returns the identity of the cluster, the UID of its Namespace kube-system. Callers retry; a running Watcher
// has it in its State, too.
func ClusterID(ctx context.Context, c *Client) (string, error) {
	return clusterID(ctx, c, metav1.GetOptions{})
}

func clusterID(ctx context.Context, c *Client, o metav1.GetOptions) (string, error) {
	var ns corev1.Namespace
	err := c.core.Get().Resource("namespaces").Name(metav1.NamespaceSystem).VersionedParams(&o, metav1.ParameterCodec).
		MaxRetries(0).Do(ctx).Into(&ns)
	if err != nil {
		return "", fmt.Errorf("read Namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(ns.UID), nil
}
