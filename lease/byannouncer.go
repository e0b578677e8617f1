package lease

import "container/heap"

// byAnnouncer are candidates by announcer, in each the first one on top.
type byAnnouncer struct {
	heaps []candidates
	n     int // candidates, also those that are none any more and were not looked at since
}

func (b *byAnnouncer) push(announcer int, c candidate) {
	for len(b.heaps) <= announcer {
		b.heaps = append(b.heaps, nil)
	}
	heap.Push(&b.heaps[announcer], c)
	b.n++
}

// drain takes out everything.
func (b *byAnnouncer) drain() []candidate {
	var all []candidate
	for i := range b.heaps {
		all = append(all, b.heaps[i]...)
	}
	b.heaps, b.n = nil, 0
	return all
}

// best returns the first candidate of the announcers with the fewest addresses among those that
// have a candidate that fits, and how many they have. It drops what does not fit as far as it
// looks.
func (b *byAnnouncer) best(l *loads, fits func(candidate) bool) (c candidate, load int, ok bool) {
	for i := range b.heaps {
		h, n := &b.heaps[i], l.count(i)
		for len(*h) > 0 && (!ok || n < load || n == load && (*h)[0].before(c)) {
			if fits((*h)[0]) {
				c, load, ok = (*h)[0], n, true
				break
			}
			heap.Pop(h)
			b.n--
		}
	}
	return c, load, ok
}

// candidates is a heap.
type candidates []candidate

func (h candidates) Len() int           { return len(h) }
func (h candidates) Less(i, j int) bool { return h[i].before(h[j]) }
func (h candidates) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *candidates) Push(x any)        { *h = append(*h, x.(candidate)) }
func (h *candidates) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
