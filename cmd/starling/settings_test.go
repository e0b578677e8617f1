package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/lease"
)

const (
	onePool  = "pools:\n- name: lab\n  ranges: [198.18.0.1-198.18.0.9]\n"
	twoPools = onePool + "- name: more\n  ranges: [198.18.1.0/24]\n"
)

func poolNames(p *lease.Pools) []string {
	var r []string
	for _, i := range p.List() {
		r = append(r, i.Name)
	}
	return r
}

// TestReload is a story: a good file, a good edit, a bad edit that changes
// nothing but is told, the file gone, and the file back.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "starling.yaml")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(onePool)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, err := newSettings([]lease.Pool{{Name: "flag", Ranges: []string{"198.19.0.0/24"}}}, file, "", zerolog.New(&log))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		for _, step := range []struct {
			name    string
			do      func()
			pools   []string
			problem string // part of it
			changed bool
			failed  float64 // changes until now
		}{
			{"good edit", func() { write(twoPools) }, []string{"flag", "lab", "more"}, "", true, 0},
			{"nothing", func() {}, []string{"flag", "lab", "more"}, "", false, 0},
			{"bad edit", func() { write("pools: 7\n") }, []string{"flag", "lab", "more"}, "not in force", true, 1},
			{"still bad", func() {}, []string{"flag", "lab", "more"}, "not in force", false, 1},
			{"truncated", func() { write("") }, []string{"flag", "lab", "more"}, `no key "pools"`, true, 2},
			{"gone", func() { os.Remove(file) }, []string{"flag", "lab", "more"}, "no such file", true, 3},
			{"back", func() { write(onePool) }, []string{"flag", "lab"}, "", true, 3},
			{"overlap with a flag", func() { write("pools: [{name: x, ranges: [198.19.0.7/32]}]\n") }, []string{"flag", "lab"}, "overlap", true, 4},
			{"mended", func() { write(onePool) }, []string{"flag", "lab"}, "", true, 4},
		} {
			step.do()
			wait(t, reread+1)
			if diff := cmp.Diff(step.pools, poolNames(s.Pools())); diff != "" {
				t.Errorf("%s: pools (-want +got):\n%s", step.name, diff)
			}
			if p := strings.Join(s.Problems(), "\n"); (p == "") != (step.problem == "") || !strings.Contains(p, step.problem) {
				t.Errorf("%s: problem %q, want %q", step.name, p, step.problem)
			}
			if got := testutil.ToFloat64(s.failures); got != step.failed {
				t.Errorf("%s: %v failures counted, want %v", step.name, got, step.failed)
			}
			if got := successful(t, s); got != (step.problem == "") {
				t.Errorf("%s: successful %t", step.name, got)
			}
			changed := false
			select {
			case <-s.Changed():
				changed = true
			default:
			}
			if changed != step.changed {
				t.Errorf("%s: changed %v, want %v", step.name, changed, step.changed)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "kept as it was"); n != 4 {
			t.Errorf("%d warnings, want one for each of 4 mistakes:\n%s", n, log.String())
		}
	})
}

// successful is the gauge that says so.
func successful(t *testing.T, s *settings) bool {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s.collectors()...)
	for value, ok := range map[string]bool{"1": true, "0": false} {
		want := "# HELP starling_config_last_reload_successful 1 if the configuration file is in force, 0 if it has mistakes and an earlier one is.\n" +
			"# TYPE starling_config_last_reload_successful gauge\nstarling_config_last_reload_successful " + value + "\n"
		if testutil.GatherAndCompare(r, strings.NewReader(want), "starling_config_last_reload_successful") == nil {
			return ok
		}
	}
	t.Fatal("the gauge is missing")
	return false
}

// TestStartWithABadFile: a node that restarts while the file has a mistake goes on with what was in force.
func TestStartWithABadFile(t *testing.T) {
	none := func(*testing.T, string) {}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, file string)
		also  func(t *testing.T, stored string) // done to the copy
		flags []lease.Pool
		pools []string // nil: the start is refused
		told  string
	}{
		{"mistake", writes("pools: 7\n"), none, nil, []string{"lab", "more"}, "not in force"},
		{"file gone", removes, none, nil, []string{"lab", "more"}, "no such file"},
		{"no mistake", writes(onePool), none, nil, []string{"lab"}, ""},
		{"copy gone", writes("pools: 7\n"), removes, nil, nil, "pools"},
		{"copy damaged", writes("pools: 7\n"), writes("pools: ["), nil, nil, "pools"},
		{"flags that do not go with the copy", writes("pools: 7\n"), none, []lease.Pool{{Name: "lab", Ranges: []string{"198.19.0.0/24"}}}, nil, "pools"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, state := filepath.Join(t.TempDir(), "starling.yaml"), filepath.Join(t.TempDir(), "state")
			writes(twoPools)(t, file)
			if _, err := newSettings(nil, file, state, zerolog.Nop()); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, file)
			tt.also(t, filepath.Join(state, configCopyName))
			s, err := newSettings(tt.flags, file, state, zerolog.Nop())
			if tt.pools == nil {
				if err == nil || !strings.Contains(err.Error(), tt.told) {
					t.Errorf("error %v, want one about %q", err, tt.told)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.pools, poolNames(s.Pools())); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
			if p := strings.Join(s.Problems(), "\n"); (p == "") != (tt.told == "") || !strings.Contains(p, tt.told) {
				t.Errorf("problem %q, want %q", p, tt.told)
			}
		})
	}
}

func writes(content string) func(*testing.T, string) {
	return func(t *testing.T, file string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func removes(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
