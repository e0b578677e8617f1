package main

import (
	"bytes"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionOf(t *testing.T) {
	built := func(version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}}
		for _, s := range settings {
			key, value, _ := strings.Cut(s, "=")
			info.Settings = append(info.Settings, debug.BuildSetting{Key: key, Value: value})
		}
		return info
	}
	const revision = "vcs.revision=0123456789abcdef"
	for _, tt := range []struct {
		name  string
		stamp string
		info  *debug.BuildInfo
		want  string
	}{
		{"stamped", "v1.2.3", built("v9.9.9", revision), "v1.2.3"},
		{"go install", "", built("v1.2.3"), "v1.2.3"},
		{"checkout", "", built("(devel)", revision, "vcs.modified=false"), "devel-0123456789ab"},
		{"changed checkout", "", built("(devel)", revision, "vcs.modified=true"), "devel-0123456789ab-modified"},
		{"short revision", "", built("", "vcs.revision=012"), "devel-012"},
		{"nothing known", "", built(""), "devel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := versionOf(tt.stamp, tt.info); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestVersionCommand(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := execute(t.Context(), []string{"starling", "version"}, &out, &errOut); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &errOut)
	}
	if !regexp.MustCompile(`^starling \S+ \(go\S+, \w+/\w+\)\n$`).MatchString(out.String()) {
		t.Errorf("printed %q", &out)
	}
	if code := execute(t.Context(), []string{"starling", "version", "please"}, &out, &errOut); code != exitUsage {
		t.Errorf("exit code %d for an argument, want %d", code, exitUsage)
	}
	if want := `starling: unexpected argument "please"`; !strings.Contains(errOut.String(), want) {
		t.Errorf("told %q, want %q", &errOut, want)
	}
}

// The linker says nothing when the variable that it is to write does not exist.
func TestMakefileStampsTheVersion(t *testing.T) {
	b, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if want := "-X main.stamped=$(VERSION)"; !strings.Contains(string(b), want) {
		t.Errorf("the Makefile does not link with %q", want)
	}
}
