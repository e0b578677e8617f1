package watcher

import (
	"maps"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// Endpoints says where a Service has endpoints, by address family: what comes for an address is
// sent to endpoints of its own family only.
type Endpoints struct{ V4, V6 Places }

// Of returns the endpoints that traffic for an address may be sent to.
func (e Endpoints) Of(ip netip.Addr) Places {
	if ip.Unmap().Is4() {
		return e.V4
	}
	return e.V6
}

func (e Endpoints) equal(o Endpoints) bool { return e.V4.equal(o.V4) && e.V6.equal(o.V6) }

// Places says where a Service has endpoints of one family.
type Places struct {
	Nodes []string `json:"nodes,omitempty"` // nodes with at least one serving endpoint, sorted; "" stands for endpoints without a node
	Found Found    `json:"found,omitempty"`
}

func (p Places) equal(o Places) bool { return p.Found == o.Found && slices.Equal(p.Nodes, o.Nodes) }

// Found says how far the endpoints of a family have come.
type Found uint8

// From the least to the most.
const (
	NoSlice    Found = iota // no EndpointSlice of the family
	NoEndpoint              // EndpointSlices, and no endpoint in them
	NotServing              // endpoints, none of which serves
	Serving
)

// A slice is what is kept of an EndpointSlice. One of host names, which kube-proxy does not use, is
// of no family.
type slice struct {
	key, service Key
	family       discoveryv1.AddressType
	Places
}

// A part is a slice as it is kept under its key.
type part struct {
	service string // in the namespace of the slice
	family  discoveryv1.AddressType
	Places
}

// readSlice is the conversion of the stream.
func readSlice(o any) (Key, slice, bool) {
	eps, ok := o.(*discoveryv1.EndpointSlice)
	if !ok {
		return Key{}, slice{}, false
	}
	s := fromSlice(eps)
	return s.key, s, true
}

func fromSlice(o *discoveryv1.EndpointSlice) slice {
	s := slice{
		key:     Key{Namespace: intern(o.Namespace), Name: o.Name},
		service: Key{Namespace: intern(o.Namespace), Name: intern(o.Labels[discoveryv1.LabelServiceName])},
		family:  discoveryv1.AddressType(intern(string(o.AddressType))),
		Places:  Places{Found: NoEndpoint},
	}
	for i := range o.Endpoints {
		s.Found = max(s.Found, NotServing)
		if e := &o.Endpoints[i]; serving(e.Conditions) {
			s.Found = Serving
			s.Nodes = append(s.Nodes, nodeOf(e))
		}
	}
	s.Nodes = normal(s.Nodes)
	return s
}

// serving follows kube-proxy: it uses endpoints that are ready, which those of a Service with
// publishNotReadyAddresses always are, and while there is none those that serve until they end.
// Where both conditions are unknown it means yes.
func serving(c discoveryv1.EndpointConditions) bool {
	switch {
	case c.Ready != nil && *c.Ready:
		return true
	case c.Serving != nil:
		return *c.Serving
	}
	return c.Ready == nil
}

func nodeOf(e *discoveryv1.Endpoint) string {
	if e.NodeName == nil {
		return ""
	}
	return intern(*e.NodeName)
}

// normal returns the sorted set of names without spare room.
func normal(names []string) []string {
	slices.Sort(names)
	return slices.Clip(slices.Compact(names))
}

// An endpointSet merges the slices of every Service.
type endpointSet struct {
	changeCounter

	slices    map[Key]part
	ofService map[Key][]string // the names of the slices of a Service, sorted
	merged    map[Key]Endpoints
	shared    bool             // merged was handed out: copy before the next write
	touched   map[Key]struct{} // Services whose merged endpoints changed since the last drain
	listed    bool             // from the API server, not from a snapshot file
}

func newEndpointSet(changed func()) *endpointSet {
	s := &endpointSet{changeCounter: changeCounter{changed: changed}, touched: make(map[Key]struct{})}
	s.empty(0)
	return s
}

var _ sink[slice] = (*endpointSet)(nil)

// empty forgets everything, to be filled anew.
func (s *endpointSet) empty(room int) {
	s.slices, s.ofService = make(map[Key]part, room), make(map[Key][]string, room)
	s.merged, s.shared = make(map[Key]Endpoints, room), false
}

// put takes a slice. A slice may, in theory, change the Service it belongs to.
func (s *endpointSet) put(_ string, next slice) {
	s.update(func() bool {
		old, ok := s.slices[next.key]
		if ok && old.service == next.service.Name && old.family == next.family && old.equal(next.Places) {
			return false
		}
		moved := ok && old.service != next.service.Name && s.take(next.key)
		s.add(next)
		return s.merge(next.service) || moved
	})
}

func (s *endpointSet) remove(_ string, k Key) {
	s.update(func() bool { return s.take(k) })
}

func (s *endpointSet) replace(_ string, all []slice) {
	s.update(func() bool {
		before, touched, first := s.merged, s.touched, !s.listed
		s.empty(len(all))
		s.touched = make(map[Key]struct{}, len(all))
		for _, one := range all {
			s.add(one)
		}
		for service := range s.ofService {
			s.merge(service)
		}
		s.touched, s.listed = touched, true
		return s.touchDifference(before) || first
	})
}

// touchDifference finds the Services whose merged endpoints are others than before.
func (s *endpointSet) touchDifference(before map[Key]Endpoints) (differs bool) {
	touch := func(service Key) { s.touched[service], differs = struct{}{}, true }
	for service, old := range before {
		if now, ok := s.merged[service]; !ok || !old.equal(now) {
			touch(service)
		}
	}
	for service := range s.merged {
		if _, had := before[service]; !had {
			touch(service)
		}
	}
	return differs
}

func (s *endpointSet) position(string) {}

func (s *endpointSet) add(one slice) {
	s.slices[one.key] = part{one.service.Name, one.family, one.Places}
	of := s.ofService[one.service]
	if at, found := slices.BinarySearch(of, one.key.Name); !found {
		s.ofService[one.service] = slices.Insert(of, at, one.key.Name)
	}
}

// take removes a slice and reports whether that made a difference to its Service.
func (s *endpointSet) take(k Key) bool {
	old, ok := s.slices[k]
	if !ok {
		return false
	}
	delete(s.slices, k)
	service := Key{Namespace: k.Namespace, Name: old.service}
	of := s.ofService[service]
	if at, found := slices.BinarySearch(of, k.Name); found {
		s.ofService[service] = slices.Delete(of, at, at+1)
	}
	return s.merge(service)
}

// merge recomputes the endpoints of one Service and reports whether they differ.
func (s *endpointSet) merge(service Key) bool {
	of := s.ofService[service]
	old, had := s.merged[service]
	if len(of) == 0 {
		delete(s.ofService, service)
		if had {
			delete(s.own(), service)
			s.touched[service] = struct{}{}
		}
		return had
	}
	now := Endpoints{V4: s.places(service, discoveryv1.AddressTypeIPv4), V6: s.places(service, discoveryv1.AddressTypeIPv6)}
	if had && old.equal(now) {
		return false
	}
	s.own()[service] = now
	s.touched[service] = struct{}{}
	return true
}

// places joins the slices of a Service that are of one family. Of one slice, the usual case, the
// list is shared.
func (s *endpointSet) places(service Key, family discoveryv1.AddressType) (p Places) {
	own := false
	for _, name := range s.ofService[service] {
		one := s.slices[Key{Namespace: service.Namespace, Name: name}]
		if one.family != family {
			continue
		}
		switch {
		case len(p.Nodes) == 0:
			p.Nodes = one.Nodes
		case len(one.Nodes) == 0:
		case own:
			p.Nodes = append(p.Nodes, one.Nodes...)
		default:
			p.Nodes, own = slices.Concat(p.Nodes, one.Nodes), true
		}
		p.Found = max(p.Found, one.Found)
	}
	if own {
		p.Nodes = normal(p.Nodes)
	}
	return p
}

func (s *endpointSet) touch(all map[Key]Endpoints) {
	for service := range all {
		s.touched[service] = struct{}{}
	}
}

// drain names the Services whose endpoints may have changed since the last drain, sorted.
func (s *endpointSet) drain() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.touched) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(s.touched), Key.Compare)
	s.touched = make(map[Key]struct{}) // not cleared, which would keep the room of a whole list
	return keys
}

// own returns the merged map for writing.
func (s *endpointSet) own() map[Key]Endpoints {
	if s.shared {
		s.merged, s.shared = maps.Clone(s.merged), false
	}
	return s.merged
}

// snapshot returns the merged endpoints; the map is never written to again.
func (s *endpointSet) snapshot() map[Key]Endpoints {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = true
	return s.merged
}

// load fills the set from a snapshot file, unless the API server was faster.
func (s *endpointSet) load(merged map[Key]Endpoints) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.listed {
		s.touch(s.merged)
		s.merged, s.shared = merged, true
		s.touch(merged)
	}
}

func (s *endpointSet) synced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed
}
