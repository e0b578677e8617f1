package apitest

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func resource(at id) schema.GroupResource {
	for _, k := range kinds() {
		if k.resource == at.resource {
			return k.groupResource()
		}
	}
	return schema.GroupResource{Resource: at.resource}
}

// validate holds a Service's status to the rules that a lease meets.
func validate(at id, o Object) error {
	svc, ok := o.(*corev1.Service)
	if !ok {
		return nil
	}
	path := field.NewPath("status", "loadBalancer", "ingress")
	var errs field.ErrorList
	if len(svc.Status.LoadBalancer.Ingress) > 0 && svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
	}
	for i, in := range svc.Status.LoadBalancer.Ingress {
		if _, err := netip.ParseAddr(in.IP); in.IP != "" && err != nil {
			errs = append(errs, field.Invalid(path.Index(i).Child("ip"), in.IP, "must be a valid IP address"))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, at.name, errs)
}
