package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
)

// programVariable makes the test binary play the program.
const programVariable = "STARLING_TEST_PROGRAM"

// asProgram is where the test binary plays the program, which the shells call.
func TestAsProgram(t *testing.T) {
	if os.Getenv(programVariable) == "" {
		return
	}
	execute(t.Context(), os.Args[slices.Index(os.Args, "--")+1:], os.Stdout, os.Stderr)
	os.Exit(1) // before the test says anything; the shell does not mind, and 0 is not allowed
}

// TestComplete is what kubectl gets, and the scripts of the shells.
func TestComplete(t *testing.T) {
	file := cluster(t, "n1", "n2")
	for _, tt := range []struct {
		name  string
		words []string
		want  []string // some of the candidates
		files bool
	}{
		{"a command", []string{"do"}, []string{"doctor"}, false},
		{"any command", []string{""}, []string{"status", "who", "check"}, false},
		{"a subcommand", []string{"key", "r"}, []string{"rotate"}, false},
		{"a flag", []string{"status", "--wat"}, []string{"--watch"}, false},
		{"any flag", []string{"status", "--"}, []string{"--output", "--node", "--watch", "--help"}, false},
		{"a flag of the program", []string{"--"}, []string{"--version"}, false},
		{"a flag behind a value", []string{"events", "--grep", "x", "--mem"}, []string{"--memberlist"}, false},
		{"a value", []string{"status", "-o", ""}, []string{"table", "wide", "json", "yaml"}, false},
		{"a value behind =", []string{"status", "--output=j"}, []string{"--output=json"}, false},
		{"a level", []string{"run", "--log-level", "w"}, []string{"warn"}, false},
		{"a file", []string{"status", "--kubeconfig", ""}, nil, true},
		{"a file of a command", []string{"check", ""}, nil, true},
		{"a node", []string{"status", "--kubeconfig", file, "--node", ""}, []string{"n1"}, false},
		{"an address", []string{"who", "--kubeconfig", file, "198"}, []string{"198.18.64.1"}, false},
		{"a Service", []string{"who", "--kubeconfig", file, "a"}, []string{"a/b"}, false},
		{"a node too", []string{"who", "--kubeconfig", file, "n"}, []string{"n1"}, false},
		{"a node that is held", []string{"return", "--kubeconfig", file, "n"}, []string{"n1"}, false},
		{"a shell", []string{"completion", "z"}, []string{"zsh"}, false},
		{"nothing", []string{"pools", ""}, nil, false},
		{"no cluster", []string{"who", "--kubeconfig", "/nonexistent", ""}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errOut := called(t, append([]string{"starling", completeName}, tt.words...)...)
			lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			var got []string
			for _, line := range lines[:len(lines)-1] {
				word, _, _ := strings.Cut(line, "\t")
				if slices.Contains(tt.want, word) || len(tt.want) == 0 {
					got = append(got, word)
				}
				if !strings.HasPrefix(word, tt.words[len(tt.words)-1]) {
					t.Errorf("offers %q", word)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(slices.Sorted(slices.Values(tt.want)), got); diff != "" || code != exitOK || errOut != "" {
				t.Errorf("exit code %d, %q (-want +got):\n%s", code, errOut, diff)
			}
			if files := lines[len(lines)-1] == filesToo; files != tt.files {
				t.Errorf("files: %v in %q", files, out)
			}
		})
	}
}

// TestWhoChoices: a Service is there once, however many addresses it has.
func TestWhoChoices(t *testing.T) {
	got := whoChoices(api.Snapshot{
		VIPs:    []api.VIP{{IP: "198.18.64.1", Services: []string{"a/web", "a/db"}}, {IP: "2001:db8::1", Services: []string{"a/web"}}},
		Members: []api.Member{{Name: "n1", Health: "ready"}},
	})
	want := []choice{
		{"198.18.64.1", "address of a/web, a/db"},
		{"2001:db8::1", "address of a/web"},
		{"a/db", "Service, 198.18.64.1"},
		{"a/web", "Service, 198.18.64.1, 2001:db8::1"},
		{"n1", "node, ready"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("choices %q, want %q", got, want)
	}
}

func TestCompleterOfKubectl(t *testing.T) {
	if code, out, _ := called(t, "/usr/bin/"+completerName, "vers"); code != exitOK || out != "version\tprint the version of this program\n"+noFiles+"\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestShells asks each shell that is installed whether it understands its script.
func TestShells(t *testing.T) {
	for _, shell := range shells() {
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

// offers are what a shell offers for a line, of which program is the first word: what the script
// says under that shell.
func offers(t *testing.T, shell, script string, args ...string) []string {
	t.Helper()
	dir := t.TempDir()
	program := "#!/bin/sh\nexec env " + programVariable + "=1 " + os.Args[0] + " -test.run='^TestAsProgram$' -- starling \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "starling"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), shell, append([]string{"-c", script}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v %s", shell, err, &errOut)
	}
	return strings.Fields(out.String())
}

func TestBashOffers(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	_, script, _ := called(t, "starling", "completion", "bash")
	for _, tt := range []struct {
		line  string
		words string // as bash splits it
		want  string
	}{
		{"starling do", "starling do", "doctor"},
		{"starling completion z", "starling completion z", "zsh"},
		{"starling status --wat", "starling status --wat", "--watch"},
		{"starling status --", "starling status --", "--output"},
		{"starling status -o ", "starling status -o ''", "yaml"},
		{"starling status --output=j", "starling status --output = j", "json"},
	} {
		n := len(strings.Fields(tt.words)) - 1
		got := offers(t, bash, script+"\nCOMP_LINE=\"$1\"; COMP_POINT=${#1}; COMP_WORDS=("+tt.words+"); COMP_CWORD="+string(rune('0'+n))+"; _starling; echo \"${COMPREPLY[@]}\"", "bash", tt.line)
		if !slices.Contains(got, tt.want) {
			t.Errorf("%q offers %q, want %s", tt.line, got, tt.want)
		}
	}
}

func TestFishOffers(t *testing.T) {
	fish, err := exec.LookPath("fish")
	if err != nil {
		t.Skip("no fish here")
	}
	_, script, _ := called(t, "starling", "completion", "fish")
	for line, want := range map[string]string{"starling do": "doctor", "starling status --wat": "--watch", "starling status -o ": "yaml"} {
		if got := offers(t, fish, script+"\ncomplete --do-complete '"+line+"'"); !slices.Contains(got, want) {
			t.Errorf("%q offers %q, want %s", line, got, want)
		}
	}
}

func TestZshOffers(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("no zsh here")
	}
	_, script, _ := called(t, "starling", "completion", "zsh")
	const shown = "compdef() { }\n_describe() { print -l -- ${${(P)2}%%:*} }\n"
	for words, want := range map[string]string{"starling do": "doctor", "starling status --wat": "--watch", "starling status -o ''": "yaml"} {
		if got := offers(t, zsh, shown+script+"\nwords=("+words+"); CURRENT=$#words; _starling"); !slices.Contains(got, want) {
			t.Errorf("%q offers %q, want %s", words, got, want)
		}
	}
}
