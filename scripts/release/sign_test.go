package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var withCosign = flag.Bool("cosign", false, "verify by cosign itself, which takes minutes to compile for the first time")

// TestSigned signs a release by scripts/sign with a key, and verifies it by the commands of
// docs/releasing.md, with cosign if that is wanted and else with what stands in for it. Another key
// verifies nothing, and what was changed is found.
func TestSigned(t *testing.T) {
	t.Parallel()
	host := loopback(t)
	dir, _ := made(t, host, programs(t))
	u := user{dir: dir, bin: t.TempDir()}
	verifier := []string{"build", "-o", filepath.Join(u.bin, "cosign"), "./cmd/sign"}
	if *withCosign {
		verifier = []string{"tool", "-n", "cosign"}
	}
	program := built(t, verifier...)
	if *withCosign {
		if err := os.Symlink(program, filepath.Join(u.bin, "cosign")); err != nil {
			t.Fatal(err)
		}
	}
	u.must(t, "cosign generate-key-pair --output-key-prefix right")
	u.must(t, "cosign generate-key-pair --output-key-prefix wrong")
	script, err := filepath.Abs("../sign")
	if err != nil {
		t.Fatal(err)
	}
	commands := verifying(t, host)
	for _, c := range commands {
		if out, err := u.try(t, strings.ReplaceAll(c, "IDENTITY", "--key right.pub --insecure-ignore-tlog")); err == nil {
			t.Errorf("verified before it was signed:\n%s\n%s", c, out)
		}
	}
	u.must(t, "COSIGN_KEY=right.key "+script+" .")

	for _, c := range commands {
		out := u.must(t, strings.ReplaceAll(c, "IDENTITY", "--key right.pub --insecure-ignore-tlog"))
		if strings.Contains(c, "verify-attestation") && !strings.Contains(attested(t, out), revision) {
			t.Errorf("the provenance does not name the commit:\n%s", out)
		}
		if out, err := u.try(t, strings.ReplaceAll(c, "IDENTITY", "--key wrong.pub --insecure-ignore-tlog")); err == nil {
			t.Errorf("another key verifies:\n%s\n%s", c, out)
		}
	}
	files := strings.ReplaceAll(commands[len(commands)-1], "IDENTITY", "--key right.pub --insecure-ignore-tlog")
	save(t, dir, "starling.yaml", append(read(t, dir, "starling.yaml"), "# changed\n"...))
	if out, err := u.try(t, files); err == nil {
		t.Errorf("a changed manifest passes:\n%s", out)
	}
}

// built is what a command of Go prints, without its progress.
func built(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if failed, is := errors.AsType[*exec.ExitError](err); is {
		err = fmt.Errorf("%w\n%s", err, failed.Stderr)
	}
	if err != nil {
		t.Fatalf("go %q: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// verifying are the commands of the page in its order, for the release of the test.
func verifying(t *testing.T, host string) (commands []string) {
	t.Helper()
	page := string(read(t, "../../docs", "releasing.md"))
	_, section, _ := strings.Cut(page, "\n## Verify\n")
	section, _, _ = strings.Cut(section, "\n### ")
	here := strings.NewReplacer(published, host+"/starling-lb", "VERSION", version, "0.2.0", "0.2.0-rc.1")
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		var parts []string
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[2], -1) {
			parts = append(parts, here.Replace(m[1]))
		}
		if len(parts) > 0 && strings.HasPrefix(parts[0], "cosign ") {
			commands = append(commands, strings.Join(parts, " && "))
		}
	}
	if len(commands) != 4 {
		t.Fatalf("the page verifies by %q, want commands for the image, its provenance, the chart and the files", commands)
	}
	return commands
}

// attested is the statement that an attestation signs.
func attested(t *testing.T, out string) string {
	t.Helper()
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	for line := range strings.Lines(out) {
		if json.Unmarshal([]byte(line), &envelope) == nil && len(envelope.Payload) > 0 {
			return string(envelope.Payload)
		}
	}
	t.Fatalf("no envelope in %q", out)
	return ""
}

// user is somebody with a release and cosign.
type user struct{ dir, bin string }

func (u user) try(t *testing.T, command string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", command)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), "PATH="+u.bin+":"+os.Getenv("PATH"), "COSIGN_PASSWORD=", "TUF_ROOT="+u.bin)
	var told strings.Builder
	cmd.Stderr = &told
	out, err := cmd.Output()
	t.Logf("$ %s\n%s%s%v", command, out, &told, err)
	return string(out), err
}

func (u user) must(t *testing.T, command string) string {
	t.Helper()
	out, err := u.try(t, command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return out
}
