package chaos

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/starling-lb/starling/e2e/history"
)

// server is an API server with some Services, none of whose writes any watch brings.
type server struct {
	items []core.Service
	watch func(meta.ListOptions) error // Whether it takes a watch.
}

func (s *server) List(context.Context, meta.ListOptions) (*core.ServiceList, error) {
	return &core.ServiceList{ListMeta: meta.ListMeta{ResourceVersion: "9"}, Items: s.items}, nil
}

func (s *server) Watch(ctx context.Context, o meta.ListOptions) (watch.Interface, error) {
	if err := s.watch(o); err != nil {
		return nil, err
	}
	w := watch.NewFake()
	context.AfterFunc(ctx, w.Stop)
	return w, nil
}

// holding is a Service that is bound to the address.
func holding(name, ip string) core.Service {
	s := core.Service{ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{
		"starling-lb.io/lease": `{"ips":[{"ip":"` + ip + `","state":"bound"}]}`,
	}}}
	s.Spec.Type = core.ServiceTypeLoadBalancer
	s.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{IP: ip}}
	return s
}

// TestFollow: what a Recorder could not learn of until its end is an error, and what it could is
// none. A version that is too old for the API server is given up.
func TestFollow(t *testing.T) {
	away := errors.New("away")
	for _, tt := range []struct {
		name  string
		watch func(o meta.ListOptions, begun time.Time) error
		want  error
	}{
		{"well", func(meta.ListOptions, time.Time) error { return nil }, nil},
		{"too old", func(o meta.ListOptions, _ time.Time) error {
			if o.ResourceVersion != "9" {
				return apierrors.NewResourceExpired("too old")
			}
			return nil
		}, nil},
		{"gone", func(o meta.ListOptions, _ time.Time) error {
			if o.ResourceVersion != "9" {
				return &apierrors.StatusError{ErrStatus: meta.Status{Reason: meta.StatusReasonGone}}
			}
			return nil
		}, nil},
		{"back before the end", func(_ meta.ListOptions, begun time.Time) error {
			if time.Since(begun) < 5*time.Second {
				return away
			}
			return nil
		}, nil},
		{"away until the end", func(meta.ListOptions, time.Time) error { return away }, away},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
				defer stop()
				begun := time.Now()
				api := &server{watch: func(o meta.ListOptions) error { return tt.watch(o, begun) }}
				r := Recorder{services: api, version: "3", known: map[string]bool{}}
				r.follow(ctx)
				if !errors.Is(r.err, tt.want) || (r.err == nil) != (tt.want == nil) {
					t.Errorf("%v, want %v", r.err, tt.want)
				}
			})
		})
	}
}

// TestListOfOneMoment: an address that has gone from one Service to another between two lists had
// one holder at all times.
func TestListOfOneMoment(t *testing.T) {
	api := &server{items: []core.Service{holding("old", "192.0.2.1")}}
	r := Recorder{services: api, known: map[string]bool{}}
	if err := r.list(t.Context()); err != nil {
		t.Fatal(err)
	}
	api.items = []core.Service{holding("new", "192.0.2.1")}
	if err := r.list(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := history.History{Writes: r.writes, Until: time.Now().Add(time.Second)}
	if len(h.Writes) != 3 {
		t.Errorf("%d writes, want those of old, new, and the end of old: %v", len(h.Writes), h.Writes)
	}
	if found := h.Check(history.Limits{}); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func TestBound(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2")
	lease := `{"v":1,"by":"us","holder":"n1","ips":[{"ip":"192.0.2.1","pool":"a","state":"bound"},{"ip":"2001:db8::2","pool":"a","state":"claimed"}]}`
	both := `{"ips":[{"ip":"192.0.2.1","state":"bound"},{"ip":"2001:db8::2","state":"bound"}]}`
	for _, tt := range []struct {
		name, lease string
		kind        core.ServiceType
		shown       []string
		want        []netip.Addr
	}{
		{"bound and shown", both, core.ServiceTypeLoadBalancer, []string{"192.0.2.1", "2001:db8::2"}, []netip.Addr{one, two}},
		{"one is only claimed", lease, core.ServiceTypeLoadBalancer, []string{"192.0.2.1", "2001:db8::2"}, []netip.Addr{one}},
		{"not shown", lease, core.ServiceTypeLoadBalancer, nil, nil},
		{"another is shown", lease, core.ServiceTypeLoadBalancer, []string{"192.0.2.9"}, nil},
		{"another type", both, core.ServiceTypeClusterIP, []string{"192.0.2.1"}, nil},
		{"no lease", "", core.ServiceTypeLoadBalancer, []string{"192.0.2.1"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := core.Service{ObjectMeta: meta.ObjectMeta{Annotations: map[string]string{"starling-lb.io/lease": tt.lease}}}
			s.Spec.Type = tt.kind
			for _, ip := range tt.shown {
				s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, core.LoadBalancerIngress{IP: ip})
			}
			if diff := cmp.Diff(tt.want, bound(&s), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
