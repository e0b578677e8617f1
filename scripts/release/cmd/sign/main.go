// Command sign signs a release with a key, and verifies it, without cosign:
//
//	sign release DIR                        image, chart and checksums of the release in DIR
//	sign generate-key-pair ...              as cosign's commands of these names do
//	sign verify ...
//	sign verify-attestation ...
//	sign verify-blob ...
//
// Its flags are those of cosign, as far as docs/releasing.md uses them; what it signs is read by
// cosign. The key's password is COSIGN_PASSWORD. A key file that exists is never overwritten. What
// the key has signed already is left as it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/starling-lb/starling/scripts/release/sign"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
}

// options are the flags of all commands.
type options struct {
	key, prefix, kind, bundle string
	ignoreLog                 bool
	stdout                    io.Writer
}

// predicates are the names that cosign has for types of statements.
var predicates = map[string]string{"slsaprovenance1": "https://slsa.dev/provenance/v1"}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := options{stdout: stdout}
	commands := map[string]func(context.Context, []string) error{
		"release": o.release, "generate-key-pair": o.generate, "verify": o.verify, "verify-attestation": o.attestation, "verify-blob": o.blob,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New("usage: sign release|generate-key-pair|verify|verify-attestation|verify-blob, see its source")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.key, "key", "", "`file` of the key")
	flags.StringVar(&o.prefix, "output-key-prefix", "cosign", "beginning of the `names` of the files of the new keys")
	flags.StringVar(&o.kind, "type", "", "`type` of the statement")
	flags.StringVar(&o.bundle, "bundle", "", "`file` with the signature of a file")
	flags.BoolVar(&o.ignoreLog, "insecure-ignore-tlog", false, "do not ask a transparency log; needed, because none is asked")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if strings.HasPrefix(args[0], "verify") && !o.ignoreLog {
		return errors.New("needs --insecure-ignore-tlog: a signature with a key is in no transparency log")
	}
	return commands[args[0]](ctx, flags.Args())
}

// one is the only argument.
func one(args []string, what string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("needs one argument, %s, and has %q", what, args)
	}
	return args[0], nil
}

// named reads the file that a flag names.
func named(file, flag string) ([]byte, error) {
	if file == "" {
		return nil, fmt.Errorf("--%s is missing", flag)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return data, nil
}

func (o *options) generate(_ context.Context, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown argument %q", args[0])
	}
	password, ok := os.LookupEnv("COSIGN_PASSWORD")
	if !ok {
		return errors.New("set COSIGN_PASSWORD, empty for a key without a password")
	}
	private, public, err := sign.NewKey([]byte(password))
	if err != nil {
		return err
	}
	if err := create(o.prefix+".key", private, 0o600); err != nil {
		return err
	}
	if err := create(o.prefix+".pub", public, 0o644); err != nil {
		return errors.Join(err, os.Remove(o.prefix+".key"))
	}
	return nil
}

// create writes a new file. It fails if the file exists.
func create(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// release signs what oci.txt names, each with the provenance, and the checksums.
func (o *options) release(ctx context.Context, args []string) error {
	dir, err := one(args, "the folder of the release")
	if err != nil {
		return err
	}
	file, err := named(o.key, "key")
	if err != nil {
		return err
	}
	key, err := sign.Key(file, []byte(os.Getenv("COSIGN_PASSWORD")))
	if err != nil {
		return fmt.Errorf("key %s: %w", o.key, err)
	}
	refs, err := os.ReadFile(filepath.Join(dir, "oci.txt"))
	if err != nil {
		return err
	}
	provenance, err := os.ReadFile(filepath.Join(dir, "provenance.json"))
	if err != nil {
		return err
	}
	for ref := range strings.FieldsSeq(string(refs)) {
		done, err := sign.Image(ctx, key, ref)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.stdout, "%s: %s\n", ref, done)
		if done, err = sign.Attest(ctx, key, ref, predicates["slsaprovenance1"], provenance); err != nil {
			return err
		}
		fmt.Fprintf(o.stdout, "provenance of %s: %s\n", ref, done)
	}
	return o.checksums(key, filepath.Join(dir, "checksums.txt"))
}

// checksums signs a file into a bundle beside it, which has one signature.
func (o *options) checksums(key signature.Signer, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name, done := file+".sigstore.json", sign.Done{Made: true}
	had, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case sign.Signed(key, had, data):
		done.Made = false
	default:
		fmt.Fprintf(o.stdout, "%s: not by this key, or not of these checksums; replaced\n", name)
	}
	if done.Made {
		b, err := sign.Blob(key, data)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(o.stdout, "%s: %s\n", file, done)
	return nil
}

// public is the key to verify with.
func (o *options) public() (signature.Verifier, error) {
	file, err := named(o.key, "key")
	if err != nil {
		return nil, err
	}
	return sign.PublicKey(file)
}

func (o *options) verify(ctx context.Context, args []string) error {
	ref, err := one(args, "an image")
	if err != nil {
		return err
	}
	key, err := o.public()
	if err != nil {
		return err
	}
	payloads, err := sign.VerifyImage(ctx, key, ref)
	if err != nil {
		return err
	}
	return json.NewEncoder(o.stdout).Encode(payloads)
}

func (o *options) attestation(ctx context.Context, args []string) error {
	ref, err := one(args, "an image")
	if err != nil {
		return err
	}
	if predicates[o.kind] == "" {
		return fmt.Errorf("--type %q is not slsaprovenance1", o.kind)
	}
	key, err := o.public()
	if err != nil {
		return err
	}
	envelopes, err := sign.VerifyAttestation(ctx, key, ref, predicates[o.kind])
	if err != nil {
		return err
	}
	for _, e := range envelopes {
		fmt.Fprintf(o.stdout, "%s\n", e)
	}
	return nil
}

func (o *options) blob(_ context.Context, args []string) error {
	file, err := one(args, "a file")
	if err != nil {
		return err
	}
	key, err := o.public()
	if err != nil {
		return err
	}
	text, err := named(o.bundle, "bundle")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return sign.VerifyBlob(key, text, data)
}
