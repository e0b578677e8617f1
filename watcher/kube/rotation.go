package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is in this file is done with the rights of a user who replaces the key, never by a speaker.

// annotationMark names the new key while a rotation is under way, by its fingerprint.
const annotationMark = "starling-lb.io/new-key"

// KeySecret is the Secret of the gossip's keys as it was read.
type KeySecret struct {
	Text string // keys, one a line
	Mark string // fingerprint of the new key, "" when no rotation is under way

	object corev1.Secret
}

// ReadKeySecret reads the Secret.
func ReadKeySecret(ctx context.Context, c *Client, namespace string) (KeySecret, error) {
	var s KeySecret
	err := c.Core.Get().Namespace(namespace).Resource("secrets").Name(GossipSecret).MaxRetries(0).Do(ctx).Into(&s.object)
	if err != nil {
		return s, fmt.Errorf("read Secret %s/%s: %w", namespace, GossipSecret, err)
	}
	s.Text, s.Mark = string(s.object.Data[GossipKeys]), s.object.Annotations[annotationMark]
	return s, nil
}

// ErrSecretChanged is the error of a write of the Secret that somebody else has changed since it
// was read.
var ErrSecretChanged = errors.New("the Secret changed meanwhile")

// WriteKeySecret writes what differs from the Secret as it was read. If somebody has changed it
// since, nothing is written and the error is ErrSecretChanged.
func WriteKeySecret(ctx context.Context, c *Client, s KeySecret) error {
	o := s.object.DeepCopy()
	o.Data = map[string][]byte{GossipKeys: []byte(s.Text)}
	for name, value := range s.object.Data {
		if name != GossipKeys {
			o.Data[name] = value
		}
	}
	if delete(o.Annotations, annotationMark); s.Mark != "" {
		metav1.SetMetaDataAnnotation(&o.ObjectMeta, annotationMark, s.Mark)
	}
	err := c.Core.Put().Namespace(o.Namespace).Resource("secrets").Name(o.Name).Body(o).MaxRetries(0).Do(ctx).Error()
	if apierrors.IsConflict(err) {
		err = fmt.Errorf("%w: %w", ErrSecretChanged, err)
	}
	if err != nil {
		return fmt.Errorf("write Secret %s/%s: %w", o.Namespace, o.Name, err)
	}
	return nil
}

// Refused reports whether an error is the API server's answer that the user has no right to this:
// asking again is of no use.
func Refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// SpeakerPod is a pod of the DaemonSet.
type SpeakerPod struct {
	Node, Namespace, Name string
	Port                  int32  // of its status
	User                  string // that the API server knows it by
}

// String returns namespace/name.
func (p SpeakerPod) String() string { return p.Namespace + "/" + p.Name }

// SpeakerPods returns the pods of speakers, sorted by node, without those that have ended.
func SpeakerPods(ctx context.Context, c *Client, namespace string) ([]SpeakerPod, error) {
	var list corev1.PodList
	o := metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=starling"}
	err := c.Core.Get().Namespace(namespace).Resource("pods").VersionedParams(&o, metav1.ParameterCodec).MaxRetries(0).Do(ctx).Into(&list)
	if err != nil {
		return nil, fmt.Errorf("list the pods of speakers in namespace %s: %w", namespace, err)
	}
	var out []SpeakerPod
	for _, p := range list.Items {
		if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		out = append(out, SpeakerPod{Node: p.Spec.NodeName, Namespace: p.Namespace, Name: p.Name, Port: statusPort(p), User: userOf(p)})
	}
	slices.SortFunc(out, func(a, b SpeakerPod) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Name, b.Name)) })
	return out, nil
}

// userOf is the user name of the pod's ServiceAccount.
func userOf(p corev1.Pod) string {
	return "system:serviceaccount:" + p.Namespace + ":" + cmp.Or(p.Spec.ServiceAccountName, "default")
}

// statusPort is the port of that name, else the default.
func statusPort(p corev1.Pod) int32 {
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name == "status" {
				return port.ContainerPort
			}
		}
	}
	return 7928
}

// ErrGuarded means that a speaker wants a token, which the API server takes out of what it passes
// on.
var ErrGuarded = errors.New("the speaker asks for a token (--status-auth), and the API server passes none on: use kubectl exec, or port-forward and --server")

// AskPod sends a GET to the status port of a speaker through the API server, and returns the body
// of the answer. The path may have a query. A speaker with a certificate is asked again by TLS: the
// API server does not verify what certificate a pod has, since it cannot know all of them, but who
// reads its answers trusts it anyway.
func AskPod(ctx context.Context, c *Client, p SpeakerPod, path string) ([]byte, error) {
	suffix, query, _ := strings.Cut(path, "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("ask pod %s on %s for %q: %w", p, p.Node, path, err)
	}
	body, err := c.proxied(ctx, p, "", suffix, params)
	if mentions(err, "HTTP request to an HTTPS server") { // net/http's words
		body, err = c.proxied(ctx, p, "https:", suffix, params)
	}
	if apierrors.IsUnauthorized(err) && mentions(err, tokenWanted) {
		err = ErrGuarded
	}
	if err != nil {
		return nil, fmt.Errorf("ask pod %s on %s: %w", p, p.Node, err)
	}
	return body, nil
}

// tokenWanted is in a speaker's answer to a request without a token, and in none of the API
// server's own.
const tokenWanted = "a token of this Kubernetes cluster is needed"

// proxied has the API server ask a pod, with "https:" for a scheme by TLS.
func (c *Client) proxied(ctx context.Context, p SpeakerPod, scheme, path string, params url.Values) ([]byte, error) {
	name := scheme + p.Name + ":" + strconv.Itoa(int(p.Port))
	r := c.Core.Get().Namespace(p.Namespace).Resource("pods").Name(name).SubResource("proxy").Suffix(path).MaxRetries(0)
	for name, values := range params {
		for _, v := range values {
			r = r.Param(name, v)
		}
	}
	return r.DoRaw(ctx)
}

// mentions reports whether the answer behind an error contains words; it is no Status where a pod
// gave it.
func mentions(err error, words string) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && slices.ContainsFunc(d.Causes, func(c metav1.StatusCause) bool { return strings.Contains(c.Message, words) })
}
