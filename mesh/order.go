package mesh

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// order puts what a member says of itself in order, whichever way it came: by a datagram of its
// own, or through others by gossip, which may be older. It travels with the metadata, as one field.
//
// The epoch is of the process: the time at which it started, in milliseconds since 1970, or later
// than any epoch of its node that it heard of (see delegate.NotifyAlive), should the clock have
// been set back. The sequence number grows with each change of the metadata. Zero is an earlier
// release, which says nothing of order; then what comes last counts.
type order struct {
	epoch uint64 // 48 bits
	seq   uint32
}

// orderSize is that of the field: tag, length, epoch and sequence number.
const orderSize = 2 + 6 + 4

// after reports whether o is newer than p.
func (o order) after(p order) bool {
	return cmp.Or(cmp.Compare(o.epoch, p.epoch), cmp.Compare(o.seq, p.seq)) > 0
}

// bytes are six of the epoch and four of the sequence number, big endian.
func (o order) bytes() []byte {
	var epoch [8]byte
	binary.BigEndian.PutUint64(epoch[:], o.epoch)
	return binary.BigEndian.AppendUint32(epoch[2:], o.seq)
}

// parseOrder reads what bytes gives, from the beginning of b.
func parseOrder(b []byte) (o order, rest []byte, ok bool) {
	if len(b) < orderSize-2 {
		return o, nil, false
	}
	epoch := append([]byte{0, 0}, b[:6]...)
	return order{binary.BigEndian.Uint64(epoch), binary.BigEndian.Uint32(b[6:10])}, b[10:], true
}

// ordered adds the order to encoded metadata.
func ordered(meta []byte, o order) []byte {
	return append(append(slices.Clip(meta), tagOrder, orderSize-2), o.bytes()...)
}

// orderOf is the order of metadata; zero: they do not say.
func orderOf(b []byte) (o order) {
	if len(b) == 0 || b[0] != metaVersion {
		return o
	}
	for b = b[1:]; len(b) >= 2 && len(b) >= 2+int(b[1]); b = b[2+int(b[1]):] {
		if b[0] == tagOrder {
			if found, _, ok := parseOrder(b[2 : 2+int(b[1])]); ok {
				o = found
			}
		}
	}
	return o
}
