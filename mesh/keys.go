package mesh

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// keyBytes selects AES-256-GCM.
	keyBytes = 32
	// keysMost is how many keys a ring may hold: a member tells the others
	// which ones it holds, and the room for that is small.
	keysMost = 8
)

// GenerateKey returns a fresh key in the form that [ParseKeys] reads: one
// line of base64. It is what a new key Secret or key file contains.
func GenerateKey() ([]byte, error) {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("generate gossip key: %w", err)
	}
	return FormatKeys([][]byte{key}), nil
}

// ParseKeys reads a keyring: keys of 32 bytes in base64, one per line, the
// primary one (which encrypts) first; the others, seven at most, only decrypt.
// Blank lines and lines that begin with # are skipped. All mistakes are returned
// together, one line each; no error contains any part of a key.
func ParseKeys(text []byte) ([][]byte, error) {
	var (
		keys [][]byte
		from []int // Line of each key.
		errs []error
	)
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseKey(line)
		if err == nil {
			err = unlike(key, keys, from)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("gossip key, line %d: %w", i+1, err))
			continue
		}
		keys, from = append(keys, key), append(from, i+1)
	}
	if len(keys) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("gossip key: no key found, want 32 bytes in base64 on a line"))
	}
	if len(keys) > keysMost {
		errs = append(errs, fmt.Errorf("gossip key: %d keys, at most %d are allowed", len(keys), keysMost))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return keys, nil
}

// FormatKeys is the reverse of [ParseKeys].
func FormatKeys(keys [][]byte) []byte {
	var text []byte
	for _, k := range keys {
		text = append(base64.StdEncoding.AppendEncode(text, k), '\n')
	}
	return text
}

// fingerprintBytes are enough to tell the few keys of one mesh from each other,
// and far too few to learn anything about a key.
const fingerprintBytes = 4

// Fingerprints are short names of keys that are no secret: eight hexadecimal
// digits each.
func Fingerprints(keys [][]byte) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = fingerprint(k)
	}
	return out
}

// fingerprint hashes more than the key, so that it cannot be looked up among
// hashes made for another purpose.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("starling gossip key "), key...))
	return hex.EncodeToString(sum[:fingerprintBytes])
}

func parseKey(line string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("has %d bytes, want %d", len(key), keyBytes)
	}
	return key, nil
}

func unlike(key []byte, keys [][]byte, from []int) error {
	for i, k := range keys {
		if bytes.Equal(k, key) {
			return fmt.Errorf("is the same key as on line %d", from[i])
		}
	}
	return nil
}
