package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterID returns the identity of the cluster, the UID of its Namespace kube-system. Callers
// retry; a running Watcher has it in its State, too.
func ClusterID(ctx context.Context, c *Client) (string, error) {
	return clusterID(ctx, c, metav1.GetOptions{})
}

// CachedClusterID is ClusterID from the cache of the API server, which costs it less.
func CachedClusterID(ctx context.Context, c *Client) (string, error) {
	return clusterID(ctx, c, metav1.GetOptions{ResourceVersion: "0"})
}

func clusterID(ctx context.Context, c *Client, o metav1.GetOptions) (string, error) {
	var ns corev1.Namespace
	err := c.Core.Get().Resource("namespaces").Name(metav1.NamespaceSystem).VersionedParams(&o, metav1.ParameterCodec).
		MaxRetries(0).Do(ctx).Into(&ns)
	if err != nil {
		return "", fmt.Errorf("read Namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(ns.UID), nil
}
