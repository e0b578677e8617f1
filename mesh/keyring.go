package mesh

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/memberlist"
)

// SetKeys puts another keyring in force, the first key encrypting, while the
// mesh runs. What is sent before the others hold the first key, or arrives
// with a key that is not among these any more, is lost.
func (m *Mesh) SetKeys(keys [][]byte) error {
	if err := checkKeys(keys); err != nil {
		return fmt.Errorf("mesh: set keys: %w", err)
	}
	switch {
	case m.ring == nil:
		return errors.New("mesh: set keys: the gossip is not encrypted")
	case len(keys) == 0:
		return errors.New("mesh: set keys: there are none")
	}
	m.saying.Lock()
	defer m.saying.Unlock()
	if err := refit(m.ring, keys); err != nil {
		return fmt.Errorf("mesh: set keys: %w", err)
	}
	m.publish(decodeMeta(m.table.ownMeta())) // After the change: a member that shows a key can read it.
	m.signal()
	return nil
}

// fingerprints are those of the ring in force.
func (m *Mesh) fingerprints() []string {
	if m.ring == nil {
		return nil
	}
	return Fingerprints(m.ring.GetKeys())
}

func checkKeys(keys [][]byte) error {
	var errs []error
	for i, k := range keys {
		if len(k) != keyBytes {
			errs = append(errs, fmt.Errorf("gossip key %d has %d bytes, want %d", i+1, len(k), keyBytes))
		}
	}
	if len(keys) > keysMost {
		errs = append(errs, fmt.Errorf("%d gossip keys, at most %d are allowed", len(keys), keysMost))
	}
	return errors.Join(errs...)
}

func newKeyring(keys [][]byte) (*memberlist.Keyring, error) {
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // No keyring is what memberlist takes for no encryption.
	}
	ring, err := memberlist.NewKeyring(keys, keys[0])
	if err != nil {
		return nil, fmt.Errorf("mesh: make keyring: %w", err)
	}
	return ring, nil
}

// refit makes a ring hold the wanted keys. New ones come first, then the
// primary one changes, then old ones go, so that at no time a message is sent
// with a key that is not among the wanted ones or was the primary one before.
//
// Receivers go through the slice of keys without a lock, and RemoveKey moves
// what lies behind the removed key within that slice. So only ever the last
// key is removed; wanted ones behind it, which only an edit by hand leaves
// there, are missing until they are added again a moment later.
func refit(ring *memberlist.Keyring, want [][]byte) error {
	for _, k := range want {
		if err := ring.AddKey(k); err != nil {
			return err
		}
	}
	if err := ring.UseKey(want[0]); err != nil {
		return err
	}
	wanted := func(k []byte) bool { return holds(want, k) }
	var back [][]byte
	for have := ring.GetKeys(); !all(have, wanted); have = ring.GetKeys() {
		last := have[len(have)-1]
		if err := ring.RemoveKey(last); err != nil {
			return err
		}
		if wanted(last) {
			back = append(back, last)
		}
	}
	for _, k := range back {
		if err := ring.AddKey(k); err != nil {
			return err
		}
	}
	return nil
}

func holds(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
}

func all(keys [][]byte, is func([]byte) bool) bool {
	return !slices.ContainsFunc(keys, func(k []byte) bool { return !is(k) })
}
