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

// VerifyImage returns the payloads that the key has signed of what ref names in a registry, at
// least one.
func VerifyImage(ctx context.Context, v signature.Verifier, ref string) (payloads []json.RawMessage, err error) {
	err = each(ctx, ref, "sig", func(digest name.Digest, text []byte, notes map[string]string) error {
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
		payloads = append(payloads, text)
		return nil
	})
	return payloads, err
}

// VerifyAttestation returns the envelopes around statements of a type that the key has signed about
// what ref names in a registry, at least one.
func VerifyAttestation(ctx context.Context, v signature.Verifier, ref, predicateType string) (envelopes []json.RawMessage, err error) {
	err = each(ctx, ref, "att", func(digest name.Digest, envelope []byte, _ map[string]string) error {
		var text []byte
		wrapped := dsse.WrapVerifier(v, dsse.WithExpectedPayloadType(statementType), dsse.WithDecodedPayload(&text))
		if err := wrapped.VerifySignature(bytes.NewReader(envelope), nil); err != nil {
			return err
		}
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
		envelopes = append(envelopes, envelope)
		return nil
	})
	return envelopes, err
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

// each gives a function what is attached to ref, layer by layer. If it takes none of them, its
// reasons are in the error.
func each(ctx context.Context, ref, suffix string, take func(digest name.Digest, data []byte, notes map[string]string) error) error {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return fmt.Errorf("verify %s: %w", ref, err)
	}
	found, err := remote.Get(parsed, options(ctx)...)
	if err != nil {
		return fmt.Errorf("verify %s: %w", ref, err)
	}
	digest := parsed.Context().Digest(found.Digest.String())
	img, err := attached(ctx, beside(digest, suffix))
	if err != nil {
		return err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return fmt.Errorf("verify %s: %w", ref, err)
	}
	taken, refused := 0, []error{ErrUnsigned}
	for _, layer := range manifest.Layers {
		data, err := content(img, layer.Digest)
		if err != nil {
			return fmt.Errorf("verify %s: %w", ref, err)
		}
		if err := take(digest, data, layer.Annotations); err != nil {
			refused = append(refused, err)
			continue
		}
		taken++
	}
	if taken == 0 {
		return fmt.Errorf("verify %s: %w", ref, errors.Join(refused...))
	}
	return nil
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
