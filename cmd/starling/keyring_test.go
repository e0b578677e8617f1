package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

func keyText(numbers ...byte) string { return string(mesh.FormatKeys(testKeys(numbers...))) }

func testKeys(numbers ...byte) (keys [][]byte) {
	for _, n := range numbers {
		keys = append(keys, bytes.Repeat([]byte{n}, 32))
	}
	return keys
}

// ringTest is a keyring at work with what it told the mesh last.
type ringTest struct {
	*keyring
	following
	log bytes.Buffer

	mu   sync.Mutex // guards all following fields
	set  [][]byte
	told bool
	fail error // of the mesh
}

func newRingTest(t *testing.T, cfg config) *ringTest {
	t.Helper()
	r := &ringTest{}
	k, err := newKeyring(cfg, zerolog.New(&r.log))
	if err != nil {
		t.Fatal(err)
	}
	r.keyring, k.wake = k, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = true
	}
	r.following = following{cluster: "c1", set: func(keys [][]byte) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fail == nil {
			r.set = keys
		}
		return r.fail
	}}
	return r
}

func (r *ringTest) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *ringTest) holds(t *testing.T, step string, want [][]byte, problem string, told bool) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(mesh.Fingerprints(want), mesh.Fingerprints(r.inForce())); diff != "" {
		t.Errorf("%s: keys in force (-want +got):\n%s", step, diff)
	}
	if r.set != nil && !slices.EqualFunc(r.set, r.inForce(), bytes.Equal) {
		t.Errorf("%s: the mesh has other keys than are in force", step)
	}
	if p := words(r.Conditions()); (p == "") != (problem == "") || !strings.Contains(p, problem) {
		t.Errorf("%s: problem %q, want %q", step, p, problem)
	}
	if r.told != told {
		t.Errorf("%s: told %v, want %v", step, r.told, told)
	}
	r.told = false
}

// TestKeyFileIsFollowed is a story: an edit, mistakes that change nothing and
// are reported, the file gone and back.
func TestKeyFileIsFollowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(keyText(1))
	synctest.Test(t, func(t *testing.T) {
		r := newRingTest(t, config{keyFile: file, namespace: "ns"})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.follow(ctx, r.following) }()
		for _, step := range []struct {
			name    string
			do      func()
			want    [][]byte
			problem string
			told    bool
			failed  float64
		}{
			{"nothing", func() {}, testKeys(1), "", false, 0},
			{"one more", func() { write(keyText(1, 2)) }, testKeys(1, 2), "", false, 0},
			{"the order", func() { write("# swapped\n" + keyText(2, 1)) }, testKeys(2, 1), "", false, 0},
			{"a bad line", func() { write(keyText(2) + "hunter2\n") }, testKeys(2, 1), "not followed: " + file + ": gossip key, line 2: is not base64", true, 1},
			{"still bad", func() {}, testKeys(2, 1), "line 2", false, 1},
			{"empty", func() { write("") }, testKeys(2, 1), "no key found", true, 2},
			{"gone", func() { os.Remove(file) }, testKeys(2, 1), "no such file", true, 3},
			{"back as it was", func() { write(keyText(2, 1)) }, testKeys(2, 1), "", true, 3},
			{"the mesh refuses", func() { r.refuse(errors.New("no")); write(keyText(2)) }, testKeys(2, 1), "not followed: no", true, 4},
			{"and is asked again", func() { r.refuse(nil) }, testKeys(2), "", true, 4},
		} {
			step.do()
			wait(t, reread+1)
			r.holds(t, step.name, step.want, step.problem, step.told)
			if got := testutil.ToFloat64(r.failures); got != step.failed {
				t.Errorf("%s: %v failures counted, want %v", step.name, got, step.failed)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if text := r.log.String(); strings.Contains(text, "hunter2") || strings.Contains(text, strings.TrimSpace(keyText(2))) {
			t.Errorf("the log tells a key:\n%s", text)
		}
	})
}

// TestSecretIsFollowed: at once, and the copy in the state folder follows.
func TestSecretIsFollowed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRingTest(t, config{stateDir: dir, namespace: "ns"})
		first := func(func() ([]byte, error)) ([]byte, error) { return []byte(keyText(1)), nil }
		if _, err := r.begin("c1", first); err != nil {
			t.Fatal(err)
		}
		changed := make(chan struct{})
		var secret watcher.SecretText
		r.following.secret, r.changed = func() watcher.SecretText { return secret }, changed
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.follow(ctx, r.following) }()
		synctest.Wait()
		for _, step := range []struct {
			name    string
			secret  watcher.SecretText
			want    [][]byte
			problem string
			told    bool
		}{
			{"the API server is away", watcher.SecretText{}, testKeys(1), "", false},
			{"the first list", watcher.SecretText{Known: true, Found: true, Text: keyText(1)}, testKeys(1), "", false},
			{"one more", watcher.SecretText{Known: true, Found: true, Text: keyText(1, 2)}, testKeys(1, 2), "", false},
			{"a bad edit", watcher.SecretText{Known: true, Found: true, Text: keyText(1) + "x"}, testKeys(1, 2), "Secret ns/starling-gossip: gossip key, line 2", true},
			{"deleted", watcher.SecretText{Known: true}, testKeys(1, 2), "Secret ns/starling-gossip is missing", true},
			{"made anew", watcher.SecretText{Known: true, Found: true, Text: keyText(2)}, testKeys(2), "", true},
		} {
			secret = step.secret
			changed <- struct{}{}
			synctest.Wait()
			r.holds(t, step.name, step.want, step.problem, step.told)
			if diff := cmp.Diff(step.want, r.copied.read("c1")); diff != "" {
				t.Errorf("%s: the copy (-want +got):\n%s", step.name, diff)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestKeysToBeginWith(t *testing.T) {
	gone := errors.New("no API server")
	for _, tt := range []struct {
		name   string
		copied string // in the state folder
		fetch  func(func() ([]byte, error)) ([]byte, error)
		want   [][]byte
		err    string
	}{
		{"the Secret", "", func(func() ([]byte, error)) ([]byte, error) { return []byte(keyText(1)), nil }, testKeys(1), ""},
		{
			"the Secret rather than the copy", keyCopyHeader + "c1\n" + keyText(2),
			func(func() ([]byte, error)) ([]byte, error) { return []byte(keyText(1)), nil },
			testKeys(1), "",
		},
		{"no API server and no copy", "", func(func() ([]byte, error)) ([]byte, error) { return nil, gone }, nil, "no API server"},
		{"no API server", keyCopyHeader + "c1\n" + keyText(2, 3), func(func() ([]byte, error)) ([]byte, error) { return nil, gone }, testKeys(2, 3), ""},
		{"a copy of another cluster", keyCopyHeader + "c2\n" + keyText(2), func(func() ([]byte, error)) ([]byte, error) { return nil, gone }, nil, "no API server"},
		{"a broken copy", keyCopyHeader + "c1\nhalf", func(func() ([]byte, error)) ([]byte, error) { return nil, gone }, nil, "no API server"},
		{
			"a bad edit of the Secret", keyCopyHeader + "c1\n" + keyText(2),
			func(func() ([]byte, error)) ([]byte, error) { return []byte("x"), nil },
			testKeys(2), "",
		},
		{
			"a bad edit and no copy", "", func(func() ([]byte, error)) ([]byte, error) { return []byte("x"), nil },
			nil, "Secret ns/starling-gossip: gossip key, line 1: is not base64",
		},
		{"a missing Secret is made from the copy", keyCopyHeader + "c1\n" + keyText(4), func(generate func() ([]byte, error)) ([]byte, error) { return generate() }, testKeys(4), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRingTest(t, config{stateDir: filepath.Join(t.TempDir(), "state"), namespace: "ns"})
			if tt.copied != "" {
				if err := errors.Join(os.Mkdir(r.copied.dir, 0o700), os.WriteFile(r.copied.path(), []byte(tt.copied), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := r.begin("c1", tt.fetch)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err == nil {
				if diff := cmp.Diff(tt.want, r.copied.read("c1")); diff != "" {
					t.Errorf("the copy (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestFirstKey: the very first speaker makes one.
func TestFirstKey(t *testing.T) {
	r := newRingTest(t, config{namespace: "ns"})
	keys, err := r.begin("c1", func(generate func() ([]byte, error)) ([]byte, error) { return generate() })
	if err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if got := r.copied.read("c1"); got != nil {
		t.Error("a copy without a state folder")
	}
}

// TestKeyCopy: nobody but the owner may read it, and it is replaced as a whole.
func TestKeyCopy(t *testing.T) {
	var log bytes.Buffer
	c := keyCopy{dir: filepath.Join(t.TempDir(), "a", "b"), log: zerolog.New(&log)}
	for _, keys := range [][][]byte{testKeys(1), testKeys(2, 1)} {
		c.write("c1", keys)
		if diff := cmp.Diff(keys, c.read("c1")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		info, err := os.Stat(c.path())
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("mode %v, want 0600", info.Mode())
		}
	}
	before, err := os.Stat(c.path())
	if err != nil {
		t.Fatal(err)
	}
	c.write("c1", testKeys(2, 1))
	if after, err := os.Stat(c.path()); err != nil || !os.SameFile(before, after) {
		t.Errorf("written again although nothing has changed: %v", err)
	}
	left, err := os.ReadDir(c.dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files in the folder, %v", len(left), err)
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
	nowhere := keyCopy{dir: c.path(), log: zerolog.New(&log)} // a file is no folder
	nowhere.write("c1", testKeys(1))
	if !strings.Contains(log.String(), "cannot save the copy of the gossip keys") || nowhere.read("c1") != nil {
		t.Errorf("a folder that cannot be made: logged %q", &log)
	}
}
