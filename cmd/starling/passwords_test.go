package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/lease"
)

// TestPasswords: they are read beside the loop and again and again; one that cannot be read any
// more stays in force.
func TestPasswords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var secrets sync.Map
		secrets.Store("good", "word")
		secrets.Store("long", strings.Repeat("x", 81))
		var woken atomic.Int32
		p := newPasswords(func(_ context.Context, name string) (string, error) {
			if text, ok := secrets.Load(name); ok {
				return text.(string), nil
			}
			return "", errors.New("no such Secret")
		}, func() { woken.Add(1) }, passwordCopy{})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = p.Run(ctx) }()
		b := &lease.BGP{Routers: []lease.Router{{Name: "a", PasswordFile: file}, {Name: "b", PasswordSecret: "good"}, {Name: "c", PasswordSecret: "bad"}, {Name: "d"}, {Name: "e", PasswordSecret: "long"}}}
		is := func(when string, want map[string]string, wrong ...string) {
			t.Helper()
			synctest.Wait()
			got, conditions := p.of(b)
			var words []string
			for _, c := range conditions {
				words = append(words, c.Words)
			}
			if diff := cmp.Diff(want, got) + cmp.Diff(wrong, words); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		if got, _ := p.of(b); len(got) > 0 {
			t.Errorf("%v before anything was read", got)
		}
		const bad, long = "the password for router c cannot be read: no such Secret", "the password for router e cannot be read: it has 81 bytes, and the kernel takes 80"
		is("read", map[string]string{"a": "first", "b": "word"}, bad, long)
		if got := woken.Load(); got != 4 {
			t.Errorf("woken %d times, want once for each", got)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		secrets.Store("bad", "better")
		time.Sleep(passwordsEvery)
		is("later", map[string]string{"a": "first", "b": "word", "c": "better"}, "the password for router a cannot be read: open "+file+": no such file or directory", long)
	})
}

// TestPasswordMoves: a router whose password is somewhere else now keeps the one before until that
// is read, and one that needs none any more keeps none.
func TestPasswordMoves(t *testing.T) {
	secrets := map[string]string{"old": "word"}
	p := newPasswords(func(_ context.Context, name string) (string, error) {
		if text, ok := secrets[name]; ok {
			return text, nil
		}
		return "", errors.New("no such Secret")
	}, func() {}, passwordCopy{})
	is := func(when, secret, want string, wrong int) {
		t.Helper()
		got, conditions := p.of(&lease.BGP{Routers: []lease.Router{{Name: "tor1", PasswordSecret: secret}}})
		if got["tor1"] != want || len(conditions) != wrong {
			t.Errorf("%s: %q and %d conditions, want %q and %d", when, got["tor1"], len(conditions), want, wrong)
		}
		p.readAll(t.Context())
	}
	is("at first", "old", "", 0)
	is("read", "old", "word", 0)
	is("moved", "new", "word", 0)
	is("moved, and not there", "new", "word", 1)
	secrets["new"] = "other"
	is("moved, and not there yet", "new", "word", 1)
	is("moved, and read", "new", "other", 0)
	is("no password", "", "", 0)
	is("moved to where nothing is", "newer", "", 0)
}

// TestPasswordCopy: a speaker that starts while no Secret can be read has the passwords that an
// earlier process of the same cluster read from Secrets.
func TestPasswordCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &lease.BGP{Routers: []lease.Router{{Name: "tor1", PasswordSecret: "bgp-tor1"}, {Name: "tor2", PasswordFile: file}}}
	begin := func(cluster string, secret func(context.Context, string) (string, error)) *passwords {
		return newPasswords(secret, func() {}, passwordCopy{dir: dir, cluster: cluster, log: zerolog.Nop()})
	}
	away := func(context.Context, string) (string, error) { return "", errors.New("connection refused") }
	first := begin("one", func(context.Context, string) (string, error) { return "word", nil })
	first.save() // nobody asked yet
	first.of(b)
	first.readAll(t.Context())
	first.of(b)
	first.save()
	if info, err := os.Stat(filepath.Join(dir, passwordCopyName)); err != nil || info.Mode() != 0o600 {
		t.Fatalf("the copy: %v, %v", info, err)
	}
	for cluster, want := range map[string]map[string]string{"one": {"tor1": "word"}, "another": {}} {
		later := begin(cluster, away)
		later.save()
		got, _ := later.of(b)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in cluster %s (-want +got):\n%s", cluster, diff)
		}
		later.readAll(t.Context())
		if got, wrong := later.of(b); got["tor1"] != want["tor1"] || len(wrong) != 1 {
			t.Errorf("in cluster %s: %v and %d conditions after the API server was asked", cluster, got, len(wrong))
		}
	}
}
