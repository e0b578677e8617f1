package watcher

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/starling-lb/starling/lease"
)

// A scribe writes down what a sink gets.
type scribe []string

func (s *scribe) put(version string, v *Service) { *s = append(*s, "put "+version+" "+v.Name) }
func (s *scribe) remove(version string, k Key)   { *s = append(*s, "remove "+version+" "+k.Name) }
func (s *scribe) position(version string)        { *s = append(*s, "position "+version) }
func (s *scribe) replace(v string, all []*Service) {
	*s = append(*s, fmt.Sprintf("replace %s %d", v, len(all)))
}

func versioned(name, version string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name, ResourceVersion: version}}
}

func TestStore(t *testing.T) {
	var told scribe
	var log bytes.Buffer
	s := &store[*Service]{sink: &told, convert: readService, log: zerolog.New(&log)}
	light, err := s.Transformer()(versioned("b", "2"))
	if err != nil {
		t.Fatal(err)
	}
	calls := []struct {
		name string
		do   func() error
		want string
	}{
		{"a plain list", func() error { return s.Replace([]any{versioned("a", "1"), versioned("b", "2")}, "3") }, "replace 3 2"},
		{"a streamed list", func() error { return s.Replace([]any{light}, "3") }, "replace 3 1"},
		{"added", func() error { return s.Add(versioned("c", "4")) }, "put 4 c"},
		{"modified", func() error { return s.Update(versioned("c", "5")) }, "put 5 c"},
		{"deleted", func() error { return s.Delete(versioned("c", "6")) }, "remove 6 c"},
		{"a bookmark", func() error { return s.Bookmark("7") }, "position 7"},
		{"a resync", s.Resync, ""},
		{"something else added", func() error { return s.Add(&corev1.Node{}) }, ""},
		{"something else deleted", func() error { return s.Delete(&corev1.Node{}) }, ""},
		{"something else in a list", func() error { return s.Replace([]any{&corev1.Node{}, versioned("a", "1")}, "8") }, "replace 8 1"},
	}
	for _, c := range calls {
		told = nil
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := strings.Join(told, ", "); got != c.want {
			t.Errorf("%s: told %q, want %q", c.name, got, c.want)
		}
	}
	if n := strings.Count(log.String(), "unexpected object in the stream"); n != 3 {
		t.Errorf("%d complaints, want 3: %s", n, log.String())
	}
}

// TestTransformer: what a streamed list is collected in keeps the converted object and the name,
// nothing else.
func TestTransformer(t *testing.T) {
	s := &store[*Service]{sink: new(scribe), convert: readService, log: zerolog.Nop()}
	in := versioned("a", "7")
	in.Annotations = map[string]string{"example.com/large": "x", lease.LeaseAnnotation: "{}"}
	out, err := s.Transformer()(in)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := out.(*kept[*Service])
	if !ok {
		t.Fatalf("got a %T", out)
	}
	if diff := cmp.Diff(metav1.ObjectMeta{Namespace: "d", Name: "a", ResourceVersion: "7"}, got.ObjectMeta); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(out); err != nil || key != "d/a" {
		t.Errorf("key %q, %v", key, err)
	}
	other := &corev1.Node{}
	if same, err := s.Transformer()(other); err != nil || same != any(other) {
		t.Errorf("something else became %v, %v", same, err)
	}
}
