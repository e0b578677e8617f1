package lease

import (
	"cmp"
	"slices"
	"time"
)

// What starling reads and writes on a Service.
const (
	// Prefix begins every annotation of starling.
	Prefix = "starling-lb.io/"
	// LeaseAnnotation holds the lease: which addresses the Service has. Written by the speakers.
	LeaseAnnotation = Prefix + "lease"
	// PoolAnnotation names the pool that the addresses came from. Written by the speakers.
	PoolAnnotation = Prefix + "ip-allocated-from-pool"
	// AskPoolAnnotation asks for an address of this pool.
	AskPoolAnnotation = Prefix + "address-pool"
	// AskIPsAnnotation asks for these addresses: one, or one of each family with a comma between.
	AskIPsAnnotation = Prefix + "loadBalancerIPs"
	// AskShareAnnotation allows Services with the same value to have one address, if their ports
	// differ.
	AskShareAnnotation = Prefix + "allow-shared-ip"

	typeLoadBalancer = "LoadBalancer"
	ipv4             = "IPv4"
	ipv6             = "IPv6"
	preferDualStack  = "PreferDualStack"
	requireDualStack = "RequireDualStack"
)

// Key names a Service.
type Key struct{ Namespace, Name string }

// String returns "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Service is what starling needs to know of a Kubernetes Service, as one revision of the
// ordered stream showed it. Tables keep it: its maps and slices must not change afterwards.
type Service struct {
	Namespace, Name string
	UID, Version    string // metadata.uid, metadata.resourceVersion
	Created         time.Time
	Deleting        bool
	Local           bool        // externalTrafficPolicy: Local
	Type, Class     string      // spec.type; spec.loadBalancerClass or ""
	Annotations     [][2]string // name and value, sorted: only starling-lb.io/, metallb.io/, metallb.universe.tf/
	Labels          string      // canonical text "k=v,k=v"; "" none
	LoadBalancerIP  string      // spec.loadBalancerIP
	Families        []string    // spec.ipFamilies: "IPv4", "IPv6", the primary one first
	FamilyPolicy    string      // "SingleStack", "PreferDualStack", "RequireDualStack"
	Ports           []string    // "TCP/80"
	Selector        string      // canonical text, equal iff the selectors are equal; "" none
	Ingress         []string    // status.loadBalancer.ingress[], of each its ip or else its hostname
	ExternalIPs     []string    // spec.externalIPs
	SourceRanges    []string    // spec.loadBalancerSourceRanges
	Writer          string      // field manager that wrote this Ingress; "" a speaker, or nobody knows
}

// Key returns the name of the Service.
func (s Service) Key() Key { return Key{Namespace: s.Namespace, Name: s.Name} }

// annotation returns the value of an annotation, and whether there is one.
func (s *Service) annotation(name string) (string, bool) {
	for _, a := range s.Annotations {
		if a[0] == name {
			return a[1], true
		}
	}
	return "", false
}

// note is the value of an annotation, or "".
func (s *Service) note(name string) string {
	value, _ := s.annotation(name)
	return value
}

// Compare orders by namespace, then by name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name))
}

// Same compares contents, not versions alone: after a restored backup one version may name two of
// them.
func (s *Service) Same(o *Service) bool {
	return s.Version == o.Version && s.UID == o.UID && s.Key() == o.Key() &&
		s.Created.Equal(o.Created) && s.Deleting == o.Deleting && s.Type == o.Type && s.Class == o.Class &&
		slices.Equal(s.Annotations, o.Annotations) && s.Labels == o.Labels &&
		s.LoadBalancerIP == o.LoadBalancerIP && s.FamilyPolicy == o.FamilyPolicy && s.Selector == o.Selector && s.Local == o.Local &&
		slices.Equal(s.Families, o.Families) && slices.Equal(s.Ports, o.Ports) && slices.Equal(s.Ingress, o.Ingress) &&
		s.Writer == o.Writer && slices.Equal(s.ExternalIPs, o.ExternalIPs) && slices.Equal(s.SourceRanges, o.SourceRanges)
}
