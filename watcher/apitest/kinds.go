package apitest

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// An Object is a Kubernetes object of one of the kinds that the server knows.
type Object interface {
	runtime.Object
	metav1.Object
}

// A kind is one resource of the API.
type kind struct {
	resource   string
	name       string // Kind
	group      schema.GroupVersion
	namespaced bool
	object     func() Object
	list       func() runtime.Object
}

func (k kind) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.group.Group, Resource: k.resource}
}

func kinds() []kind {
	core := corev1.SchemeGroupVersion
	return []kind{
		{"services", "Service", core, true, func() Object { return new(corev1.Service) }, func() runtime.Object { return new(corev1.ServiceList) }},
		{"nodes", "Node", core, false, func() Object { return new(corev1.Node) }, func() runtime.Object { return new(corev1.NodeList) }},
		{"secrets", "Secret", core, true, func() Object { return new(corev1.Secret) }, func() runtime.Object { return new(corev1.SecretList) }},
		{"configmaps", "ConfigMap", core, true, func() Object { return new(corev1.ConfigMap) }, func() runtime.Object { return new(corev1.ConfigMapList) }},
		{"pods", "Pod", core, true, func() Object { return new(corev1.Pod) }, func() runtime.Object { return new(corev1.PodList) }},
		{"events", "Event", core, true, func() Object { return new(corev1.Event) }, func() runtime.Object { return new(corev1.EventList) }},
		{"namespaces", "Namespace", core, false, func() Object { return new(corev1.Namespace) }, func() runtime.Object { return new(corev1.NamespaceList) }},
		{"daemonsets", "DaemonSet", appsv1.SchemeGroupVersion, true, func() Object { return new(appsv1.DaemonSet) }, func() runtime.Object { return new(appsv1.DaemonSetList) }},
		{
			"endpointslices", "EndpointSlice", discoveryv1.SchemeGroupVersion, true,
			func() Object { return new(discoveryv1.EndpointSlice) }, func() runtime.Object { return new(discoveryv1.EndpointSliceList) },
		},
	}
}

func kindOf(o Object) kind {
	for _, k := range kinds() {
		if fmt.Sprintf("%T", k.object()) == fmt.Sprintf("%T", o) {
			return k
		}
	}
	panic(fmt.Sprintf("apitest does not know objects of type %T", o))
}

// findKind returns the kind behind a path such as /api/v1/services, and what follows it: namespace,
// name, subresource.
func findKind(path string) (k kind, namespace, name, sub string, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	group := schema.GroupVersion{}
	switch {
	case len(parts) > 2 && parts[0] == "api":
		group.Version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group.Group, group.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return k, "", "", "", false
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	for _, k := range kinds() {
		if k.resource == parts[0] && k.group == group {
			return k, namespace, parts[1], parts[2], true
		}
	}
	return k, "", "", "", false
}

func codecs() serializer.CodecFactory {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	return serializer.NewCodecFactory(s)
}
