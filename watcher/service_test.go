package watcher

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/lease"
)

func TestFromService(t *testing.T) {
	class, policy := "example.com/other", corev1.IPFamilyPolicyPreferDualStack
	deleted := metav1.NewTime(time.Date(2026, 7, 2, 0, 0, 0, 0, time.UTC))
	tests := []struct {
		name string
		in   corev1.Service
		want Service
	}{
		{
			name: "nothing set",
			in:   corev1.Service{},
			want: Service{},
		},
		{
			name: "everything set",
			in: corev1.Service{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "d", Name: "web", UID: "u1", ResourceVersion: "7",
					CreationTimestamp: metav1.NewTime(time.Date(2026, 7, 1, 2, 0, 0, 0, time.FixedZone("CEST", 7200))),
					DeletionTimestamp: &deleted,
					Labels:            map[string]string{"app": "web"},
					Annotations: map[string]string{
						"starling-lb.io/lease":                             "{}",
						"metallb.io/address-pool":                          "p",
						"metallb.universe.tf/address-pool":                 "q",
						"kubectl.kubernetes.io/last-applied-configuration": "long",
						"starling-lb.io.evil.example/lease":                "no",
						"starling-lb.io":                                   "a key without a slash is a name",
					},
					ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}, ingressBy("controller", 7), ingressBy("starling", 3)},
				},
				Spec: corev1.ServiceSpec{
					Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: &class, LoadBalancerIP: "198.18.64.3",
					IPFamilies: []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}, IPFamilyPolicy: &policy,
					Ports: []corev1.ServicePort{
						{Name: "b", Protocol: corev1.ProtocolUDP, Port: 53}, {Name: "a", Port: 80}, {Name: "c", Protocol: corev1.ProtocolTCP, Port: 53},
					},
					Selector:                 map[string]string{"tier": "front", "app": "web"},
					ExternalIPs:              []string{"198.18.64.9"},
					LoadBalancerSourceRanges: []string{"198.18.0.0/16"},
					ExternalTrafficPolicy:    corev1.ServiceExternalTrafficPolicyLocal,
				},
				Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{
					Ingress: []corev1.LoadBalancerIngress{{IP: "198.18.64.3"}, {Hostname: "lb.example"}, {IP: "2001:db8::1"}},
				}},
			},
			want: Service{
				Namespace: "d", Name: "web", UID: "u1", Version: "7",
				Created:  time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
				Deleting: true, Type: "LoadBalancer", Class: "example.com/other",
				Annotations: [][2]string{
					{"metallb.io/address-pool", "p"}, {"metallb.universe.tf/address-pool", "q"}, {"starling-lb.io/lease", "{}"},
				},
				Labels: "app=web", LoadBalancerIP: "198.18.64.3",
				Families: []string{"IPv6", "IPv4"}, FamilyPolicy: "PreferDualStack",
				Ports: []string{"TCP/53", "TCP/80", "UDP/53"}, Selector: "app=web,tier=front", Local: true,
				Ingress: []string{"198.18.64.3", "lb.example", "2001:db8::1"}, Writer: "controller", ExternalIPs: []string{"198.18.64.9"}, SourceRanges: []string{"198.18.0.0/16"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(&tt.want, fromService(&tt.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// ingressBy is what the API server notes of a manager that wrote to the ingress.
func ingressBy(manager string, hour int) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(time.Date(2026, 7, 1, hour, 0, 0, 0, time.UTC))
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: "status", Time: &at,
		FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:ingress":{}}},"f:status":{"f:loadBalancer":{"f:ingress":{}}}}`),
	}
}

func TestIngressWriter(t *testing.T) {
	other := ingressBy("kubectl-edit", 9)
	other.FieldsV1 = metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:ingress":{}}},"f:spec":{"f:loadBalancerClass":{}}}`)
	untimed := ingressBy("untimed", 1)
	untimed.Time = nil
	for _, tt := range []struct {
		name string
		in   []metav1.ManagedFieldsEntry
		want string
	}{
		{"nobody", nil, ""},
		{"who wrote something else", []metav1.ManagedFieldsEntry{other, {Manager: "x"}}, ""},
		{"the only one", []metav1.ManagedFieldsEntry{other, ingressBy("controller", 1)}, "controller"},
		{"the last one", []metav1.ManagedFieldsEntry{ingressBy("a", 1), ingressBy("b", 3), ingressBy("c", 2)}, "b"},
		{"ourselves", []metav1.ManagedFieldsEntry{ingressBy("a", 1), ingressBy("starling", 2)}, ""},
		{"without a time", []metav1.ManagedFieldsEntry{untimed}, "untimed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ingressWriter(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestRelevant(t *testing.T) {
	tests := []struct {
		name string
		in   Service
		want bool
	}{
		{"LoadBalancer", Service{Type: "LoadBalancer"}, true},
		{"LoadBalancer of another class", Service{Type: "LoadBalancer", Class: "x/y"}, true},
		{"ClusterIP", Service{Type: "ClusterIP"}, false},
		{"ClusterIP with a lease", Service{Type: "ClusterIP", Annotations: [][2]string{{lease.LeaseAnnotation, ""}}}, true},
		{"ClusterIP with ingress", Service{Type: "ClusterIP", Ingress: []string{"198.18.64.3"}}, true},
		{"ClusterIP with a request", Service{Type: "ClusterIP", Annotations: [][2]string{{"starling-lb.io/address-pool", "p"}}}, false},
		{"ClusterIP with externalIPs", Service{Type: "ClusterIP", ExternalIPs: []string{"198.18.64.3"}}, true},
		{"no type", Service{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := relevant(&tt.in); got != tt.want {
				t.Errorf("relevant %v, want %v", got, tt.want)
			}
		})
	}
}

// TestInterning holds what 10,000 Services cost: texts that many objects share are the same text in
// memory.
func TestInterning(t *testing.T) {
	a := fromService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: string([]byte("team"))}})
	b := fromService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: string([]byte("team"))}})
	if dataOf(a.Namespace) != dataOf(b.Namespace) {
		t.Error("the namespace is kept twice")
	}
}

// TestEqual changes every field in turn, also those to come.
func TestEqual(t *testing.T) {
	full := func() *Service { return sample().Services[0] }
	if a, b := full(), full(); !a.Same(b) {
		t.Error("two copies differ")
	}
	typ := reflect.TypeFor[Service]()
	for i := range typ.NumField() {
		other := full()
		f := reflect.ValueOf(other).Elem().Field(i)
		f.SetZero()
		if f.Kind() == reflect.Bool {
			f.SetBool(!reflect.ValueOf(full()).Elem().Field(i).Bool())
		}
		if full().Same(other) {
			t.Errorf("%s does not matter", typ.Field(i).Name)
		}
	}
}
