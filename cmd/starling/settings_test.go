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
		s, err := newSettings([]lease.Pool{{Name: "flag", Ranges: []string{"198.19.0.0/24"}}}, file, zerolog.New(&log))
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
		}{
			{"good edit", func() { write(twoPools) }, []string{"flag", "lab", "more"}, "", true},
			{"nothing", func() {}, []string{"flag", "lab", "more"}, "", false},
			{"bad edit", func() { write("pools: 7\n") }, []string{"flag", "lab", "more"}, "not in force", true},
			{"still bad", func() {}, []string{"flag", "lab", "more"}, "not in force", false},
			{"truncated", func() { write("") }, []string{"flag", "lab", "more"}, `no key "pools"`, true},
			{"gone", func() { os.Remove(file) }, []string{"flag", "lab", "more"}, "no such file", true},
			{"back", func() { write(onePool) }, []string{"flag", "lab"}, "", true},
			{"overlap with a flag", func() { write("pools: [{name: x, ranges: [198.19.0.7/32]}]\n") }, []string{"flag", "lab"}, "overlap", true},
			{"mended", func() { write(onePool) }, []string{"flag", "lab"}, "", true},
		} {
			step.do()
			wait(t, reread+1)
			if diff := cmp.Diff(step.pools, poolNames(s.Pools())); diff != "" {
				t.Errorf("%s: pools (-want +got):\n%s", step.name, diff)
			}
			if p := strings.Join(s.Problems(), "\n"); (p == "") != (step.problem == "") || !strings.Contains(p, step.problem) {
				t.Errorf("%s: problem %q, want %q", step.name, p, step.problem)
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
