package rotate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A View is what one speaker says of the mesh.
type View struct {
	Node    string
	Members []Seen // none while it starts
}

// Seen is a member as one speaker sees it.
type Seen struct {
	Name  string
	State string // alive, wire, dead or left
	Keys  []string
}

// Member is one that a rotation waits for.
type Member struct {
	Name    string
	Keys    []string
	Unknown string // why nobody knows its keys, "" if somebody does
}

// Members are those that live in any view. What a speaker says of itself counts;
// for one that was not asked it is what the others have heard, and if that
// differs, each of it.
func Members(views []View) []Member {
	found := map[string]Member{} // by name and keys
	add := func(m Member) { found[m.Name+" "+strings.Join(m.Keys, " ")] = m }
	asked, known := map[string]bool{}, map[string]bool{}
	for _, v := range views {
		asked[v.Node] = true
		own := Member{Name: v.Node, Unknown: "is starting"}
		for _, s := range v.Members {
			if s.Name == v.Node {
				own = Member{Name: v.Node, Keys: s.Keys}
			}
		}
		add(own)
	}
	each(views, "alive", func(s Seen) {
		if !asked[s.Name] {
			add(Member{Name: s.Name, Keys: s.Keys})
			known[s.Name] = true
		}
	})
	each(views, "wire", func(s Seen) {
		if !asked[s.Name] && !known[s.Name] {
			add(Member{Name: s.Name, Unknown: "is alive on the wire, but by gossip nobody hears which keys it holds"})
		}
	})
	return slices.SortedFunc(maps.Values(found), compare)
}

// Dead are the members that live in no view, sorted: they are not waited for.
func Dead(views []View) []string {
	alive, dead := map[string]bool{}, map[string]bool{}
	for _, m := range Members(views) {
		alive[m.Name] = true
	}
	each(views, "dead", func(s Seen) {
		if !alive[s.Name] {
			dead[s.Name] = true
		}
	})
	return slices.Sorted(maps.Keys(dead))
}

func each(views []View, state string, do func(Seen)) {
	for _, v := range views {
		for _, s := range v.Members {
			if s.State == state {
				do(s)
			}
		}
	}
}

func compare(a, b Member) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.Keys, b.Keys))
}
