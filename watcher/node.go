package watcher

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/starling-lb/starling/watcher/kube"
)

// A Node is what starling needs to know of a Kubernetes Node.
type Node struct {
	Name               string
	Addresses          []netip.Addr      // the InternalIPs, in the order of the status
	Others             []netip.Addr      // all other IP addresses of the status
	Labels             map[string]string // read-only
	Cordoned           bool              // spec.unschedulable
	Excluded           bool              // labeled node.kubernetes.io/exclude-from-external-load-balancers
	NetworkUnavailable bool              // condition NetworkUnavailable is True
	Going              string            // the condition by which the node is about to go, as DrainInProgress; "" none
	Ending             string            // why it goes when its speaker ends: "shutting down", "out of service"; "" it stays
	MachineID          string            // of the operating system, "" unknown
	Return             string            // the annotation by which somebody asked last that it is held no longer
	Taints             []Taint           // that keep pods of a DaemonSet away, unless these tolerate them
}

// readNode is the conversion of the stream.
func readNode(o any) (Key, Node, bool) {
	node, ok := o.(*corev1.Node)
	if !ok {
		return Key{}, Node{}, false
	}
	n := fromNode(node)
	return Key{Name: n.Name}, n, true
}

// fromNode copies what is needed out of a Node. Addresses that do not parse are left out.
func fromNode(o *corev1.Node) Node {
	_, excluded := o.Labels[corev1.LabelNodeExcludeBalancers]
	internal, others := addresses(o.Status.Addresses)
	return Node{
		Name:      intern(o.Name),
		Addresses: internal,
		Others:    others,
		Labels:    internMap(o.Labels),
		Cordoned:  o.Spec.Unschedulable,
		Excluded:  excluded,
		Return:    o.Annotations[kube.ReturnAnnotation],
		MachineID: intern(o.Status.NodeInfo.MachineID),
		Taints:    taints(o.Spec.Taints),
		Going:     going(o.Status.Conditions),
		Ending:    ending(o),
		NetworkUnavailable: slices.ContainsFunc(o.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeNetworkUnavailable && c.Status == corev1.ConditionTrue
		}),
	}
}

// lifecycle are the conditions of KEP-5683 that say that a node is about to go.
var lifecycle = []corev1.NodeConditionType{"GracefulNodeShutdownInProgress", "MaintenanceInProgress", "DrainInProgress", "Drained", "MaintenancePlanned"}

// going is the first of them that is true.
func going(conditions []corev1.NodeCondition) string {
	for _, t := range lifecycle {
		for _, c := range conditions {
			if c.Type == t && c.Status == corev1.ConditionTrue {
				return string(t)
			}
		}
	}
	return ""
}

// ending says why a node goes whose speaker ends. The kubelet tells its shutdown by the message of
// the condition Ready alone.
func ending(o *corev1.Node) string {
	for _, c := range o.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionFalse && strings.Contains(c.Message, "node is shutting down") {
			return "shutting down"
		}
	}
	if slices.ContainsFunc(o.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService }) {
		return "out of service"
	}
	return ""
}

// internMap copies labels; those of Nodes have few different values.
func internMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[intern(k)] = intern(v)
	}
	return out
}

// addresses returns the InternalIPs, and whatever else is an IP address.
func addresses(all []corev1.NodeAddress) (internal, others []netip.Addr) {
	for _, a := range all {
		ip, err := netip.ParseAddr(a.Address)
		switch {
		case err != nil:
		case a.Type == corev1.NodeInternalIP:
			internal = append(internal, ip.Unmap())
		default:
			others = append(others, ip.Unmap())
		}
	}
	return internal, others
}

// A nodeSet holds all Nodes.
type nodeSet struct {
	changeCounter

	byName map[string]Node
	sorted []Node // what list returns; nil when out of date
	listed bool   // from the API server, not from a snapshot file
}

func newNodeSet(changed func()) *nodeSet {
	return &nodeSet{changeCounter: changeCounter{changed: changed}, byName: map[string]Node{}}
}

var _ sink[Node] = (*nodeSet)(nil)

// put ignores a Node that changed in nothing we know: heartbeats come every few seconds per node.
func (s *nodeSet) put(_ string, n Node) {
	s.update(func() bool {
		old, ok := s.byName[n.Name]
		if ok && reflect.DeepEqual(old, n) {
			return false
		}
		s.byName[n.Name], s.sorted = n, nil
		return true
	})
}

func (s *nodeSet) remove(_ string, k Key) {
	s.update(func() bool {
		_, had := s.byName[k.Name]
		delete(s.byName, k.Name)
		s.sorted = nil
		return had
	})
}

func (s *nodeSet) replace(_ string, all []Node) {
	s.update(func() bool {
		before, first := maps.Clone(s.byName), !s.listed
		s.fill(all)
		s.listed = true
		return first || !maps.EqualFunc(before, s.byName, func(a, b Node) bool { return reflect.DeepEqual(a, b) })
	})
}

func (s *nodeSet) position(string) {}

// load fills the set from a snapshot file, unless the API server was faster.
func (s *nodeSet) load(all []Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.listed {
		s.fill(all)
		s.edits++
	}
}

// fill is called with the lock held.
func (s *nodeSet) fill(all []Node) {
	clear(s.byName)
	for _, n := range all {
		s.byName[n.Name] = n
	}
	s.sorted = nil
}

func (s *nodeSet) synced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed
}

// list returns all Nodes sorted by name; the slice is never written to again.
func (s *nodeSet) list() []Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil {
		s.sorted = slices.SortedFunc(maps.Values(s.byName), func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	}
	return s.sorted
}

// Node is the Node of a name; one without a name if Kubernetes has none.
func (s *State) Node(name string) (n Node) {
	if i, known := slices.BinarySearchFunc(s.Nodes, name, func(n Node, name string) int { return strings.Compare(n.Name, name) }); known {
		n = s.Nodes[i]
	}
	return n
}
