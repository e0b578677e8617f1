package starling

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
)

const (
	// clockFile holds how many seconds the clock of a speaker of WithClock is ahead: 8 bytes, in
	// the machine's order.
	clockFile = "/var/lib/starling/clock"

	// clockRead is what Now of package time begins with, and clockSet what it begins with in
	// WithClock.
	clockRead = "sec, nsec, mono := runtimeNow()\n"
	clockSet  = clockRead + "\tsec += clockAhead()\n"

	// clockSource is a further file of package time.
	clockSource = `package time

import (
	"syscall"
	"unsafe"
)

var clock *int64

func init() {
	fd, err := syscall.Open("` + clockFile + `", syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	defer syscall.Close(fd)
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	clock = (*int64)(unsafe.Pointer(&b[0]))
}

func clockAhead() int64 {
	if clock == nil {
		return 0
	}
	return *clock
}
`
)

// WithClock builds program and image of this tree into dir with a clock of their own, which
// JumpClock sets. Time namespaces do not change the time of day. All but Now of package time is
// compiled from the same source.
func (p *Product) WithClock(ctx context.Context, dir string) (*Product, error) {
	if os.Getenv("STARLING_BINARY") != "" || os.Getenv("STARLING_IMAGE") != "" {
		return nil, errors.New("STARLING_BINARY and STARLING_IMAGE name what is built already, and has no clock of its own: unset them")
	}
	overlay, err := p.clockOverlay(ctx, dir)
	if err != nil {
		return nil, err
	}
	clocked := &Product{Binary: filepath.Join(dir, "starling-clock"), Archive: filepath.Join(dir, "starling-clock.tar"), root: p.root}
	if err := clocked.goTool(ctx, "build", "-overlay", overlay, "-ldflags", "-s -w", "-o", clocked.Binary, "./cmd/starling"); err != nil {
		return nil, err
	}
	return clocked, clocked.pack(ctx)
}

// clockOverlay writes what replaces files of package time, and returns the file that says so.
func (p *Product) clockOverlay(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Dir, cmd.Env = p.root, build.Environment()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	of := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(of, "time.go"))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), clockRead); n != 1 {
		return "", fmt.Errorf("%s reads the clock at %d places and not at one: this Go is another one than WithClock knows", filepath.Join(of, "time.go"), n)
	}
	changed, added, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "clock.go"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(of, "time.go"):  changed,
		filepath.Join(of, "clock.go"): added,
	}})
	return overlay, errors.Join(err,
		os.WriteFile(changed, []byte(strings.Replace(string(source), clockRead, clockSet, 1)), 0o600),
		os.WriteFile(added, []byte(clockSource), 0o600),
		os.WriteFile(overlay, text, 0o600))
}

// HasClock checks that the clock of every speaker follows JumpClock.
func HasClock(ctx context.Context, c *cluster.Cluster) error {
	for _, n := range c.Nodes {
		for _, ahead := range []time.Duration{time.Hour, -time.Hour, 0} {
			if err := JumpClock(ctx, n, ahead); err != nil {
				return err
			}
			header, _, err := fetch(ctx, c, n, "/api/v1/status")
			if err != nil {
				return err
			}
			says, err := http.ParseTime(header.Get("Date"))
			if err != nil {
				return fmt.Errorf("speaker of %s: %w", n.Name, err)
			}
			if off := time.Until(says) - ahead; off.Abs() > time.Minute {
				return fmt.Errorf("the clock of the speaker of %s should be ahead by %v and is by %v", n.Name, ahead, off+ahead)
			}
		}
	}
	return nil
}

// JumpClock sets by how much the clock of a node's speaker is ahead; negative: behind. A speaker
// does not start without: call it with 0 before Install.
func JumpClock(ctx context.Context, n *cluster.Node, ahead time.Duration) error {
	var octal strings.Builder
	for _, b := range binary.NativeEndian.AppendUint64(nil, uint64(ahead/time.Second)) {
		fmt.Fprintf(&octal, `\%03o`, b)
	}
	script := fmt.Sprintf(`mkdir -p %s && printf '%s' | dd of=%s conv=notrunc status=none`, filepath.Dir(clockFile), octal.String(), clockFile)
	if out, err := n.Run(ctx, "sh", "-c", script); err != nil {
		return fmt.Errorf("clock of %s: %w: %s", n.Name, err, out)
	}
	return nil
}
