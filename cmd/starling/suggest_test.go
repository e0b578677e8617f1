package main

import (
	"strings"
	"testing"
)

// TestFlagMistakes: the words say what is wrong, where, and what would be right.
func TestFlagMistakes(t *testing.T) {
	for _, tt := range []struct {
		name     string
		args     []string
		variable string // of the environment, and its value
		want     string
	}{
		{"no such flag", []string{"status", "--foo"}, "", "there is no flag --foo"},
		{"no such short flag", []string{"status", "-x"}, "", "there is no flag -x"},
		{"almost a flag", []string{"status", "--ouptut", "json"}, "", "there is no flag --ouptut; did you mean --output?"},
		{"the beginning of one", []string{"run", "--gossip-key"}, "", "there is no flag --gossip-key; did you mean --gossip-key-file?"},
		{"one before the command", []string{"--node", "n1", "status"}, "", "--node belongs behind a command, as in starling status --node"},
		{"almost a command", []string{"stauts"}, "", `unknown command "stauts"; did you mean status?`},
		{"the beginning of a command", []string{"comp"}, "", `unknown command "comp"; did you mean completion?`},
		{"almost a command with a flag", []string{"stauts", "--node", "n1"}, "", `unknown command "stauts"; did you mean status?`},
		{"almost a subcommand", []string{"key", "rotat"}, "", `unknown command "key rotat"; did you mean key rotate?`},
		{"a subcommand without its command", []string{"rotat"}, "", `unknown command "rotat"; did you mean key rotate?`},
		{"a value behind a letter", []string{"status", "-oyml"}, "", `--output: "yml" is none of table, wide, json and yaml; did you mean yaml?`},
		{"almost a flag with one dash", []string{"status", "-outptu", "json"}, "", "there is no flag --outptu; did you mean --output?"},
		{"no value behind a switch", []string{"status", "-wide"}, "", "there is no flag --wide"},
		{"no such command", []string{"frobnicate"}, "", `unknown command "frobnicate"`},
		{"no value", []string{"events", "--since"}, "", "--since needs a value: a time such as 500ms, 30s or 10m"},
		{"no value for a text", []string{"status", "--output"}, "", "--output needs a value"},
		{"no time", []string{"events", "--since", "10"}, "", `--since: "10" is not a time such as 500ms, 30s or 10m`},
		{"no number", []string{"events", "--limit", "a few"}, "", `--limit: "a few" is not a whole number`},
		{"neither yes nor no", []string{"doctor", "--local=perhaps"}, "", `--local: "perhaps" is not true or false`},
		{"of a subcommand", []string{"key", "rotate", "--timeout", "long"}, "", `--timeout: "long" is not a time such as 500ms, 30s or 10m`},
		{"a variable", []string{"run"}, "STARLING_REFRESH_PERIOD=often", `STARLING_REFRESH_PERIOD: "often" is not a time such as 500ms, 30s or 10m`},
		{"a pattern", []string{"doctor", "--local", "--interface", "["}, "", `--interface: "[" is not a name or a glob`},
		{"almost a format", []string{"status", "-o", "yml"}, "", `--output: "yml" is none of table, wide, json and yaml; did you mean yaml?`},
		{"no format", []string{"status", "-o", "xml"}, "", `--output: "xml" is none of table, wide, json and yaml`},
		{"no shell", []string{"completion"}, "", "name one shell: bash, zsh, fish"},
		{"no cluster", []string{"status", "--context", "here"}, "KUBECONFIG=/nonexistent", `--kubeconfig: kubeconfig: context "here" does not exist`},
		{"no kubeconfig", []string{"status", "--node", "n1"}, "KUBECONFIG=/nonexistent", "--kubeconfig: kubeconfig: none is found: give one by --kubeconfig FILE or $KUBECONFIG"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if name, value, set := strings.Cut(tt.variable, "="); set {
				t.Setenv(name, value)
			}
			code, out, errOut := called(t, append([]string{"starling"}, tt.args...)...)
			first, rest, _ := strings.Cut(errOut, "\n")
			if code != exitUsage || first != "starling: "+tt.want || !strings.HasPrefix(rest, "starling: see \"starling ") || out != "" {
				t.Errorf("exit code %d, %q, and\n%s\nwant %q", code, out, errOut, tt.want)
			}
		})
	}
}
