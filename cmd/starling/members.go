package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/mesh"
)

// membersName is the file in --state-dir that says which members were ready when this process last
// looked. When all speakers restart at once, that is how each knows which nodes are away.
const membersName = "members.json"

// memberFile keeps that file. What it says counts for the grace of a member, by the clock of the
// kernel since it booted: the wall clock may be wrong or set, and after a reboot nothing is as it
// was.
type memberFile struct {
	dir  string // "" for none
	proc string // of the kernel
	log  zerolog.Logger

	mu      sync.Mutex // guards all following fields, and writing
	members []mesh.Member
	known   bool // this process was ready; until then the file stays as the one before left it
	changed bool
	saved   time.Time // the last attempt to write
	failing bool      // and whether it failed
}

// saveMembers is how soon after a change the file is written.
const saveMembers = 5 * time.Second

// savedMembers is the content of the file.
type savedMembers struct {
	Boot    string        `json:"boot"`   // of the kernel, which has another one each time
	Uptime  time.Duration `json:"uptime"` // of the kernel when this was so
	Members []mesh.Member `json:"members"`
}

func newMemberFile(dir string, log zerolog.Logger) *memberFile {
	return &memberFile{dir: dir, proc: "/proc", log: log}
}

func (f *memberFile) path() string { return filepath.Join(f.dir, membersName) }

// read returns the members that may still be taken for absent. A file that cannot be read, or is of
// before the kernel booted, has none.
func (f *memberFile) read() (members []mesh.Member) {
	if f.dir == "" {
		return nil
	}
	text, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var s savedMembers
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	boot, uptime, kernel := f.now()
	if err = errors.Join(err, kernel); err != nil {
		f.log.Warn().Err(fmt.Errorf("read %s: %w", f.path(), err)).Msg("cannot read who the members were")
		return nil
	}
	age := uptime - s.Uptime
	for _, m := range s.Members {
		if s.Boot == boot && age >= 0 && age < m.Meta.Grace {
			members = append(members, m)
		}
	}
	return members
}

// now is the identity of the kernel since it booted, and for how long it has been up.
func (f *memberFile) now() (boot string, up time.Duration, err error) {
	id, err := os.ReadFile(filepath.Join(f.proc, "sys/kernel/random/boot_id"))
	if err != nil {
		return "", 0, err
	}
	text, err := os.ReadFile(filepath.Join(f.proc, "uptime"))
	if err != nil {
		return "", 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return "", 0, fmt.Errorf("uptime: %w", err)
	}
	return strings.TrimSpace(string(id)), time.Duration(seconds * float64(time.Second)), nil
}

// remember replaces what the file is to say. The loop does not wait for a disk: it is written by
// run.
func (f *memberFile) remember(members []mesh.Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members, f.known, f.changed = members, true, true
}

// run writes the file after changes, and every so often, until ctx ends, and then once more.
func (f *memberFile) run(every time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(saveMembers)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				f.save(0)
				return nil
			case <-tick.C:
				f.save(every)
			}
		}
	}
}

// save writes the file after a change, or if it is that old. Without members there is none. An
// error is logged once: the disk may be full for days.
func (f *memberFile) save(every time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == "" || !f.known || !f.changed && time.Since(f.saved) < every {
		return
	}
	err := f.replace()
	if err != nil && !f.failing {
		f.log.Warn().Err(err).Msg("cannot save who the members are")
	}
	f.changed, f.saved, f.failing = false, time.Now(), err != nil
}

func (f *memberFile) replace() error {
	if len(f.members) == 0 {
		if err := os.Remove(f.path()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	boot, uptime, err := f.now()
	if err != nil {
		return err
	}
	text, err := json.Marshal(savedMembers{Boot: boot, Uptime: uptime, Members: f.members})
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	return replaceFile(f.path(), append(text, '\n'))
}
