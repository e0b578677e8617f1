package watcher

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher/record"
)

// Key names a Service.
type Key = lease.Key

// Service is what starling needs to know of a Kubernetes Service. Those handed out are the
// watcher's own and must not be written to: 10,000 of them are not worth a second copy.
type Service = lease.Service

// relevant reports whether a Service can hold or want an address. One that is not of type
// LoadBalancer and carries neither lease nor ingress nor externalIPs holds nothing, wants nothing
// and is not kept.
func relevant(s *Service) bool {
	leased := slices.ContainsFunc(s.Annotations, func(a [2]string) bool { return a[0] == lease.LeaseAnnotation })
	return s.Type == string(corev1.ServiceTypeLoadBalancer) || leased || len(s.Ingress) > 0 || len(s.ExternalIPs) > 0
}

// readService is the conversion of the stream.
func readService(o any) (Key, *Service, bool) {
	svc, ok := o.(*corev1.Service)
	if !ok {
		return Key{}, nil, false
	}
	s := fromService(svc)
	return s.Key(), s, true
}

// fromService copies what is needed out of a Service, so that the decoded object can be collected
// at once. Texts that most Services share (namespaces, types, label names) are kept once.
func fromService(o *corev1.Service) *Service {
	s := &Service{
		Namespace:      intern(o.Namespace),
		Name:           o.Name,
		UID:            string(o.UID),
		Version:        o.ResourceVersion,
		Created:        o.CreationTimestamp.UTC(),
		Deleting:       o.DeletionTimestamp != nil,
		Type:           intern(string(o.Spec.Type)),
		Annotations:    ownAnnotations(o.Annotations),
		Labels:         canonical(o.Labels),
		LoadBalancerIP: o.Spec.LoadBalancerIP,
		Ports:          ports(o.Spec.Ports),
		Selector:       canonical(o.Spec.Selector),
		Local:          o.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
		ExternalIPs:    slices.Clone(o.Spec.ExternalIPs),
		SourceRanges:   slices.Clone(o.Spec.LoadBalancerSourceRanges),
	}
	if s.Labels == s.Selector {
		s.Labels = s.Selector // most often they are equal; now they are one
	}
	if c := o.Spec.LoadBalancerClass; c != nil {
		s.Class = intern(*c)
	}
	if p := o.Spec.IPFamilyPolicy; p != nil {
		s.FamilyPolicy = intern(string(*p))
	}
	for _, f := range o.Spec.IPFamilies {
		s.Families = append(s.Families, intern(string(f)))
	}
	for _, i := range o.Status.LoadBalancer.Ingress {
		if name := cmp.Or(i.IP, i.Hostname); name != "" {
			s.Ingress = append(s.Ingress, name)
		}
	}
	if len(s.Ingress) > 0 {
		s.Writer = ingressWriter(o.ManagedFields)
	}
	return s
}

// ingressWriter names the field manager of status.loadBalancer.ingress, unless it is ours. Of all
// that the managed fields tell this is kept: 10,000 Services have few writers.
func ingressWriter(entries []metav1.ManagedFieldsEntry) string {
	var last *metav1.ManagedFieldsEntry
	for i := range entries {
		e := &entries[i]
		if e.FieldsV1 == nil || last != nil && e.Time.Before(last.Time) {
			continue
		}
		if _, below, ok := bytes.Cut(e.FieldsV1.GetRawBytes(), []byte(`"f:loadBalancer"`)); ok && bytes.Contains(below, []byte(`"f:ingress"`)) {
			last = e
		}
	}
	if last == nil || last.Manager == record.Component {
		return ""
	}
	return intern(last.Manager)
}

// ownAnnotations keeps the annotations that starling reads or writes, and those that look as if
// they were meant to be such. Everything else, kubectl's copy of the whole object first of all, is
// not worth its memory.
func ownAnnotations(all map[string]string) [][2]string {
	var own [][2]string
	for k, v := range all {
		if ownAnnotation(k) {
			own = append(own, [2]string{intern(k), v})
		}
	}
	slices.SortFunc(own, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	return slices.Clip(own)
}

func ownAnnotation(key string) bool {
	prefix, _, prefixed := strings.Cut(key, "/")
	like := strings.Contains(strings.ToLower(prefix), "starling") && !strings.HasPrefix(prefix, "starling-lb.io.")
	return prefixed && (like || prefix == "metallb.io" || prefix == "metallb.universe.tf")
}

func ports(all []corev1.ServicePort) []string {
	var out []string
	for _, p := range all {
		out = append(out, intern(string(cmp.Or(p.Protocol, corev1.ProtocolTCP))+"/"+strconv.Itoa(int(p.Port))))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// canonical renders labels or a selector as a sorted "k=v,k=v": neither keys nor values contain '='
// or ','. A map of one label would take ten times the memory.
func canonical(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for k, v := range labels {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// intern returns one shared copy of a text that occurs in many objects.
func intern(s string) string { return unique.Make(s).Value() }

// internKeys copies labels. Their values mostly name the very object, and shared copies would cost
// more than they save.
func internKeys(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[intern(k)] = v
	}
	return out
}
