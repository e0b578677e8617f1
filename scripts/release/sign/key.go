package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// The types of key files: of those that cosign writes, and of those from before cosign 2, which it
// still reads.
const (
	keyType    = "ENCRYPTED SIGSTORE PRIVATE KEY"
	oldKeyType = "ENCRYPTED COSIGN PRIVATE KEY"
)

// NewKey makes a pair of keys, as files of `cosign generate-key-pair`.
func NewKey(password []byte) (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	locked, err := encrypted.Encrypt(der, password)
	if err != nil {
		return nil, nil, fmt.Errorf("lock the key: %w", err)
	}
	if public, err = cryptoutils.MarshalPublicKeyToPEM(key.Public()); err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: locked}), public, nil
}

// Key reads the private key of a file that cosign or NewKey has made.
func Key(file, password []byte) (signature.Signer, error) {
	block, _ := pem.Decode(file)
	if block == nil || block.Type != keyType && block.Type != oldKeyType {
		return nil, fmt.Errorf("not a key file of cosign: no %s in it", keyType)
	}
	der, err := encrypted.Decrypt(block.Bytes, password)
	if err != nil {
		return nil, fmt.Errorf("unlock the key: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if _, ok := key.(*ecdsa.PrivateKey); !ok {
		return nil, errors.New("private key: only ECDSA is supported")
	}
	return signature.LoadSigner(key, crypto.SHA256)
}

// verifier verifies what the signer signs.
func verifier(s signature.Signer) (signature.Verifier, error) {
	key, err := s.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return signature.LoadVerifier(key, crypto.SHA256)
}

// PublicKey reads the file of a public key.
func PublicKey(file []byte) (signature.Verifier, error) {
	key, err := cryptoutils.UnmarshalPEMToPublicKey(file)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return signature.LoadVerifier(key, crypto.SHA256)
}
