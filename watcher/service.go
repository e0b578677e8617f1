package watcher

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
)

// leaseAnnotation is the annotation by which a Service holds its addresses.
const leaseAnnotation = "starling-lb.io/lease"

// A Key names a Service.
type Key struct{ Namespace, Name string }

// String returns "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name))
}

// A Service is what starling needs to know of a Kubernetes Service. Those handed out are the watcher's own and must
// not be written to: 10,000 of them are not worth a second copy.
type Service struct {
	Namespace, Name string
	UID, Version    string // metadata.uid and metadata.resourceVersion
	Created         time.Time
	Deleting        bool        // has a deletionTimestamp: finalizers still hold it
	Local           bool        // externalTrafficPolicy: Local
	Type, Class     string      // spec.type; spec.loadBalancerClass or ""
	Annotations     [][2]string // name and value, sorted: those of starling-lb.io/, metallb.io/ and metallb.universe.tf/ alone
	Labels          string      // canonical text, as of Selector
	LoadBalancerIP  string      // spec.loadBalancerIP
	Families        []string    // spec.ipFamilies: "IPv4", "IPv6"
	FamilyPolicy    string      // "SingleStack", "PreferDualStack", "RequireDualStack"
	Ports           []string    // "TCP/80", sorted
	Selector        string      // canonical text, equal if and only if the selectors are; "" is none
	Ingress         []string    // status.loadBalancer.ingress[].ip, in the order of the status
}

// Key returns the Service's name.
func (s Service) Key() Key { return Key{s.Namespace, s.Name} }

// equal compares everything. A list of 10,000 Services is compared with the table after each lost watch.
func (s *Service) equal(o *Service) bool {
	return s.Namespace == o.Namespace && s.Name == o.Name && s.UID == o.UID && s.Version == o.Version &&
		s.Created.Equal(o.Created) && s.Deleting == o.Deleting && s.Type == o.Type && s.Class == o.Class &&
		s.LoadBalancerIP == o.LoadBalancerIP && s.FamilyPolicy == o.FamilyPolicy && s.Selector == o.Selector &&
		s.Local == o.Local && slices.Equal(s.Annotations, o.Annotations) && s.Labels == o.Labels &&
		slices.Equal(s.Families, o.Families) && slices.Equal(s.Ports, o.Ports) && slices.Equal(s.Ingress, o.Ingress)
}

// relevant says whether a Service can hold or want an address. One that is not of type LoadBalancer and carries
// neither lease nor ingress holds nothing, wants nothing and is not kept.
func (s *Service) relevant() bool {
	leased := slices.ContainsFunc(s.Annotations, func(a [2]string) bool { return a[0] == leaseAnnotation })
	return s.Type == string(corev1.ServiceTypeLoadBalancer) || leased || len(s.Ingress) > 0
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

// fromService copies what is needed out of a Service, so that the decoded object can be collected at once. Texts that
// most Services share (namespaces, types, label names) are kept once.
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
		if i.IP != "" {
			s.Ingress = append(s.Ingress, i.IP)
		}
	}
	return s
}

// ownAnnotations keeps the annotations that starling reads or writes. Everything else, kubectl's copy of the whole
// object first of all, is not worth its memory.
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
	return prefixed && (prefix == "starling-lb.io" || prefix == "metallb.io" || prefix == "metallb.universe.tf")
}

func ports(all []corev1.ServicePort) []string {
	var out []string
	for _, p := range all {
		out = append(out, intern(string(cmp.Or(p.Protocol, corev1.ProtocolTCP))+"/"+strconv.Itoa(int(p.Port))))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// canonical renders labels or a selector as a sorted "k=v,k=v": neither keys nor values contain '=' or ','. A map
// of one label would take ten times the memory.
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

// internKeys copies labels. Their values mostly name the very object, and shared copies would cost more than they save.
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
