package kube

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/watcher/apitest"
)

// TestRelease: the Node gets the annotation, and keeps the others.
func TestRelease(t *testing.T) {
	srv := apitest.Start(t)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{"other": "stays", ReturnAnnotation: "monday"}}}
	srv.Create(node)
	if err := Release(t.Context(), client(t, srv), "n1", "tuesday"); err != nil {
		t.Fatal(err)
	}
	got, _ := apitest.Get(srv, node)
	if got.Annotations[ReturnAnnotation] != "tuesday" || got.Annotations["other"] != "stays" {
		t.Errorf("annotations %v", got.Annotations)
	}
	srv.Forbid("patch nodes")
	for name, want := range map[string]string{"n1": "annotate Node n1: nodes \"n1\" is forbidden", "n2": "annotate Node n2: "} {
		if err := Release(t.Context(), client(t, srv), name, "friday"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}
