package probe

import "hash/fnv"

// Hash is what a frame has room for of a node's name: 32-bit FNV-1a, never 0, which says nothing.
func Hash(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // cannot fail
	return max(h.Sum32(), 1)
}
