package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
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

func flagPool() []lease.Pool { return []lease.Pool{{Name: "flag", Ranges: []string{"198.19.0.0/24"}}} }

// TestReload is a story: a good file, a good edit, a bad edit that changes
// nothing but is reported, the file gone, and the file back.
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
		s, err := newSettings(config{pools: flagPool(), configFile: file}, zerolog.New(&log))
		if err != nil {
			t.Fatal(err)
		}
		s.notice = func(context.Context) <-chan struct{} { return nil } // file systems know no virtual time
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
			{"two mistakes, of two kinds", func() { write("pools:\n- range: []\n- {name: two, ranges: [198.18.64.300]}\n") }, []string{"flag", "lab", "more"}, "line 3", true, 2},
			{"truncated", func() { write("") }, []string{"flag", "lab", "more"}, `no key "pools"`, true, 3},
			{"gone", func() { os.Remove(file) }, []string{"flag", "lab", "more"}, "no such file", true, 4},
			{"back", func() { write(onePool) }, []string{"flag", "lab"}, "", true, 4},
			{"overlap with a flag", func() { write("pools: [{name: x, ranges: [198.19.0.7/32]}]\n") }, []string{"flag", "lab"}, "overlap", true, 5},
			{"mended", func() { write(onePool) }, []string{"flag", "lab"}, "", true, 5},
		} {
			step.do()
			wait(t, reread+steady+1)
			if diff := cmp.Diff(step.pools, poolNames(s.Pools())); diff != "" {
				t.Errorf("%s: pools (-want +got):\n%s", step.name, diff)
			}
			if p := words(s.Conditions()); (p == "") != (step.problem == "") || !strings.Contains(p, step.problem) {
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
		if n := strings.Count(log.String(), "invalid configuration ignored"); n != 5 {
			t.Errorf("%d warnings, want one for each of 5 edits:\n%s", n, log.String())
		}
	})
}

// successful is the gauge that says so.
func successful(t *testing.T, s *settings) bool {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s.collectors()...)
	for value, ok := range map[string]bool{"1": true, "0": false} {
		want := "# HELP starling_config_last_reload_successful 1 if the configuration is in force, 0 if it has mistakes or is missing.\n" +
			"# TYPE starling_config_last_reload_successful gauge\nstarling_config_last_reload_successful " + value + "\n"
		if testutil.GatherAndCompare(r, strings.NewReader(want), "starling_config_last_reload_successful") == nil {
			return ok
		}
	}
	t.Fatal("the gauge is missing")
	return false
}

// TestStartWithABadFile: a node that restarts while the file has a mistake goes on with what was in
// force.
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
			if _, err := newSettings(config{configFile: file, stateDir: state}, zerolog.Nop()); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, file)
			tt.also(t, filepath.Join(state, configCopyName))
			s, err := newSettings(config{pools: tt.flags, configFile: file, stateDir: state}, zerolog.Nop())
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
			if p := words(s.Conditions()); (p == "") != (tt.told == "") || !strings.Contains(p, tt.told) {
				t.Errorf("problem %q, want %q", p, tt.told)
			}
		})
	}
}

// TestFileIsNoticed: an edit of the file is in force within 0.3 s, by notice of the file system.
func TestFileIsNoticed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "starling.yaml")
	writes(onePool)(t, file)
	s, err := newSettings(config{configFile: file}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	fastest := time.Hour
	for range 3 { // a busy machine may be slow once
		for _, content := range []string{twoPools, onePool} {
			begin := time.Now()
			writes(content)(t, file)
			select {
			case <-s.Changed():
			case <-time.After(10 * time.Second):
				t.Fatal("the edit was not noticed")
			}
			fastest = min(fastest, time.Since(begin))
			if got, want := len(s.Pools().List()), strings.Count(content, "name"); got != want {
				t.Errorf("%d pools, want %d", got, want)
			}
		}
	}
	if fastest > 300*time.Millisecond {
		t.Errorf("an edit is in force after %s", fastest)
	}
}

// object is a ConfigMap that holds a configuration.
func object(text string) watcher.ConfigText {
	return watcher.ConfigText{Known: true, Found: true, Text: text}
}

// TestObject is the story of a ConfigMap: it does not exist yet, is made, edited well and badly,
// deleted, and made again.
func TestObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, err := newSettings(config{configMap: "starling", namespace: "ns"}, zerolog.New(&log))
		if err != nil {
			t.Fatal(err)
		}
		if s.Pools() != nil {
			t.Error("there are pools before anybody has looked")
		}
		var now atomic.Pointer[watcher.ConfigText]
		now.Store(&watcher.ConfigText{Known: true})
		changed := make(chan struct{}, 1)
		if err := s.begin("c1", func() (watcher.ConfigText, error) { return *now.Load(), nil }); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.follow(ctx, func() watcher.ConfigText { return *now.Load() }, changed) }()
		for _, step := range []struct {
			name    string
			now     watcher.ConfigText
			pools   []string
			known   bool
			code    health.Code // "" none
			problem string      // part of it
			failed  float64     // changes until now
		}{
			{"not there", watcher.ConfigText{Known: true}, nil, false, health.ConfigMissing, "ConfigMap ns/starling does not exist, so there are no pools", 1},
			{"made", object(onePool), []string{"lab"}, true, "", "", 1},
			{"edited", object(twoPools), []string{"lab", "more"}, true, "", "", 1},
			{"badly", object("pools:\n- range: []\n- {name: two, ranges: [198.18.64.300]}\n"), []string{"lab", "more"}, true, health.ConfigRejected, "not in force: ConfigMap ns/starling: line 2: pools[0]: unknown key \"range\"", 2},
			{"still badly", object("pools:\n- range: []\n- {name: two, ranges: [198.18.64.300]}\n"), []string{"lab", "more"}, true, health.ConfigRejected, "; ConfigMap ns/starling: line 3: pool \"two\"", 2},
			{"unknown, as after a restart of the watch", watcher.ConfigText{}, []string{"lab", "more"}, true, health.ConfigRejected, "line 3", 2},
			{"mended", object(onePool), []string{"lab"}, true, "", "", 2},
			{"no entry", watcher.ConfigText{Known: true, Found: true, Wrong: "it has no entry starling.yaml"}, []string{"lab"}, true, health.ConfigRejected, "ConfigMap ns/starling: it has no entry starling.yaml", 3},
			{"deleted", watcher.ConfigText{Known: true}, []string{"lab"}, true, health.ConfigMissing, "ConfigMap ns/starling does not exist any more; its last pools stay in force", 4},
			{"made again, the same", object(onePool), []string{"lab"}, true, "", "", 4},
			{"emptied", object("pools: []\n"), nil, true, "", "", 4},
		} {
			now.Store(&step.now)
			changed <- struct{}{}
			synctest.Wait()
			if diff := cmp.Diff(step.pools, poolNames(s.Pools())); diff != "" || s.Known() != step.known {
				t.Errorf("%s: known %t, pools (-want +got):\n%s", step.name, s.Known(), diff)
			}
			var code health.Code
			var words string
			for _, c := range s.Conditions() {
				code, words = c.Code, c.Words
			}
			if code != step.code || !strings.Contains(words, step.problem) {
				t.Errorf("%s: condition %s: %s, want %s: %s", step.name, code, words, step.code, step.problem)
			}
			if got := testutil.ToFloat64(s.failures); got != step.failed {
				t.Errorf("%s: %v failures counted, want %v", step.name, got, step.failed)
			}
			if got := successful(t, s); got != (step.code == "") {
				t.Errorf("%s: successful %t", step.name, got)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), `"level":"warn"`); n != 4 {
			t.Errorf("%d warnings, want one for each of 4 mistakes:\n%s", n, log.String())
		}
	})
}

// TestStartWithAnObject: what a speaker starts with, by what the API server says and what the copy
// holds.
func TestStartWithAnObject(t *testing.T) {
	const good = "# ConfigMap ns/starling of cluster c1\n" + twoPools
	away := errors.New("no API server")
	missing := watcher.ConfigText{Known: true}
	for _, tt := range []struct {
		name  string
		copy  string // "" none
		is    watcher.ConfigText
		err   error
		flags []lease.Pool
		pools []string
		known bool
		told  string // by a condition, or by the error if there are no pools
	}{
		{"nothing to remember", "", object(onePool), nil, nil, []string{"lab"}, true, ""},
		{"the ConfigMap, not the copy", good, object(onePool), nil, nil, []string{"lab"}, true, ""},
		{"no API server", good, watcher.ConfigText{}, away, nil, []string{"lab", "more"}, true, ""},
		{"no API server, no copy", "", watcher.ConfigText{}, away, nil, nil, false, "no API server"},
		{"no API server, the copy of another cluster", strings.Replace(good, "c1", "c2", 1), watcher.ConfigText{}, away, nil, nil, false, "no API server"},
		{"no API server, the copy of a file", twoPools, watcher.ConfigText{}, away, nil, nil, false, "no API server"},
		{"mistakes", good, object("pools: 7\n"), nil, nil, []string{"lab", "more"}, true, "not in force"},
		{"mistakes, no copy", "", object("pools: 7\n"), nil, nil, nil, false, "ConfigMap ns/starling: line 1: pools: want a list"},
		{"deleted", good, missing, nil, nil, []string{"lab", "more"}, true, "any more"},
		{"never there", "", missing, nil, nil, nil, false, "does not exist, so there are no pools"},
		{"never there, pools by flags", "", missing, nil, flagPool(), []string{"flag"}, false, "no pools but those of --pool"},
		{"flags that do not go with the copy", good, watcher.ConfigText{}, away, []lease.Pool{{Name: "lab", Ranges: []string{"198.19.0.0/24"}}}, nil, false, "no API server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := t.TempDir()
			if tt.copy != "" {
				writes(tt.copy)(t, filepath.Join(state, configCopyName))
			}
			s, err := newSettings(config{pools: tt.flags, configMap: "starling", namespace: "ns", stateDir: state}, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			err = s.begin("c1", func() (watcher.ConfigText, error) { return tt.is, tt.err })
			told := words(s.Conditions())
			if s.Pools() == nil {
				if tt.pools != nil || err == nil || !strings.Contains(err.Error(), tt.told) {
					t.Errorf("no pools: %v, want %q", err, tt.told)
				}
				return
			}
			if err != nil || (told == "") != (tt.told == "") || !strings.Contains(told, tt.told) {
				t.Errorf("condition %q, error %v, want %q", told, err, tt.told)
			}
			if diff := cmp.Diff(tt.pools, poolNames(s.Pools())); diff != "" || s.Known() != tt.known {
				t.Errorf("known %t, pools (-want +got):\n%s", s.Known(), diff)
			}
		})
	}
}

// TestBadFlags are refused at once, also where the ConfigMap is not known yet.
func TestBadFlags(t *testing.T) {
	_, err := newSettings(config{pools: []lease.Pool{{Name: "x", Ranges: []string{"y"}}}, configMap: "starling"}, zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), `pool "x": range "y"`) {
		t.Errorf("error %v", err)
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

// words are those of conditions, one a line.
func words(all []health.Condition) string {
	var lines []string
	for _, c := range all {
		lines = append(lines, c.Words)
	}
	return strings.Join(lines, "\n")
}
