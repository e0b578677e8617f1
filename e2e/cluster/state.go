package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/starling-lb/starling/e2e/netspace"
)

// keepMark is a file in the state folder of a cluster that shall outlive its program.
const keepMark = "keep"

// takeLock locks the state folder until the calling program ends.
func takeLock(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return file, nil
}

// Down removes the cluster and everything it made. Clusters made with Keep are left alone until
// Sweep.
func (c *Cluster) Down(ctx context.Context) error {
	defer c.lock.Close()
	return remove(ctx, c.ID, c.Dir, c.spaces())
}

// Release ends our hold on a kept cluster without touching it.
func (c *Cluster) Release() { c.lock.Close() }

// Sweep removes clusters whose program is gone and which were not meant to be kept; with kept set,
// those too. It returns their state folders.
func Sweep(ctx context.Context, kept bool) (removed []string, err error) {
	ids, err := leftovers()
	if err != nil {
		return nil, err
	}
	return sweepIDs(ctx, ids, kept)
}

func sweepIDs(ctx context.Context, ids []string, kept bool) (removed []string, err error) {
	var errs []error
	for _, id := range ids {
		dir := filepath.Join(os.TempDir(), prefix+id)
		if _, err := os.Stat(filepath.Join(dir, keepMark)); err == nil && !kept {
			continue
		}
		if done, err := sweepOne(ctx, id, dir); err != nil {
			errs = append(errs, err)
		} else if done {
			removed = append(removed, dir)
		}
	}
	return removed, errors.Join(errs...)
}

// leftovers returns the IDs that still have a state folder or a namespace.
func leftovers() ([]string, error) {
	seen := map[string]bool{}
	var ids []string
	note := func(id string) {
		if !seen[id] {
			ids, seen[id] = append(ids, id), true
		}
	}
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "lock")); err == nil {
			note(strings.TrimPrefix(filepath.Base(dir), prefix))
		}
	}
	names, err := netspace.Names(prefix)
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, prefix), "-")
		note(id)
	}
	return ids, err
}

// sweepOne removes one cluster unless the program that made it still lives.
func sweepOne(ctx context.Context, id, dir string) (bool, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	lock, err := takeLock(dir)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	names, err := netspace.Names(prefix + id + "-")
	if err != nil {
		return false, err
	}
	var spaces []*netspace.Space
	for _, name := range names {
		space, err := netspace.Open(name)
		if err != nil {
			return false, err
		}
		spaces = append(spaces, space)
	}
	return true, remove(ctx, id, dir, spaces)
}

// remove kills what runs in the spaces, then removes spaces, control groups and the state folder.
// The kernel takes mounts and links along with the namespaces that they are in.
func remove(ctx context.Context, id, dir string, spaces []*netspace.Space) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	work := make([]func() error, len(spaces))
	for i, space := range spaces {
		work[i] = func() error { return space.Remove(ctx) }
	}
	err := inParallel(work...)
	return errors.Join(err, removeCgroups(ctx, prefix+id+"-nodes"), os.RemoveAll(dir))
}

// removeCgroups removes the control groups of that name, in whichever hierarchies the machine has.
func removeCgroups(ctx context.Context, name string) error {
	const root = "/sys/fs/cgroup"
	found, err := filepath.Glob(filepath.Join(root, "*", name))
	if err != nil {
		return err
	}
	var errs []error
	for _, top := range append(found, filepath.Join(root, name)) {
		errs = append(errs, Until(ctx, 10*time.Second, "remove control groups", func(context.Context) error { return rmdirAll(top) }))
	}
	return errors.Join(errs...)
}

// rmdirAll removes a tree of folders, deepest first; the files in control groups are not files to
// remove.
func rmdirAll(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		if err := syscall.Rmdir(dir); err != nil && err != syscall.ENOENT {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	return nil
}
