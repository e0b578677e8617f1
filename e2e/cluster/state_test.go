package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUntil(t *testing.T) {
	wrong := errors.New("wrong")
	tests := []struct {
		name  string
		ok    func(call int) error
		want  string // "" for success.
		after time.Duration
	}{
		{"at once", func(int) error { return nil }, "", 0},
		{"at the third time", func(call int) error {
			if call < 3 {
				return wrong
			}
			return nil
		}, "", 50 * time.Millisecond},
		{"never", func(int) error { return wrong }, "thing: not within 1s: wrong", time.Second},
		{"it cannot become better", func(int) error { return Final(wrong) }, "thing: wrong", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, calls := time.Now(), 0
				err := Until(t.Context(), time.Second, "thing", func(context.Context) error { calls++; return tt.ok(calls) })
				if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
					t.Errorf("error %q, want %q", got, tt.want)
				}
				if got := time.Since(begun); got != tt.after {
					t.Errorf("took %v, want %v", got, tt.after)
				}
			})
		})
	}
}

// TestUntilKeepsTheBetterAnswer: the last call is cut short by the deadline and has nothing to say.
func TestUntilKeepsTheBetterAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := Until(t.Context(), time.Second, "thing", func(ctx context.Context) error {
			if calls++; calls == 1 {
				return errors.New("2 of 3 are ready")
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if diff := cmp.Diff("thing: not within 1s: 2 of 3 are ready", fmt.Sprint(err)); diff != "" {
			t.Error("(-want +got)", diff)
		}
	})
}

func TestInParallel(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	meet := make(chan struct{})
	err := inParallel(
		func() error { close(meet); return first },
		func() error { <-meet; return second },
		func() error { return nil },
	)
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("%v does not contain both errors", err)
	}
}

func TestTail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("a\nb\nc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[int]string{2: "b\nc", 9: "a\nb\nc"} {
		if got := tail(file, lines); got != want {
			t.Errorf("last %d lines: %q", lines, got)
		}
	}
	if got := tail(file+"-none", 3); got != "" {
		t.Errorf("without file: %q", got)
	}
}

func TestRmdirAll(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	if err := rmdirAll(top); err != nil {
		t.Errorf("without folder: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(top, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := rmdirAll(top); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(top); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	if err := os.MkdirAll(filepath.Join(from, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "a", "log"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/shadow", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(to, "a", "log")); err != nil || string(b) != "text" {
		t.Errorf("copy: %q, %v", b, err)
	}
	if _, err := os.Lstat(filepath.Join(to, "link")); !os.IsNotExist(err) {
		t.Errorf("a link was followed: %v", err)
	}
	if err := copyTree(from+"-none", to); err != nil {
		t.Errorf("without folder: %v", err)
	}
}

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	path := "/no/such/folder:" + dir
	for name, want := range map[string]string{"program": filepath.Join(dir, "program"), "/a/b": "/a/b", "text": "", "none": ""} {
		got, err := lookPath(name, path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestSweep finds a crashed cluster by its folder; one whose program lives is not swept.
func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder := func(id string, keep bool) string {
		dir := filepath.Join(os.TempDir(), prefix+id)
		if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if keep {
			if err := os.WriteFile(filepath.Join(dir, keepMark), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	crashed, kept, alive := folder("zzz01", false), folder("zzz02", true), folder("zzz03", false)
	lock, err := takeLock(alive)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for _, step := range []struct {
		kept      bool
		ids, want []string
	}{
		{false, []string{"zzz01", "zzz02", "zzz03"}, []string{crashed}},
		{true, []string{"zzz02", "zzz03"}, []string{kept}},
	} {
		removed, err := sweepIDs(t.Context(), step.ids, step.kept)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, removed); diff != "" {
			t.Errorf("kept %v (-want +got) %s", step.kept, diff)
		}
	}
	if _, err := os.Stat(alive); err != nil {
		t.Errorf("a living cluster was swept: %v", err)
	}
	if _, err := os.Stat(crashed); !os.IsNotExist(err) {
		t.Errorf("a crashed cluster is still there: %v", err)
	}
	ids, err := leftovers()
	if err != nil || !strings.Contains(strings.Join(ids, " "), "zzz03") {
		t.Errorf("leftovers: %v, %v", ids, err)
	}
}

func TestPrepareRefusesHiddenFolders(t *testing.T) {
	t.Setenv("TMPDIR", "/var/lib/somewhere")
	if _, err := prepare(Options{}); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("error %v does not say what to do", err)
	}
}

func TestIdentityOfNothing(t *testing.T) {
	identity, err := Identify("none0")
	if err != nil {
		t.Fatal(err)
	}
	if traces, err := identity.Traces(); err != nil || len(traces) > 0 {
		t.Errorf("traces of a cluster that never was: %v, %v", traces, err)
	}
}

func TestTracesSeesWhatIsThere(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	identity := Identity{ID: "none1"}
	if err := os.Mkdir(filepath.Join(os.TempDir(), prefix+"none1"), 0o755); err != nil {
		t.Fatal(err)
	}
	traces, err := identity.Traces()
	if diff := cmp.Diff([]string{"folder " + filepath.Join(os.TempDir(), prefix+"none1")}, traces); err != nil || diff != "" {
		t.Errorf("(-want +got) %s, %v", diff, err)
	}
}
