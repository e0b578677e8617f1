package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/payload"
	"google.golang.org/protobuf/encoding/protojson"
)

// ErrUnsigned says that nothing which was found is a signature by the key.
var ErrUnsigned = errors.New("no signature by this key")

// A check returns why a layer that is attached to a digest is no signature that is looked for.
type check func(digest name.Digest, data []byte, notes map[string]string) error

// VerifyImage returns the payloads that the key has signed of what ref names in a registry, at
// least one.
func VerifyImage(ctx context.Context, v signature.Verifier, ref string) (payloads []json.RawMessage, err error) {
	return find(ctx, ref, "sig", imageBy(v))
}

// imageBy passes the payloads that the key has signed.
func imageBy(v signature.Verifier) check {
	return func(digest name.Digest, text []byte, notes map[string]string) error {
		sig, err := base64.StdEncoding.DecodeString(notes[signatureNote])
		if err != nil {
			return err
		}
		if err := v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(text)); err != nil {
			return err
		}
		var p payload.Cosign
		if err := json.Unmarshal(text, &p); err != nil {
			return err
		}
		if p.Image.DigestStr() != digest.DigestStr() {
			return fmt.Errorf("the signature is of %s", p.Image.DigestStr())
		}
		return nil
	}
}

// VerifyAttestation returns the envelopes around statements of a type that the key has signed about
// what ref names in a registry, at least one.
func VerifyAttestation(ctx context.Context, v signature.Verifier, ref, predicateType string) (envelopes []json.RawMessage, err error) {
	return find(ctx, ref, "att", envelopeBy(v, func(digest name.Digest, text []byte) error {
		var s statement
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		if !slices.ContainsFunc(s.Subject, func(about subject) bool { return about.Digest["sha256"] == hexOf(digest) }) {
			return fmt.Errorf("the statement is about %+v", s.Subject)
		}
		if s.PredicateType != predicateType {
			return fmt.Errorf("the statement is a %s", s.PredicateType)
		}
		return nil
	}))
}

// envelopeBy passes the envelopes that the key has signed and whose statements fit.
func envelopeBy(v signature.Verifier, fits func(digest name.Digest, text []byte) error) check {
	return func(digest name.Digest, envelope []byte, _ map[string]string) error {
		var text []byte
		wrapped := dsse.WrapVerifier(v, dsse.WithExpectedPayloadType(statementType), dsse.WithDecodedPayload(&text))
		if err := wrapped.VerifySignature(bytes.NewReader(envelope), nil); err != nil {
			return err
		}
		return fits(digest, text)
	}
}

// VerifyBlob reports an error unless the bundle has a signature of the file by the key.
func VerifyBlob(v signature.Verifier, text, data []byte) error {
	var b bundle.Bundle
	if err := protojson.Unmarshal(text, &b); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if b.GetMediaType() != bundleType {
		return fmt.Errorf("bundle: unknown type %q", b.GetMediaType())
	}
	if err := v.VerifySignature(bytes.NewReader(b.GetMessageSignature().GetSignature()), bytes.NewReader(data)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	return nil
}

// find returns what is attached to ref and passes the check. If nothing does, the reasons are in
// the error.
func find(ctx context.Context, ref, suffix string, wanted check) ([]json.RawMessage, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	found, err := remote.Get(parsed, options(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	digest := parsed.Context().Digest(found.Digest.String())
	img, err := attached(ctx, beside(digest, suffix))
	if err != nil {
		return nil, err
	}
	passed, refused, err := layers(img, digest, wanted)
	if err == nil && len(passed) == 0 {
		err = errors.Join(append([]error{ErrUnsigned}, refused...)...)
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	return passed, nil
}

// layers returns those of what is attached to a digest that pass the check, and why others do not.
func layers(img v1.Image, digest name.Digest, wanted check) (passed []json.RawMessage, refused []error, err error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, nil, err
	}
	for _, l := range manifest.Layers {
		data, err := content(img, l.Digest)
		if err != nil {
			return nil, nil, err
		}
		if err := wanted(digest, data, l.Annotations); err != nil {
			refused = append(refused, err)
			continue
		}
		passed = append(passed, data)
	}
	return passed, refused, nil
}

// maxLayer is the most that one signature or envelope may have, in bytes: as much as cosign takes.
const maxLayer = 128 << 20

// content is that of a layer, whose digest is checked while it is read.
func content(img v1.Image, digest v1.Hash) ([]byte, error) {
	layer, err := img.LayerByDigest(digest)
	if err != nil {
		return nil, err
	}
	r, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxLayer+1))
	if err == nil && len(data) > maxLayer {
		err = fmt.Errorf("layer %s has more than %d bytes", digest, maxLayer)
	}
	return data, err
}
