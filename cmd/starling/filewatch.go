package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

// maxLinks is how many symbolic links may lead to a file, as for the kernel.
const maxLinks = 40

// watchFile tells one reader by inotify that a file may have changed, until ctx ends. It looks at
// every name that leads to the file: kubelet changes the ConfigMap of a volume by swapping a
// symbolic link, and editors put a new file in place of the old one. An error is logged and leaves
// the channel silent.
func watchFile(ctx context.Context, file string, log zerolog.Logger) <-chan struct{} {
	changed := make(chan struct{}, 1)
	w, err := fsnotify.NewWatcher()
	if err == nil {
		file, err = filepath.Abs(file)
	}
	if err != nil {
		log.Warn().Err(err).Str("file", file).Msg("cannot watch the file; reading it every two seconds")
		return changed
	}
	go func() {
		defer w.Close()
		followFile(ctx, w, file, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	return changed
}

func followFile(ctx context.Context, w *fsnotify.Watcher, file string, changed func()) {
	for {
		names := namesTo(file)
		watchFolders(w, names)
		if !slices.Equal(names, namesTo(file)) {
			continue // something came before the watch of its folder
		}
		changed() // if only for what came before that
		if !wakes(ctx, w, names) {
			return
		}
	}
}

// namesTo lists the names in the file system that lead to a file: of each symbolic link on the way,
// and of the file itself, or of the first one that does not exist.
func namesTo(file string) []string {
	var names []string
	at, rest := "/", parts(file)
	for links := 0; len(rest) > 0; {
		name := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(name)
		switch {
		case err != nil:
			return append(names, name)
		case info.Mode()&fs.ModeSymlink != 0:
			names = append(names, name)
			target, err := os.Readlink(name)
			if links++; err != nil || links > maxLinks {
				return names
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(parts(target), rest...)
		case len(rest) == 0:
			names = append(names, name)
		default:
			at = name
		}
	}
	return names
}

func parts(path string) []string {
	return slices.DeleteFunc(strings.Split(filepath.Clean(path), "/"), func(s string) bool { return s == "" || s == "." })
}

// watchFolders watches the folders of the names, and no others. What cannot be watched is looked at
// with the next change of a folder above.
func watchFolders(w *fsnotify.Watcher, names []string) {
	var want []string
	for _, name := range names {
		want = append(want, filepath.Dir(name))
	}
	for _, old := range w.WatchList() {
		if !slices.Contains(want, old) {
			_ = w.Remove(old)
		}
	}
	for _, dir := range want {
		_ = w.Add(dir)
	}
}

// wakes waits for something that happens to one of the names, and reports whether ctx lasts.
func wakes(ctx context.Context, w *fsnotify.Watcher, names []string) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case e, open := <-w.Events:
			if !open {
				return false
			}
			if e.Op != fsnotify.Chmod && slices.Contains(names, e.Name) {
				return true
			}
		case err, open := <-w.Errors:
			if !open {
				return false
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				return true
			}
		}
	}
}
