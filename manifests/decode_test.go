package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// object is one document of the rendered file, decoded strictly into its Kubernetes type.
type object struct {
	id    string // "Kind namespace/name", without the slash for cluster-wide kinds
	value any
}

// find is the one object of type T.
func find[T any](t *testing.T) T {
	t.Helper()
	var found []T
	for _, o := range objects(t) {
		if v, ok := o.value.(T); ok {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of %T, want 1", len(found), *new(T))
	}
	return found[0]
}

func objects(t *testing.T) []object {
	t.Helper()
	b, err := os.ReadFile(Rendered)
	if err != nil {
		t.Fatal(err)
	}
	r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
	var out []object
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := decode(t, doc); ok {
			out = append(out, o)
		}
	}
}

func decode(t *testing.T, doc []byte) (object, bool) {
	t.Helper()
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name, Namespace string }
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		t.Fatalf("%v in:\n%s", err, doc)
	}
	if head.Kind == "" && onlyComments(doc) {
		return object{}, false
	}
	types := map[string]any{
		"v1 Namespace":      &corev1.Namespace{},
		"v1 ConfigMap":      &corev1.ConfigMap{},
		"v1 ServiceAccount": &corev1.ServiceAccount{},
		"rbac.authorization.k8s.io/v1 ClusterRole":        &rbacv1.ClusterRole{},
		"rbac.authorization.k8s.io/v1 ClusterRoleBinding": &rbacv1.ClusterRoleBinding{},
		"rbac.authorization.k8s.io/v1 Role":               &rbacv1.Role{},
		"rbac.authorization.k8s.io/v1 RoleBinding":        &rbacv1.RoleBinding{},
		"apps/v1 DaemonSet":                               &appsv1.DaemonSet{},

		"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy":        &admissionv1.ValidatingAdmissionPolicy{},
		"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding": &admissionv1.ValidatingAdmissionPolicyBinding{},
	}
	v, ok := types[head.APIVersion+" "+head.Kind]
	if !ok {
		t.Fatalf("unexpected %s %s", head.APIVersion, head.Kind)
	}
	if err := yaml.UnmarshalStrict(doc, v); err != nil {
		t.Fatalf("%s %s: %v", head.Kind, head.Metadata.Name, err)
	}
	name := head.Metadata.Name
	if head.Metadata.Namespace != "" {
		name = head.Metadata.Namespace + "/" + name
	}
	return object{id: head.Kind + " " + name, value: v}, true
}

func onlyComments(doc []byte) bool {
	for line := range bytes.Lines(doc) {
		if l := bytes.TrimSpace(line); len(l) > 0 && l[0] != '#' {
			return false
		}
	}
	return true
}
