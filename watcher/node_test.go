package watcher

import (
	"net/netip"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func dataOf(s string) *byte { return unsafe.StringData(s) }

// addrs lets cmp compare addresses by value.
func addrs() cmp.Option { return cmp.Comparer(func(a, b netip.Addr) bool { return a == b }) }

func TestFromNode(t *testing.T) {
	tests := []struct {
		name string
		edit func(*corev1.Node)
		want Node
	}{
		{
			name: "plain",
			edit: func(*corev1.Node) {},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}},
		},
		{
			name: "two families, a name and rubbish",
			edit: func(n *corev1.Node) {
				n.Status.Addresses = []corev1.NodeAddress{
					{Type: corev1.NodeHostName, Address: "n1"},
					{Type: corev1.NodeInternalIP, Address: "2001:db8::1"},
					{Type: corev1.NodeExternalIP, Address: "203.0.113.1"},
					{Type: corev1.NodeInternalIP, Address: "none"},
					{Type: corev1.NodeInternalIP, Address: "::ffff:198.18.0.1"},
				}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("198.18.0.1")}, Others: []netip.Addr{netip.MustParseAddr("203.0.113.1")}},
		},
		{
			name: "the identity of its machine",
			edit: func(n *corev1.Node) { n.Status.NodeInfo.MachineID = "0123456789abcdef0123456789abcdef" },
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, MachineID: "0123456789abcdef0123456789abcdef"},
		},
		{
			name: "asked to return",
			edit: func(n *corev1.Node) {
				n.Annotations = map[string]string{"starling-lb.io/return": "2026-01-01T00:00:00Z", "other": "x"}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Return: "2026-01-01T00:00:00Z"},
		},
		{
			name: "cordoned",
			edit: func(n *corev1.Node) { n.Spec.Unschedulable = true },
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Cordoned: true},
		},
		{
			name: "drained, and maintenance is planned",
			edit: func(n *corev1.Node) {
				n.Status.Conditions = []corev1.NodeCondition{
					{Type: "MaintenancePlanned", Status: corev1.ConditionTrue},
					{Type: "Drained", Status: corev1.ConditionTrue},
					{Type: "DrainInProgress", Status: corev1.ConditionFalse},
				}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Going: "Drained"},
		},
		{
			name: "shutting down",
			edit: func(n *corev1.Node) {
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: "node is shutting down"}}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Ending: "shutting down"},
		},
		{
			name: "not ready for another reason",
			edit: func(n *corev1.Node) {
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "container runtime network not ready"}}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}},
		},
		{
			name: "excluded, whatever the label's value",
			edit: func(n *corev1.Node) {
				n.Labels = map[string]string{"node.kubernetes.io/exclude-from-external-load-balancers": "false"}
			},
			want: Node{
				Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Excluded: true,
				Labels: map[string]string{"node.kubernetes.io/exclude-from-external-load-balancers": "false"},
			},
		},
		{
			name: "tainted",
			edit: func(n *corev1.Node) {
				n.Spec.Taints = []corev1.Taint{
					{Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule},
					{Key: "busy", Effect: corev1.TaintEffectPreferNoSchedule},
					{Key: "node.kubernetes.io/unreachable", Effect: corev1.TaintEffectNoExecute},
				}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Taints: []Taint{{"dedicated", "db", "NoSchedule"}}},
		},
		{
			name: "network unavailable",
			edit: func(n *corev1.Node) {
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}, {Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, NetworkUnavailable: true},
		},
		{
			name: "network available",
			edit: func(n *corev1.Node) {
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse}, {Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}}
			},
			want: Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := node("n1", "198.18.0.1")
			tt.edit(in)
			if diff := cmp.Diff(tt.want, fromNode(in), addrs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// counter counts signals.
type counter int

func (c *counter) add() { *c++ }

// took returns the signals since the last call.
func (c *counter) took() int {
	n := int(*c)
	*c = 0
	return n
}

func TestNodeSet(t *testing.T) {
	var told counter
	s := newNodeSet(told.add)
	names := func() (out []string) {
		for _, n := range s.list() {
			out = append(out, n.Name)
		}
		return out
	}
	steps := []struct {
		name   string
		do     func()
		want   []string
		told   int
		listed bool
	}{
		{"empty", func() {}, nil, 0, false},
		{"a snapshot file", func() { s.load([]Node{{Name: "old"}}) }, []string{"old"}, 0, false},
		{"the first list replaces it", func() { s.replace("1", []Node{{Name: "n2"}, {Name: "n1"}}) }, []string{"n1", "n2"}, 1, true},
		{"a snapshot file that is late", func() { s.load([]Node{{Name: "old"}}) }, []string{"n1", "n2"}, 0, true},
		{"a heartbeat", func() { s.put("2", Node{Name: "n2"}) }, []string{"n1", "n2"}, 0, true},
		{"a change", func() { s.put("3", Node{Name: "n2", Cordoned: true}) }, []string{"n1", "n2"}, 1, true},
		{"a new node", func() { s.put("4", Node{Name: "n0"}) }, []string{"n0", "n1", "n2"}, 1, true},
		{"a deletion", func() { s.remove("5", Key{Name: "n1"}) }, []string{"n0", "n2"}, 1, true},
		{"a bookmark", func() { s.position("6") }, []string{"n0", "n2"}, 0, true},
	}
	for _, st := range steps {
		before := s.revision()
		st.do()
		if diff := cmp.Diff(st.want, names()); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", st.name, diff)
		}
		if got := told.took(); got != st.told {
			t.Errorf("%s: %d signals, want %d", st.name, got, st.told)
		}
		if s.synced() != st.listed {
			t.Errorf("%s: synced %v", st.name, s.synced())
		}
		if edited := s.revision() != before; edited != (st.told > 0 || st.name == "a snapshot file") {
			t.Errorf("%s: counted as an edit: %v", st.name, edited)
		}
	}
}

// TestNodeSnapshotsStay holds that what was handed out is never written to.
func TestNodeSnapshotsStay(t *testing.T) {
	s := newNodeSet(func() {})
	s.replace("1", []Node{{Name: "n1"}, {Name: "n2"}})
	handed := s.list()
	s.put("2", Node{Name: "n1", Cordoned: true})
	s.remove("3", Key{Name: "n2"})
	if diff := cmp.Diff([]Node{{Name: "n1"}, {Name: "n2"}}, handed, addrs()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNodeLabelsCopied(t *testing.T) {
	in := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"a": "b"}}}
	n := fromNode(in)
	in.Labels["a"] = "c"
	if n.Labels["a"] != "b" {
		t.Error("labels are shared with the API object")
	}
}

func TestNodeOfAName(t *testing.T) {
	s := State{Nodes: []Node{{Name: "n1", Cordoned: true}, {Name: "n3"}}}
	for name, want := range map[string]string{"n1": "n1", "n2": "", "n3": "n3", "": ""} {
		if got := s.Node(name); got.Name != want || got.Cordoned != (want == "n1") {
			t.Errorf("%q is %+v", name, got)
		}
	}
}

// TestHasNode: a name is one of a Node as the API server says, or the snapshot file before that.
func TestHasNode(t *testing.T) {
	w := &Watcher{nodes: newNodeSet(func() {})}
	has := func() (names []string) {
		for _, name := range []string{"n1", "n2", "n3"} {
			if w.HasNode(name) {
				names = append(names, name)
			}
		}
		return names
	}
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"before anything is known", func() {}, nil},
		{"by the snapshot file", func() { w.nodes.load([]Node{{Name: "n1"}, {Name: "n2"}}) }, []string{"n1", "n2"}},
		{"by the API server", func() { w.nodes.replace("", []Node{{Name: "n1"}}) }, []string{"n1"}},
		{"a Node is made", func() { w.nodes.put("", Node{Name: "n3"}) }, []string{"n1", "n3"}},
		{"a Node is deleted", func() { w.nodes.remove("", Key{Name: "n1"}) }, []string{"n3"}},
	} {
		step.do()
		if diff := cmp.Diff(step.want, has()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}
