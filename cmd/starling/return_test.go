package main

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/watcher/apitest"
	"github.com/starling-lb/starling/watcher/kube"
)

func someNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"other": "stays"}}}
}

// TestReturn: the Nodes get the annotation, another value each time, and nothing else of them
// changes.
func TestReturn(t *testing.T) {
	api := apitest.Start(t)
	for _, name := range []string{"n1", "n2", "n3"} {
		api.Create(someNode(name))
	}
	file := kubeconfig(t, api.Config().Host)
	code, out, errOut := called(t, "starling", "return", "n1", "n2", "--kubeconfig", file)
	if code != exitOK || out != "n1: asked to take its addresses back\nn2: asked to take its addresses back\n" || errOut != "" {
		t.Fatalf("exit code %d: %q, %q", code, out, errOut)
	}
	asked := func(name string) string {
		t.Helper()
		n, ok := apitest.Get(api, someNode(name))
		if !ok || n.Annotations["other"] != "stays" || n.Labels["a"] != "b" {
			t.Errorf("%s is there: %v, with %v and %v", name, ok, n.Annotations, n.Labels)
		}
		return n.Annotations[kube.ReturnAnnotation]
	}
	first := asked("n1")
	if at, err := time.Parse(time.RFC3339Nano, first); err != nil || time.Since(at) > time.Minute {
		t.Errorf("the annotation is %q: %v", first, err)
	}
	if asked("n2") != first || asked("n3") != "" {
		t.Errorf("n1 has %q, n2 %q and n3 %q", first, asked("n2"), asked("n3"))
	}
	if code, _, errOut := called(t, "starling", "return", "n1", "--kubeconfig", file); code != exitOK || asked("n1") == first {
		t.Errorf("exit code %d, %q; the second time it is %q as well", code, errOut, first)
	}
}

func TestReturnFails(t *testing.T) {
	api := apitest.Start(t)
	api.Create(someNode("n1"))
	file := kubeconfig(t, api.Config().Host)
	for _, tt := range []struct {
		name   string
		forbid bool
		args   []string
		code   int
		want   string // of what it says
	}{
		{"no node", false, nil, exitUsage, "name a NODE, as in starling return n1"},
		{"no name", false, []string{"a/b"}, exitUsage, `"a/b"`},
		{"no time", false, []string{"n1", "--timeout", "0"}, exitUsage, "--timeout: 0s is not a time to wait"},
		{"no context", false, []string{"n1", "--context", "none"}, exitUsage, `context "none" does not exist`},
		{"one is not there", false, []string{"n0", "n1"}, exitFailed, `annotate Node n0: nodes "n0" not found`},
		{"not allowed", true, []string{"n1"}, exitFailed, `annotate Node n1: nodes "n1" is forbidden`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.forbid {
				api.Forbid("patch nodes")
			}
			code, out, errOut := called(t, append([]string{"starling", "return", "--kubeconfig", file}, tt.args...)...)
			if code != tt.code || !strings.Contains(errOut, tt.want) {
				t.Errorf("exit code %d, want %d: %q, want %q", code, tt.code, errOut, tt.want)
			}
			if (out != "") != (tt.name == "one is not there") {
				t.Errorf("says %q", out)
			}
		})
	}
}
