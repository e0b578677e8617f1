package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// TestWatchFile goes through the ways in which files change.
func TestWatchFile(t *testing.T) {
	do := func(t *testing.T, errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, text string) error { return os.WriteFile(name, []byte(text), 0o600) }
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (file string)
		change  func(t *testing.T, dir string)
		want    string
	}{
		{
			"written in place",
			func(t *testing.T, dir string) string { do(t, write(dir+"/f", "old")); return dir + "/f" },
			func(t *testing.T, dir string) { do(t, write(dir+"/f", "new")) }, "new",
		},
		{
			"replaced, as editors do",
			func(t *testing.T, dir string) string { do(t, write(dir+"/f", "old")); return dir + "/f" },
			func(t *testing.T, dir string) { do(t, write(dir+"/f~", "new"), os.Rename(dir+"/f~", dir+"/f")) }, "new",
		},
		{
			"made, with its folders",
			func(_ *testing.T, dir string) string { return dir + "/a/b/f" },
			func(t *testing.T, dir string) { do(t, os.MkdirAll(dir+"/a/b", 0o700), write(dir+"/a/b/f", "new")) }, "new",
		},
		{
			"a volume of kubelet",
			func(t *testing.T, dir string) string {
				do(t, os.Mkdir(dir+"/..1", 0o700), write(dir+"/..1/f", "old"), os.Symlink("..1", dir+"/..data"), os.Symlink("..data/f", dir+"/f"))
				return dir + "/f"
			},
			func(t *testing.T, dir string) {
				do(t, os.Mkdir(dir+"/..2", 0o700), write(dir+"/..2/f", "new"), os.Symlink("..2", dir+"/..data_tmp"),
					os.Rename(dir+"/..data_tmp", dir+"/..data"), os.RemoveAll(dir+"/..1"))
			}, "new",
		},
		{
			"behind a link elsewhere",
			func(t *testing.T, dir string) string {
				do(t, os.Mkdir(dir+"/there", 0o700), write(dir+"/there/f", "old"), os.Mkdir(dir+"/here", 0o700), os.Symlink(dir+"/there/f", dir+"/here/f"))
				return dir + "/here/f"
			},
			func(t *testing.T, dir string) { do(t, write(dir+"/there/f", "new")) }, "new",
		},
		{
			"a folder above is a link that is swapped",
			func(t *testing.T, dir string) string {
				do(t, os.Mkdir(dir+"/1", 0o700), os.Mkdir(dir+"/2", 0o700), write(dir+"/1/f", "old"), write(dir+"/2/f", "new"), os.Symlink("1", dir+"/current"))
				return dir + "/current/f"
			},
			func(t *testing.T, dir string) {
				do(t, os.Symlink("2", dir+"/next"), os.Rename(dir+"/next", dir+"/current"))
			}, "new",
		},
		{
			"removed and made again",
			func(t *testing.T, dir string) string { do(t, write(dir+"/f", "old")); return dir + "/f" },
			func(t *testing.T, dir string) { do(t, os.Remove(dir+"/f"), write(dir+"/f", "new")) }, "new",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			file := tt.prepare(t, dir)
			changed := watchFile(t.Context(), file, zerolog.Nop())
			await := func(what string) {
				t.Helper()
				select {
				case <-changed:
				case <-time.After(10 * time.Second):
					t.Fatalf("%s was not noticed", what)
				}
			}
			await("the beginning")
			begin := time.Now()
			tt.change(t, dir)
			for text := ""; text != tt.want; {
				await("the change")
				text = contentOf(file)
			}
			t.Logf("noticed after %s", time.Since(begin))
		})
	}
}

func contentOf(file string) string {
	text, _ := os.ReadFile(file)
	return string(text)
}

// TestNamesTo: a loop of links ends.
func TestNamesTo(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b", dir+"/a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", dir+"/b"); err != nil {
		t.Fatal(err)
	}
	if got := namesTo(dir + "/a"); len(got) != maxLinks+1 {
		t.Errorf("%d names", len(got))
	}
	if err := os.Mkdir(dir+"/real", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{dir + "/link", dir + "/real/f"}, namesTo(dir+"/link/./f")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
