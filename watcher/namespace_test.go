package watcher

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestReadNamespace(t *testing.T) {
	in := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"x": "y"}}}
	k, n, ok := readNamespace(in)
	in.Labels["a"] = "c"
	if !ok || k != (Key{Name: "team"}) || n.labels["a"] != "b" || len(n.labels) != 1 {
		t.Errorf("%v %+v %v", k, n, ok)
	}
	if _, n, ok := readNamespace(&corev1.Namespace{}); !ok || n.labels == nil {
		t.Error("one without labels is not told from one that is not known")
	}
	if _, _, ok := readNamespace(&corev1.Node{}); ok {
		t.Error("a Node is taken for a Namespace")
	}
}

func TestNamespaceSet(t *testing.T) {
	type labels = map[string]string
	var told counter
	s := newNamespaceSet(told.add)
	for _, st := range []struct {
		name string
		do   func()
		want map[string]labels
		told int
	}{
		{"empty", func() {}, map[string]labels{}, 0},
		{"a list", func() { s.replace("1", []namespace{{"a", labels{}}, {"b", labels{"k": "v"}}}) }, map[string]labels{"a": {}, "b": {"k": "v"}}, 1},
		{"a change of something else", func() { s.put("2", namespace{"b", labels{"k": "v"}}) }, map[string]labels{"a": {}, "b": {"k": "v"}}, 0},
		{"another value", func() { s.put("3", namespace{"b", labels{"k": "w"}}) }, map[string]labels{"a": {}, "b": {"k": "w"}}, 1},
		{"a new one without labels", func() { s.put("4", namespace{"c", labels{}}) }, map[string]labels{"a": {}, "b": {"k": "w"}, "c": {}}, 1},
		{"a deletion", func() { s.remove("5", Key{Name: "a"}) }, map[string]labels{"b": {"k": "w"}, "c": {}}, 1},
		{"a deletion of what is not known", func() { s.remove("6", Key{Name: "a"}) }, map[string]labels{"b": {"k": "w"}, "c": {}}, 0},
		{"a bookmark", func() { s.position("7") }, map[string]labels{"b": {"k": "w"}, "c": {}}, 0},
		{"a list after a lost watch", func() { s.replace("8", []namespace{{"d", labels{}}}) }, map[string]labels{"d": {}}, 1},
	} {
		before, edits := s.snapshot()
		copied := maps.Clone(before)
		st.do()
		if diff := cmp.Diff(copied, before); diff != "" {
			t.Errorf("%s: what was handed out before has changed (-was +is):\n%s", st.name, diff)
		}
		got, now := s.snapshot()
		if diff := cmp.Diff(st.want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", st.name, diff)
		}
		if n := told.took(); n != st.told || (now != edits) != (st.told > 0) {
			t.Errorf("%s: %d signals, %d edits, want %d", st.name, n, now-edits, st.told)
		}
	}
}
