package packet

import "encoding/binary"

// A speaker's question carries a nonce, and the reply to it a proof that the speaker there has the
// key. For ARP both stand in the padding that a short frame has anyway; for neighbor discovery in
// an option of a type for experiments (RFC 4727, section 3.2), which hosts skip (RFC 4861, section
// 4.6).
//
//	             ARP       NS, NA
//	question     42..47    96..101   nonce
//	reply        42..47    88..93    the nonce of the question
//	             48..51    94..97    name of the node, hashed (see probe.Hash)
//	             52..59    98..105   tag
//
// The tag covers what an ARP reply says, bytes 20 to 51, and of an advertisement bytes 22 to 55 and
// 58 to 97: all from the addresses of IPv6 to the name, but the checksum.
const (
	minFrame = 60 // of Ethernet, without its checksum (IEEE 802.3, 3.2.8)

	optProof = 253
	nsOption = EthLen + IP6Len + ndLen + 2*llaLen // behind the link-layer addresses that Question6 gives
	naOption = NASize                             // behind the one that ND.Answer gives
	naProven = naOption + 24                      // the option has padding: its length counts in units of 8
)

// Nonce ties a reply to the question that it answers; zero: the question has none.
type Nonce [6]byte

// Tag is the first bytes of a code over a reply.
type Tag [8]byte

// Proof is what a reply carries.
type Proof struct {
	Nonce Nonce
	Name  uint32
	Tag   Tag
}

func isARP(b []byte) bool { return binary.BigEndian.Uint16(b[12:]) == EtherARP }

// WithNonce puts a nonce into a frame of Question4 or Question6.
func WithNonce(b []byte, n Nonce) []byte {
	if isARP(b) {
		return append(append(b, n[:]...), make([]byte, minFrame-ARPSize-len(n))...)
	}
	b = append(append(b, optProof, 1), n[:]...)
	return resize(b)
}

// NonceOf is the nonce of a question that ParseARP or ParseND takes for sound; zero: it has none.
// Anything else in the padding of a request is no nonce.
func NonceOf(b []byte) (n Nonce) {
	switch {
	case isARP(b):
		if len(b) >= minFrame && [minFrame - ARPSize - len(n)]byte(b[ARPSize+len(n):minFrame]) == ([minFrame - ARPSize - len(n)]byte{}) {
			n = Nonce(b[ARPSize:])
		}
	case len(b) >= nsOption+8 && b[nsOption] == optProof && b[nsOption+1] == 1:
		n = Nonce(b[nsOption+2:])
	}
	return n
}

// Extend makes room in the answer at the beginning of b for a proof, without its tag, and returns
// the length that the answer then has. There must be room in b for it.
func Extend(b []byte, n Nonce, name uint32) (size int) {
	at := ARPSize
	size = minFrame
	if !isARP(b) {
		at, size = naOption+2, naProven
		b[naOption], b[naOption+1] = optProof, (naProven-naOption)/8
	}
	clear(b[at:size])
	copy(b[at:], n[:])
	binary.BigEndian.PutUint32(b[at+len(n):], name)
	return size
}

// Signed is what the tag of a reply is over. The reply has a proof, or room for one.
func Signed(b []byte) (first, rest []byte) {
	if isARP(b) {
		return b[20:52], nil
	}
	return b[22:56], b[58:98]
}

// Seal puts the tag into a reply, which ends with its proof.
func Seal(b []byte, t Tag) {
	if isARP(b) {
		copy(b[52:], t[:])
		return
	}
	copy(b[98:], t[:])
	resize(b)
}

// ProofOf reads the proof of a reply that ParseARP or ParseND takes for sound.
func ProofOf(b []byte) (p Proof, ok bool) {
	at := ARPSize
	switch {
	case isARP(b):
		if len(b) < minFrame {
			return p, false
		}
	case len(b) < naProven || b[EthLen+IP6Len+ndLen] != optTargetLLA || b[naOption] != optProof || b[naOption+1] != (naProven-naOption)/8:
		return p, false
	default:
		at = naOption + 2
	}
	return Proof{Nonce(b[at:]), binary.BigEndian.Uint32(b[at+6:]), Tag(b[at+10:])}, true
}

// resize gives a neighbor discovery frame the length and the checksum that go with its end.
func resize(b []byte) []byte {
	icmp := b[EthLen+IP6Len:]
	binary.BigEndian.PutUint16(b[18:], uint16(len(icmp)))
	icmp[2], icmp[3] = 0, 0
	binary.BigEndian.PutUint16(icmp[2:], Checksum([16]byte(b[22:38]), [16]byte(b[38:54]), icmp))
	return b
}
