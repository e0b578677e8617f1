package main

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/mesh"
)

// fakeProc is a kernel that has been up for so long.
func fakeProc(t *testing.T, dir, boot, uptime string) {
	t.Helper()
	for name, text := range map[string]string{"sys/kernel/random/boot_id": boot + "\n", "uptime": uptime + " 1.00\n"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func someMembers() []mesh.Member {
	return []mesh.Member{
		{Name: "n1", Addr: netip.MustParseAddrPort("192.0.2.1:7927"), Epoch: 1 << 40, Meta: mesh.Meta{
			Ready: true, Proxy: true, Deputy: true, Grace: time.Minute, Config: 1<<64 - 1,
			Segments: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, MACs: []string{"02:00:00:00:00:01"}, Mute: []uint32{7},
		}},
		{Name: "n2", Meta: mesh.Meta{Ready: true, Returning: true, NoProxy: true, Grace: 10 * time.Second, MACs: []string{"02:00:00:00:00:02"}}},
	}
}

// TestMemberFileCountsForTheGrace of each member, while the kernel is up, and whatever the wall
// clock says.
func TestMemberFileCountsForTheGrace(t *testing.T) {
	for _, tt := range []struct {
		name, boot, uptime string
		want               []string
	}{
		{"at once", "a", "1000.00", []string{"n1", "n2"}},
		{"a little later", "a", "1009.99", []string{"n1", "n2"}},
		{"after the shorter grace", "a", "1010.00", []string{"n1"}},
		{"after both", "a", "1060.00", nil},
		{"much later", "a", "9999999.99", nil},
		{"after another boot, as long after that", "b", "1000.00", nil},
		{"earlier", "a", "999.99", nil},
		{"a kernel that does not say", "a", "soon", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newMemberFile(filepath.Join(t.TempDir(), "state"), zerolog.Nop())
			f.proc = t.TempDir()
			fakeProc(t, f.proc, "a", "1000.00")
			f.remember(someMembers())
			f.save(0)
			fakeProc(t, f.proc, tt.boot, tt.uptime)
			got := newMemberFile(f.dir, zerolog.Nop())
			got.proc = f.proc
			var names []string
			for i, m := range got.read() {
				names = append(names, m.Name)
				if diff := cmp.Diff(someMembers()[i], m, cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})); diff != "" {
					t.Errorf("%s (-want +got):\n%s", m.Name, diff)
				}
			}
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMemberFileThatCannotBeRead(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "cut off": `{"boot":"a","uptime":1000000000000,"members":[{"Na`, "another thing": `[]`, "of a later release": `{"boot":"a","since":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newMemberFile(t.TempDir(), zerolog.Nop())
			f.proc = t.TempDir()
			fakeProc(t, f.proc, "a", "1000.00")
			if err := os.WriteFile(f.path(), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := f.read(); len(got) > 0 {
				t.Errorf("read %+v", got)
			}
		})
	}
}

// TestMemberFileIsWritten soon after a change, now and then without one, and at the end; a process
// that was never ready leaves it alone, and one that is so no more removes it.
func TestMemberFileIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMemberFile(t.TempDir(), zerolog.Nop())
		f.proc = t.TempDir()
		fakeProc(t, f.proc, "a", "1.00")
		if err := os.WriteFile(f.path(), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		shows := func(when, want string) {
			t.Helper()
			synctest.Wait()
			text, err := os.ReadFile(f.path())
			if want == "" && !errors.Is(err, fs.ErrNotExist) || !strings.Contains(string(text), want) {
				t.Errorf("%s: %q, %v, want %q", when, text, err, want)
			}
		}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.run(30 * time.Second)(ctx) }()
		time.Sleep(time.Minute)
		shows("never ready", "old")
		f.remember(someMembers())
		time.Sleep(saveMembers)
		shows("after a change", `"uptime":1000000000,`)
		fakeProc(t, f.proc, "a", "2.00")
		time.Sleep(25 * time.Second)
		shows("too soon", `"uptime":1000000000,`)
		time.Sleep(10 * time.Second)
		shows("now and then", `"uptime":2000000000,`)
		fakeProc(t, f.proc, "a", "3.00")
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		shows("at the end", `"uptime":3000000000,`)
		f.remember(nil)
		f.save(time.Hour)
		shows("not ready any more", "")
	})
}

func TestMemberFileWithoutFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	f := newMemberFile("", zerolog.Nop())
	f.remember(someMembers())
	f.save(0)
	if got := f.read(); len(got) > 0 {
		t.Errorf("read %+v", got)
	}
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Errorf("left %v, %v", files, err)
	}
}
