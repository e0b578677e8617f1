// Package sign signs releases with a key, and verifies such signatures, in cosign's formats.
//
// It stands in for cosign where no key-less identity is wanted, because cosign as a whole takes
// many minutes to compile. `cosign verify --key` takes what it signs. A signature of something in a
// registry, whose digest is sha256:X, is in the same repository:
//
//	sha256-X.sig  an image; each layer is a payload ("simple signing") that names the digest, with
//	              the signature over the payload as an annotation of the layer
//	sha256-X.att  an image; each layer is a DSSE envelope, in which an in-toto statement about the
//	              digest is signed
//
// That of a file is a Sigstore bundle beside it. All are ECDSA over SHA-256; no transparency log
// learns of them. The formats are those of cosign's specs/SIGNATURE_SPEC.md and
// specs/ATTESTATION_SPEC.md, and of Sigstore's protobuf-specs.
package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/payload"
	"google.golang.org/protobuf/encoding/protojson"
)

// What registries and bundles call the formats.
const (
	payloadType   = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeType  = "application/vnd.dsse.envelope.v1+json"
	statementType = "application/vnd.in-toto+json"
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"

	signatureNote = "dev.cosignproject.cosign/signature"
)

// Done says what became of a signature that was to be made of something in a registry.
type Done struct {
	Made   bool // false: the key had signed the same already
	Others int  // signatures that are not the same, which stay
}

// String is for people.
func (d Done) String() string {
	switch {
	case !d.Made:
		return "signed by this key already, left as it is"
	case d.Others > 0:
		return fmt.Sprintf("signed; other signatures, which stay: %d", d.Others)
	}
	return "signed"
}

// Image signs something in a registry, an image or a chart, unless the key has done so already. ref
// names its digest.
func Image(ctx context.Context, s signature.Signer, ref string) (Done, error) {
	digest, err := name.NewDigest(ref)
	if err != nil {
		return Done{}, fmt.Errorf("sign %s: %w", ref, err)
	}
	text, err := payload.Cosign{Image: digest, ClaimedIdentity: digest.Repository.Name()}.MarshalJSON()
	if err != nil {
		return Done{}, fmt.Errorf("sign %s: %w", ref, err)
	}
	sig, err := s.SignMessage(bytes.NewReader(text))
	if err != nil {
		return Done{}, fmt.Errorf("sign %s: %w", ref, err)
	}
	v, err := verifier(s)
	if err != nil {
		return Done{}, fmt.Errorf("sign %s: %w", ref, err)
	}
	notes := map[string]string{signatureNote: base64.StdEncoding.EncodeToString(sig)}
	return attach(ctx, digest, "sig", imageBy(v), layer(text, payloadType, notes))
}

// Attest signs a statement about something in a registry, unless the key has signed the same
// already: a predicate, which is JSON, of a type. ref names its digest.
func Attest(ctx context.Context, s signature.Signer, ref, predicateType string, predicate []byte) (Done, error) {
	digest, err := name.NewDigest(ref)
	if err != nil {
		return Done{}, fmt.Errorf("attest %s: %w", ref, err)
	}
	text, err := json.Marshal(statement{
		Type: "https://in-toto.io/Statement/v0.1", PredicateType: predicateType, Predicate: predicate,
		Subject: []subject{{Name: digest.Repository.Name(), Digest: map[string]string{"sha256": hexOf(digest)}}},
	})
	if err != nil {
		return Done{}, fmt.Errorf("attest %s: %w", ref, err)
	}
	envelope, err := dsse.WrapSigner(s, statementType).SignMessage(bytes.NewReader(text))
	if err != nil {
		return Done{}, fmt.Errorf("attest %s: %w", ref, err)
	}
	v, err := verifier(s)
	if err != nil {
		return Done{}, fmt.Errorf("attest %s: %w", ref, err)
	}
	same := envelopeBy(v, func(_ name.Digest, signed []byte) error {
		if !bytes.Equal(signed, text) {
			return errors.New("the statement is another one")
		}
		return nil
	})
	return attach(ctx, digest, "att", same, layer(envelope, envelopeType, map[string]string{signatureNote: "", "predicateType": predicateType}))
}

// Blob returns the bundle with the signature of a file.
func Blob(s signature.Signer, data []byte) ([]byte, error) {
	sig, err := s.SignMessage(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	public, err := s.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	key, err := cryptoutils.MarshalPublicKeyToPEM(public)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	sum, hint := sha256.Sum256(data), sha256.Sum256(key)
	return protojson.Marshal(&bundle.Bundle{
		MediaType: bundleType,
		VerificationMaterial: &bundle.VerificationMaterial{Content: &bundle.VerificationMaterial_PublicKey{
			PublicKey: &common.PublicKeyIdentifier{Hint: base64.StdEncoding.EncodeToString(hint[:])},
		}},
		Content: &bundle.Bundle_MessageSignature{MessageSignature: &common.MessageSignature{
			MessageDigest: &common.HashOutput{Algorithm: common.HashAlgorithm_SHA2_256, Digest: sum[:]}, Signature: sig,
		}},
	})
}

// Signed reports whether the bundle has a signature of the file by the key.
func Signed(s signature.Signer, bundle, data []byte) bool {
	v, err := verifier(s)
	return err == nil && VerifyBlob(v, bundle, data) == nil
}

// statement is one of in-toto, as far as it is used here.
type statement struct {
	Type          string          `json:"_type"`
	PredicateType string          `json:"predicateType"`
	Subject       []subject       `json:"subject"`
	Predicate     json.RawMessage `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

func hexOf(digest name.Digest) string { return strings.TrimPrefix(digest.DigestStr(), "sha256:") }

// beside is the tag of what is attached to a digest.
func beside(digest name.Digest, suffix string) name.Tag {
	return digest.Repository.Tag("sha256-" + hexOf(digest) + "." + suffix)
}

// options are how a registry is spoken to: by the login of docker, podman or helm.
func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

func layer(data []byte, mediaType types.MediaType, notes map[string]string) mutate.Addendum {
	return mutate.Addendum{Layer: static.NewLayer(data, mediaType), MediaType: mediaType, Annotations: notes}
}

// attach adds a layer to what is attached to a digest, which must be in the registry, unless a
// layer there passes the check.
func attach(ctx context.Context, digest name.Digest, suffix string, same check, more mutate.Addendum) (Done, error) {
	if _, err := remote.Head(digest, options(ctx)...); err != nil {
		return Done{}, fmt.Errorf("find %s in the registry: %w", digest, err)
	}
	tag := beside(digest, suffix)
	had, err := attached(ctx, tag)
	if err != nil {
		return Done{}, err
	}
	passed, refused, err := layers(had, digest, same)
	if err != nil {
		return Done{}, fmt.Errorf("read %s: %w", tag, err)
	}
	if len(passed) > 0 {
		return Done{Others: len(refused)}, nil
	}
	has, err := mutate.Append(had, more)
	if err != nil {
		return Done{}, fmt.Errorf("attach to %s: %w", digest, err)
	}
	if err := remote.Write(tag, has, options(ctx)...); err != nil {
		return Done{}, fmt.Errorf("push %s: %w", tag, err)
	}
	return Done{Made: true, Others: len(refused)}, nil
}

// attached is what a registry has under the tag, an image without layers if nothing.
func attached(ctx context.Context, tag name.Tag) (v1.Image, error) {
	img, err := remote.Image(tag, options(ctx)...)
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), nil
	}
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", tag, err)
	}
	return img, nil
}
