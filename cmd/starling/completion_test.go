package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// programVariable makes the test binary play the program.
const programVariable = "STARLING_TEST_PROGRAM"

// TestCompletion asks the shell itself what it would offer. Shells that are not installed are only read for the names
// of the commands.
func TestCompletion(t *testing.T) {
	if os.Getenv(programVariable) != "" {
		execute(t.Context(), os.Args[slices.Index(os.Args, "--")+1:], os.Stdout, os.Stderr)
		os.Exit(1) // before the test says anything; the shell does not mind, and 0 is not allowed
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, script, errOut := called(t, "starling", "completion", shell)
		if code != exitOK || !strings.Contains(script, "starling") {
			t.Fatalf("%s: exit code %d: %s", shell, code, errOut)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s does not understand its script: %v\n%s", shell, err, out)
		}
	}
}

func TestBashOffers(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	dir := t.TempDir()
	program := "#!/bin/sh\nexec env " + programVariable + "=1 " + os.Args[0] + " -test.run='^TestCompletion$' -- starling \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "starling"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	_, script, _ := called(t, "starling", "completion", "bash")
	for line, want := range map[string]string{"starling do": "doctor", "starling completion z": "zsh", "starling status --wat": "--watch"} {
		words := strings.Fields(line)
		cmd := exec.CommandContext(t.Context(), bash, "-c", script+"\nCOMP_WORDS=("+line+"); COMP_CWORD="+string(rune('0'+len(words)-1))+"; _starling; echo \"${COMPREPLY[@]}\"")
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Run(); err != nil || !slices.Contains(strings.Fields(out.String()), want) {
			t.Errorf("%q offers %q, want %s: %v %s", line, out.String(), want, err, &errOut)
		}
	}
}
