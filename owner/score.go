package owner

import (
	"encoding/binary"
	"net/netip"
)

// FNV-1a, 64 bit: http://www.isthe.com/chongo/tech/comp/fnv/.
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x00000100000001b3
)

// Score is the weight of a node for an address. The same pair has the same
// score in every release and on every machine; golden vectors in testdata hold
// it. IPv4 addresses and their IPv4-mapped IPv6 form score alike.
func Score(node string, ip netip.Addr) uint64 {
	return score(hashString(node), hashAddr(ip))
}

// Outranks reports whether of two nodes that both take themselves for the owner of
// an address a is the one that keeps it: the one with the higher score, of equal
// ones the lower name. It asks for no eligibility, because two nodes get into
// this position only by seeing the others differently, and it is the one rule
// that they are certain to share.
func Outranks(a, b string, ip netip.Addr) bool {
	s, t := Score(a, ip), Score(b, ip)
	return s > t || s == t && a < b
}

// ScoreKey is the weight of a node for anything that has a name instead of an
// address, such as a pool.
func ScoreKey(node, key string) uint64 {
	return score(hashString(node), hashString(key))
}

// score joins two finished hashes. Both are well mixed already, so one more
// round after the exclusive-or makes the scores of two nodes independent.
func score(node, key uint64) uint64 { return mix(node ^ key) }

func hashString(s string) uint64 {
	h := uint64(fnvOffset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return mix(h)
}

// hashAddr hashes the 16 byte form, high half first.
func hashAddr(ip netip.Addr) uint64 {
	b := ip.As16()
	h := mix(binary.BigEndian.Uint64(b[:8]) ^ fnvOffset)
	return mix(h ^ binary.BigEndian.Uint64(b[8:]))
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, OOPSLA 2014) after one step of its sequence,
// so that zero does not map to zero.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
