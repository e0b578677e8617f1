package kube

import (
	"bytes"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The Secret that holds the keys of the gossip, and its one entry: base64 keys, one per line, the
// primary first.
const (
	GossipSecret = "starling-gossip"
	GossipKeys   = "keys"
)

// GossipKey returns the keys in the Secret starling-gossip as text, one base64 key per line. Where
// there is no such Secret it creates one with the text that generate makes; of several speakers
// that do so at once the API server chooses one. Callers retry.
func GossipKey(ctx context.Context, c *Client, namespace string, generate func() ([]byte, error)) ([]byte, error) {
	keys, err := readKeys(ctx, c, namespace)
	if !apierrors.IsNotFound(err) {
		return keys, err
	}
	err = createKeys(ctx, c, namespace, generate)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	return readKeys(ctx, c, namespace)
}

func readKeys(ctx context.Context, c *Client, namespace string) ([]byte, error) {
	var s corev1.Secret
	err := c.Core.Get().Namespace(namespace).Resource("secrets").Name(GossipSecret).MaxRetries(0).Do(ctx).Into(&s)
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, GossipSecret, err)
	}
	keys := bytes.TrimSpace(s.Data[GossipKeys])
	if len(keys) == 0 {
		return nil, fmt.Errorf("read Secret %s/%s: entry %q is missing or empty", namespace, GossipSecret, GossipKeys)
	}
	return append(keys, '\n'), nil
}

func createKeys(ctx context.Context, c *Client, namespace string, generate func() ([]byte, error)) error {
	keys, err := generate()
	if err != nil {
		return fmt.Errorf("make a gossip key: %w", err)
	}
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: GossipSecret,
			Labels: map[string]string{"app.kubernetes.io/name": "starling"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{GossipKeys: keys},
	}
	err = c.Core.Post().Namespace(namespace).Resource("secrets").Body(s).MaxRetries(0).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("create Secret %s/%s: %w", namespace, GossipSecret, err)
	}
	return nil
}

// Password returns the entry password of a Secret, without spaces and line ends around it.
func Password(ctx context.Context, c *Client, namespace, name string) (string, error) {
	var s corev1.Secret
	err := c.Core.Get().Namespace(namespace).Resource("secrets").Name(name).MaxRetries(0).Do(ctx).Into(&s)
	if err != nil {
		return "", fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	password := bytes.TrimSpace(s.Data["password"])
	if len(password) == 0 {
		return "", fmt.Errorf("read Secret %s/%s: entry password is missing or empty", namespace, name)
	}
	return string(password), nil
}
