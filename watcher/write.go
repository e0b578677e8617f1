package watcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/watcher/kube"
)

// writeTimeout ends a write that gets no answer. Whether it was done is then unknown; the stream
// will tell.
const writeTimeout = 10 * time.Second

// What the API server may answer to a Write; the caller decides anew from its table, it never reads
// and retries.
var (
	ErrConflict = errors.New("the Service changed meanwhile")
	ErrGone     = errors.New("the Service is gone")
)

// Expected reports whether an error of Write is an ordinary part of many writers' life, and not
// worth a log line.
func Expected(err error) bool { return errors.Is(err, ErrConflict) || errors.Is(err, ErrGone) }

// A Write changes annotations and ingress of one Service in one step, and only if it is still the
// very object, at the very version, that the decision was made from.
type Write struct {
	Key          Key
	UID, Version string            // of the snapshot that justified the write; required
	Annotations  map[string]string // "" removes the annotation
	Ingress      []string          // the addresses to show, with ipMode VIP; none clears
	SetIngress   bool              // write Ingress; otherwise the status is left alone
}

// Write sends one PATCH of services/status carrying uid and resourceVersion. It returns ErrConflict
// when the Service changed or was replaced since, ErrGone when there is none of that name, or what
// went wrong.
func (w *Watcher) Write(ctx context.Context, p Write) error {
	start := time.Now()
	err := patchStatus(ctx, w.client, p)
	w.metrics.wrote(err, time.Since(start))
	w.health.wrote(ctx, status(p.Key), err)
	return err
}

func patchStatus(ctx context.Context, c *kube.Client, p Write) error {
	body, err := p.patch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err = c.Core.Patch(types.MergePatchType).Namespace(p.Key.Namespace).Resource("services").Name(p.Key.Name).
		SubResource("status").Body(body).MaxRetries(0).Do(ctx).Error()
	return writeError(p.Key, err)
}

// patch renders the JSON merge patch (RFC 7386).
func (p Write) patch() ([]byte, error) {
	if p.UID == "" || p.Version == "" {
		return nil, fmt.Errorf("write %s: uid and version are required", p.Key)
	}
	meta := map[string]any{"uid": p.UID, "resourceVersion": p.Version}
	if len(p.Annotations) > 0 {
		meta["annotations"] = nullable(p.Annotations)
	}
	doc := map[string]any{"metadata": meta}
	if p.SetIngress {
		doc["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": ingress(p.Ingress)}}
	}
	return json.Marshal(doc)
}

// nullable turns "" into null, by which a merge patch removes a key.
func nullable(annotations map[string]string) map[string]any {
	out := make(map[string]any, len(annotations))
	for k, v := range annotations {
		out[k] = v
		if v == "" {
			out[k] = nil
		}
	}
	return out
}

func ingress(ips []string) []corev1.LoadBalancerIngress {
	vip := corev1.LoadBalancerIPModeVIP
	var out []corev1.LoadBalancerIngress // nil is null: removed
	for _, ip := range ips {
		out = append(out, corev1.LoadBalancerIngress{IP: ip, IPMode: &vip})
	}
	return out
}

func writeError(key Key, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err), uidRefused(err):
		return fmt.Errorf("write %s: %w", key, ErrConflict)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("write %s: %w", key, ErrGone)
	}
	return fmt.Errorf("write %s: %w", key, err)
}

// uidRefused recognizes an API server that reports a changed uid as an invalid field.
func uidRefused(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, c := range status.Status().Details.Causes {
		if c.Field == "metadata.uid" && c.Type == metav1.CauseTypeFieldValueInvalid {
			return true
		}
	}
	return false
}
