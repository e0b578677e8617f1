package attack

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/starling"
)

// Messages of memberlist, as far as an attacker needs them. See its net.go, security.go and
// label.go.
const (
	messagePing     = 0
	messageAck      = 2
	messageAlive    = 4
	messageCompound = 7
	messageCRC      = 12
	messageLabel    = 244

	nonceSize = 12
)

// gossiper seals and opens datagrams of the cluster's gossip with a key.
type gossiper struct {
	label string
	code  cipher.AEAD // Nil: nothing is encrypted.
}

func newGossiper(t *testing.T, label string, key []byte) gossiper {
	t.Helper()
	if key == nil {
		return gossiper{label: label}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	code, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gossiper{label, code}
}

// clusterLabel is what gossip of the cluster carries.
func clusterLabel(t *testing.T) string {
	t.Helper()
	space, err := shared.Kube.CoreV1().Namespaces().Get(t.Context(), meta.NamespaceSystem, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(space.UID)
}

// stolenKey is the key that encrypts the gossip.
func stolenKey(t *testing.T) []byte {
	t.Helper()
	secret, err := shared.Kube.CoreV1().Secrets(starling.Namespace).Get(t.Context(), "starling-gossip", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(secret.Data["keys"])), "\n")
	key, err := base64.StdEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (g gossiper) header() []byte {
	return append([]byte{messageLabel, byte(len(g.label))}, g.label...)
}

// seal makes a datagram of a message.
func (g gossiper) seal(message []byte) []byte {
	if g.code == nil {
		return append(g.header(), message...)
	}
	const version = 1
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // Never fails.
	return g.code.Seal(slices.Concat(g.header(), []byte{version}, nonce), nonce, message, []byte(g.label))
}

// open returns the messages in a datagram, none if it is not sound.
func (g gossiper) open(datagram []byte) [][]byte {
	rest, ok := bytes.CutPrefix(datagram, g.header())
	if !ok || len(rest) < 1+nonceSize {
		return nil
	}
	message, err := g.code.Open(nil, rest[1:1+nonceSize], rest[1+nonceSize:], []byte(g.label))
	if err != nil {
		return nil
	}
	return split(message)
}

// split takes checksums and compounds apart: a count, that many lengths of two bytes, and the
// messages.
func split(m []byte) [][]byte {
	switch {
	case len(m) > 5 && m[0] == messageCRC:
		return split(m[5:])
	case len(m) < 2 || m[0] != messageCompound:
		return [][]byte{m}
	}
	sizes, rest := m[2:], m[min(len(m), 2+2*int(m[1])):]
	var all [][]byte
	for range int(m[1]) {
		if len(sizes) < 2 || len(rest) < int(binary.BigEndian.Uint16(sizes)) {
			return all
		}
		size := int(binary.BigEndian.Uint16(sizes))
		all = append(all, split(rest[:size])...)
		sizes, rest = sizes[2:], rest[size:]
	}
	return all
}

// field is one of a message, whose fields are a map of MessagePack, the names of Go's fields before
// the values.
func field(name string, value []byte) []byte { return append(text(name), value...) }

func text[T string | []byte](b T) []byte {
	const raw16 = 0xda
	if len(b) < 32 {
		return append([]byte{0xa0 | byte(len(b))}, b...)
	}
	return append([]byte{raw16, byte(len(b) >> 8), byte(len(b))}, b...)
}

func number(v uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0xce}, v) }

func message(kind byte, fields ...[]byte) []byte {
	return slices.Concat([]byte{kind, 0x80 | byte(len(fields))}, slices.Concat(fields...))
}

// alive says that a member is there.
func alive(name string, incarnation uint32, at netip.AddrPort, says []byte) []byte {
	versions := []byte{1, 5, 5, 0, 0, 0} // Of memberlist's protocol, and of ours: lowest, highest, spoken.
	return message(messageAlive, field("Incarnation", number(incarnation)), field("Node", text(name)),
		field("Addr", text(at.Addr().AsSlice())), field("Port", number(uint32(at.Port()))), field("Meta", text(says)), field("Vsn", text(versions)))
}

// ack answers a ping; false: the message is none.
func ack(ping []byte) (answer []byte, ok bool) {
	if ping[0] != messagePing {
		return nil, false
	}
	_, rest, ok := bytes.Cut(ping, text("SeqNo"))
	if !ok || len(rest) < 5 {
		return nil, false
	}
	var seq uint32
	switch size := int(rest[0]) - 0xcc; {
	case rest[0] < 0x80:
		seq = uint32(rest[0])
	case size == 0:
		seq = uint32(rest[1])
	case size == 1:
		seq = uint32(binary.BigEndian.Uint16(rest[1:]))
	case size == 2:
		seq = binary.BigEndian.Uint32(rest[1:])
	}
	return message(messageAck, field("SeqNo", number(seq)), field("Payload", text(""))), true
}

// says is what a made-up member says of itself: that it is ready, on the segment, and at which MAC.
// See the metadata in package mesh of the product.
func says(i int) []byte {
	const (
		tagFlags, tagSegment4, tagMACs = 1, 5, 7

		ready, proxy, deputy = 1, 8, 64
	)
	return slices.Concat([]byte{1}, []byte{tagFlags, 1, ready | proxy | deputy}, []byte{tagMACs, 6}, madeUpMAC(i), []byte{tagSegment4, 3, 16, 198, 18})
}

func madeUpMAC(i int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x66, 0x66, 0, byte(i >> 8), byte(i)}
}

func madeUpName(i int) string { return fmt.Sprintf("made-up-%d", i) }
