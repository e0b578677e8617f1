package starling_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var (
	usesLine = regexp.MustCompile(`uses: *(\S+)(.*)`)
	pinned   = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	version  = regexp.MustCompile(`^ # v\d+\.\d+\.\d+$`)
	ruleLine = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

// TestWorkflows: an action is named by its commit, with the version beside it and the same
// everywhere, since a tag can be moved. A workflow writes nothing unless one of its jobs says that
// it may, and what it makes is a target of the Makefile.
func TestWorkflows(t *testing.T) {
	rules, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range ruleLine.FindAllStringSubmatch(string(rules), -1) {
		targets = append(targets, m[1])
	}
	names, _ := filepath.Glob(".github/workflows/*.yml")
	if len(names) < 4 {
		t.Fatalf("%d workflows", len(names))
	}
	uses, made := map[string]string{}, 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var w struct {
			Permissions map[string]string `json:"permissions"`
			Jobs        map[string]struct {
				Strategy struct {
					Matrix struct {
						Target []string `json:"target"`
					} `json:"matrix"`
				} `json:"strategy"`
				Steps []struct {
					Run string `json:"run"`
				} `json:"steps"`
			} `json:"jobs"`
		}
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions are %v for all jobs, want contents: read", name, w.Permissions)
		}
		for _, m := range usesLine.FindAllStringSubmatch(string(text), -1) {
			action, _, _ := strings.Cut(m[1], "@")
			if !pinned.MatchString(m[1]) || !version.MatchString(m[2]) {
				t.Errorf("%s: %q is no commit with its version", name, m[0])
			}
			if before, known := uses[action]; known && before != m[0] {
				t.Errorf("%s: %q, and elsewhere %q", name, m[0], before)
			}
			uses[action] = m[0]
		}
		for _, job := range w.Jobs {
			makes := job.Strategy.Matrix.Target
			for _, step := range job.Steps {
				if rest, is := strings.CutPrefix(step.Run, "make "); is && !strings.HasPrefix(rest, "${{") {
					makes = append(makes, rest)
				}
			}
			for _, words := range makes {
				target, _, _ := strings.Cut(words, " ")
				made++
				if !slices.Contains(targets, target) {
					t.Errorf("%s: the Makefile has no target %q", name, target)
				}
			}
		}
	}
	if len(uses) < 3 || made < 9 {
		t.Errorf("%d actions and %d targets were looked at", len(uses), made)
	}
}
