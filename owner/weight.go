package owner

import (
	"math"
	"math/bits"
)

// DefaultWeight is that of a node that a scope gives none.
const DefaultWeight = 1

// MostWeight is the largest.
const MostWeight = 100

// weight of a node, among the addresses of the scope.
func (s *Scope) weight(node string) int {
	if s == nil {
		return DefaultWeight
	}
	w, known := s.Weights[node]
	if !known {
		return DefaultWeight
	}
	return w
}

// above reports whether of two nodes with these scores and weights the first one goes before the
// second. It is the rule of weighted rendezvous hashing: of the uniform draws u and v the first
// wins where -log(u)/w < -log(v)/x, so that a node of weight 3 has three times the addresses of one
// of weight 1. Equal weights go by the scores alone, as if there were none. Weight 0 goes behind
// all others.
//
// The logarithm is taken in whole numbers: floating point differs between machines, and nodes must
// agree.
func above(score uint64, weight int, other uint64, otherWeight int) bool {
	switch {
	case weight == otherWeight:
		return score > other
	case weight == 0 || otherWeight == 0:
		return weight > otherWeight
	}
	a, b := depth(score)*uint64(otherWeight), depth(other)*uint64(weight)
	return a < b || a == b && score > other
}

// depthBits are those behind the point: with the 64 before it and the largest weight a product fits
// 64 bits.
const depthBits = 48

// depth is how far a score is below the highest one: 64 - log2(score+1), with depthBits behind the
// point. A higher score is never deeper, since each step below keeps the order.
func depth(score uint64) uint64 {
	if score == math.MaxUint64 {
		return 0
	}
	x := score + 1
	whole := bits.Len64(x) - 1
	m := x << (63 - whole) // from 1 to 2, in units of 2^-63
	var part uint64
	for range depthBits {
		high, low := bits.Mul64(m, m)
		part <<= 1
		if high>>63 == 1 { // the square is 2 or more
			part, m = part|1, high
		} else {
			m = high<<1 | low>>63
		}
	}
	return 64<<depthBits - (uint64(whole)<<depthBits | part)
}
