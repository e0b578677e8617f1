package routes

// OnePath remembers of which routers a session has shown that they take one path for each prefix
// only, by short name, and which node has seen it.
type OnePath map[uint32]string

// Follow is what is known now. What is known of a router holds until a session shows otherwise, so
// that the mode does not change while the one node that has seen it is away.
func (o OnePath) Follow(nodes []Node) OnePath {
	next := OnePath{}
	seen := map[uint32]bool{}
	for i := range nodes {
		n := &nodes[i]
		if !n.Ready {
			continue
		}
		for _, router := range n.OnePath {
			if next[router] == "" {
				next[router] = n.Name
			}
		}
		for _, router := range n.Sessions {
			seen[router] = true
		}
	}
	for router, by := range o {
		if next[router] == "" && !seen[router] {
			next[router] = by
		}
	}
	return next
}
