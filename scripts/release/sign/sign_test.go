package sign

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/sigstore/pkg/signature"
)

const kind = "https://slsa.dev/provenance/v1"

// keys is a pair of them, read back from the files.
func keys(t *testing.T) (signature.Signer, signature.Verifier) {
	t.Helper()
	private, public, err := NewKey([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Key(private, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := PublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Key(bytes.ReplaceAll(private, []byte("SIGSTORE"), []byte("COSIGN")), []byte("secret")); err != nil {
		t.Errorf("a file of an older cosign: %v", err)
	}
	if _, err := Key(private, []byte("guess")); err == nil {
		t.Error("another password unlocks the key")
	}
	if _, err := Key(public, nil); err == nil || !strings.Contains(err.Error(), "not a key file of cosign") {
		t.Errorf("a public key as a private one: %v", err)
	}
	return s, v
}

// pushed is a registry with an image, by tag and by digest.
func pushed(t *testing.T) (tag, ref string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	parsed, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/owner/image:v1")
	if err != nil {
		t.Fatal(err)
	}
	digest := push(t, parsed)
	return parsed.String(), parsed.String() + "@" + digest.String()
}

func push(t *testing.T, tag name.Tag) v1.Hash {
	t.Helper()
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestImage(t *testing.T) {
	t.Parallel()
	tag, ref := pushed(t)
	s, v := keys(t)
	another, second := keys(t)
	if _, err := VerifyImage(t.Context(), v, tag); !errors.Is(err, ErrUnsigned) {
		t.Errorf("unsigned: %v", err)
	}
	if _, err := Image(t.Context(), s, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyImage(t.Context(), second, tag); !errors.Is(err, ErrUnsigned) {
		t.Errorf("signed by somebody else: %v", err)
	}
	if _, err := Image(t.Context(), another, ref); err != nil {
		t.Fatal(err)
	}
	for _, key := range []signature.Verifier{v, second} {
		payloads, err := VerifyImage(t.Context(), key, tag)
		if err != nil || len(payloads) != 1 || !strings.Contains(string(payloads[0]), ref[strings.Index(ref, "sha256:"):]) {
			t.Errorf("signed by two: %s, %v", payloads, err)
		}
	}
	if _, err := Image(t.Context(), s, tag); err == nil {
		t.Error("signed a tag, which may name something else tomorrow")
	}
	absent := tag + "@sha256:" + strings.Repeat("0", 64)
	for _, err := range []error{signed(Image(t.Context(), s, absent)), signed(Attest(t.Context(), s, absent, kind, []byte(`{}`)))} {
		if err == nil || !strings.Contains(err.Error(), "in the registry") {
			t.Errorf("signed what nobody has pushed: %v", err)
		}
	}
}

// TestMoved: what was signed of one image is no signature of another, also if somebody puts it
// where those of the other are looked for.
func TestMoved(t *testing.T) {
	t.Parallel()
	tag, ref := pushed(t)
	s, v := keys(t)
	if err := errors.Join(signed(Image(t.Context(), s, ref)), signed(Attest(t.Context(), s, ref, kind, []byte(`{}`)))); err != nil {
		t.Fatal(err)
	}
	parsed, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := name.NewDigest(ref)
	if err != nil {
		t.Fatal(err)
	}
	now := parsed.Context().Digest(push(t, parsed).String())
	for _, suffix := range []string{"sig", "att"} {
		img, err := remote.Image(beside(digest, suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(beside(now, suffix), img); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := VerifyImage(t.Context(), v, tag); !errors.Is(err, ErrUnsigned) || !strings.Contains(err.Error(), "the signature is of sha256:") {
		t.Errorf("signature: %v", err)
	}
	if _, err := VerifyAttestation(t.Context(), v, tag, kind); !errors.Is(err, ErrUnsigned) || !strings.Contains(err.Error(), "the statement is about") {
		t.Errorf("statement: %v", err)
	}
}

func TestAttestation(t *testing.T) {
	t.Parallel()
	tag, ref := pushed(t)
	s, v := keys(t)
	_, other := keys(t)
	if _, err := Attest(t.Context(), s, ref, kind, []byte(`{"a": "commit"}`)); err != nil {
		t.Fatal(err)
	}
	envelopes, err := VerifyAttestation(t.Context(), v, tag, kind)
	if err != nil || len(envelopes) != 1 {
		t.Fatalf("%d envelopes, %v", len(envelopes), err)
	}
	var envelope struct{ Payload []byte }
	if err := json.Unmarshal(envelopes[0], &envelope); err != nil || !strings.Contains(string(envelope.Payload), `"a":"commit"`) {
		t.Errorf("%s, %v", envelope.Payload, err)
	}
	if _, err := VerifyAttestation(t.Context(), other, tag, kind); !errors.Is(err, ErrUnsigned) {
		t.Errorf("by another key: %v", err)
	}
	if _, err := VerifyAttestation(t.Context(), v, tag, "https://spdx.dev/Document"); !errors.Is(err, ErrUnsigned) {
		t.Errorf("of another type: %v", err)
	}
	if _, err := Attest(t.Context(), s, ref, kind, []byte("no JSON")); err == nil {
		t.Error("attested something that is no JSON")
	}
}

func TestBlob(t *testing.T) {
	t.Parallel()
	s, v := keys(t)
	_, other := keys(t)
	bundle, err := Blob(s, []byte("sums"))
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyBlob(v, bundle, []byte("sums")); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"changed file": VerifyBlob(v, bundle, []byte("some")),
		"another key":  VerifyBlob(other, bundle, []byte("sums")),
	} {
		if !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, text := range []string{"", "{}", strings.Replace(string(bundle), "v0.3", "v9", 1)} {
		if err := VerifyBlob(v, []byte(text), []byte("sums")); err == nil {
			t.Errorf("bundle %q verifies", text)
		}
	}
}

// signed is the error alone.
func signed(_ Done, err error) error { return err }

// TestAgain: a key signs the same once; what it has signed besides, and others have, stays.
func TestAgain(t *testing.T) {
	t.Parallel()
	tag, ref := pushed(t)
	s, v := keys(t)
	another, _ := keys(t)
	image := func(s signature.Signer) (Done, error) { return Image(t.Context(), s, ref) }
	attest := func(predicate string) func(signature.Signer) (Done, error) {
		return func(s signature.Signer) (Done, error) {
			return Attest(t.Context(), s, ref, kind, []byte(predicate))
		}
	}
	for _, tt := range []struct {
		name string
		sign func(signature.Signer) (Done, error)
		by   signature.Signer
		want Done
		text string
	}{
		{"image", image, s, Done{Made: true}, "signed"},
		{"image again", image, s, Done{}, "signed by this key already, left as it is"},
		{"image by another key", image, another, Done{Made: true, Others: 1}, "signed; other signatures, which stay: 1"},
		{"image by the first key again", image, s, Done{Others: 1}, "signed by this key already, left as it is"},
		{"statement", attest(`{"a": 1}`), s, Done{Made: true}, "signed"},
		{"statement again", attest(`{"a": 1}`), s, Done{}, "signed by this key already, left as it is"},
		{"another statement", attest(`{"a": 2}`), s, Done{Made: true, Others: 1}, "signed; other signatures, which stay: 1"},
		{"statement by another key", attest(`{"a": 1}`), another, Done{Made: true, Others: 2}, "signed; other signatures, which stay: 2"},
	} {
		if done, err := tt.sign(tt.by); err != nil || done != tt.want || done.String() != tt.text {
			t.Errorf("%s: %+v %q, %v; want %+v %q", tt.name, done, done, err, tt.want, tt.text)
		}
	}
	if payloads, err := VerifyImage(t.Context(), v, tag); err != nil || len(payloads) != 1 {
		t.Errorf("%d signatures by the first key, %v; want one", len(payloads), err)
	}
	if envelopes, err := VerifyAttestation(t.Context(), v, tag, kind); err != nil || len(envelopes) != 2 {
		t.Errorf("%d statements by the first key, %v; want two", len(envelopes), err)
	}
}
