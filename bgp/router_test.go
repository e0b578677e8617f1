package bgp

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return out
}

func equal(a, b []string) bool { return slices.Equal(a, b) }

// router is a BGP router of somebody else.
type router interface {
	// start runs the router in a host with the configuration that docs/bgp.md shows, in which the
	// edits are made: pairs of what is to be replaced, and by what.
	start(t testing.TB, h *host, edits ...string)
	// ask is what a command of its shell prints.
	ask(words ...string) string
	// show is what it knows of a prefix; preference and communities are how it writes some of that.
	show(prefix string) string
	preference(n int) string
	communities() []string
	// sends reports whether it sends node 1 a prefix, stands whether its session with node 1
	// stands, and bfdCount how many sessions of BFD are up.
	sends(prefix string) bool
	stands() bool
	bfdCount() int
}

// routers are tried by name.
func routersToTry() map[string]func() router {
	return map[string]func() router{"bird": func() router { return &bird{} }, "frr": func() router { return &frr{} }}
}

// eachRouter runs a test beside every kind of router.
func eachRouter(t *testing.T, f func(t *testing.T, n *network, r router)) {
	for name, make := range routersToTry() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, newNetwork(t), make())
		})
	}
}

// here are the networks of these tests, in place of those that docs/bgp.md has.
var here = strings.NewReplacer("198.18.0.254", routerIPv4, "198.18.0.0/16", "192.0.2.0/24", "2001:db8:20::/64", "2001:db8:1::/64")

// configured writes a file of docs/bgp.md with edits into a folder.
func configured(t testing.TB, name, dir string, edits []string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../e2e/routers", name))
	if err != nil {
		t.Fatal(err)
	}
	text := here.Replace(string(b))
	for pair := range slices.Chunk(edits, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("%s lacks %q, which the test replaces", name, pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// program finds a program, whose absence is a failure in CI.
func program(t testing.TB, path, pkg string) string {
	t.Helper()
	found, err := exec.LookPath(path)
	if err == nil {
		return found
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v", path, err)
	}
	t.Skipf("needs the Debian package %s: scripts/deps", pkg)
	return ""
}

// bird is BIRD 2.
type bird struct {
	socket string
}

func (b *bird) start(t testing.TB, h *host, edits ...string) {
	t.Helper()
	dir := t.TempDir()
	b.socket = filepath.Join(dir, "s")
	path := configured(t, "bird.conf", dir, edits)
	h.spawn(program(t, "/usr/sbin/bird", "bird2"), "-f", "-c", path, "-s", b.socket, "-P", filepath.Join(dir, "pid"))
	await(t, "BIRD", func() bool { return strings.Contains(b.ask("show", "status"), "Daemon is up and running") })
}

func (b *bird) ask(words ...string) string {
	out, _ := exec.Command("/usr/sbin/birdc", append([]string{"-s", b.socket}, words...)...).CombinedOutput()
	return string(out)
}

// frr is FRR: three daemons, each with a socket in one folder.
type frr struct {
	dir string
}

func (f *frr) start(t testing.TB, h *host, edits ...string) {
	t.Helper()
	f.dir = t.TempDir()
	path := configured(t, "frr.conf", f.dir, edits)
	own(t, f.dir, "frr")
	for _, name := range []string{"zebra", "bgpd", "bfdd"} {
		args := []string{"-f", filepath.Join(f.dir, name+".empty"), "-i", filepath.Join(f.dir, name+".pid"), "-z", filepath.Join(f.dir, "zserv"), "--vty_socket", f.dir, "-P", "0", "--log", "file:" + filepath.Join(f.dir, name+".log")}
		if name == "bfdd" {
			args = append(args, "--bfdctl", filepath.Join(f.dir, "bfdctl"))
		}
		h.Must("empty configuration", os.WriteFile(filepath.Join(f.dir, name+".empty"), nil, 0o644))
		h.spawn(program(t, "/usr/lib/frr/"+name, "frr"), args...)
		await(t, name, func() bool { return f.vtysh("-d", name, "-c", "show version") == nil })
	}
	if out, err := exec.Command("/usr/bin/vtysh", "--vty_socket", f.dir, "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("configure FRR: %v\n%s", err, out)
	}
}

// own gives a folder to a user, under whose name a daemon runs.
func own(t testing.TB, dir, name string) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Skipf("needs the Debian package frr: %v", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
}

func (f *frr) vtysh(args ...string) error {
	return exec.Command("/usr/bin/vtysh", append([]string{"--vty_socket", f.dir}, args...)...).Run()
}

func (f *frr) ask(words ...string) string {
	out, _ := exec.Command("/usr/bin/vtysh", "--vty_socket", f.dir, "-c", strings.Join(words, " ")).CombinedOutput()
	return string(out)
}

// await polls, for what tells nobody when it changes.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	late := time.Now().Add(wait)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		if time.Now().After(late) {
			t.Fatalf("no %s in %v", what, wait)
		}
		<-tick.C
	}
}

func (b *bird) show(prefix string) string { return b.ask("show", "route", "all", prefix) }
func (*bird) preference(n int) string     { return "BGP.local_pref: " + strconv.Itoa(n) }
func (*bird) communities() []string {
	return []string{"(64513,100) (65535,65281)", "(64513, 1, 2)", "(64513,200)"}
}

func (b *bird) sends(prefix string) bool {
	return strings.Contains(b.ask("show", "route", "export", "dynbgp1"), prefix)
}

func (f *frr) show(prefix string) string {
	family := "ipv4"
	if strings.Contains(prefix, ":") {
		family = "ipv6"
	}
	return f.ask("show bgp", family, "unicast", prefix)
}
func (*frr) preference(n int) string { return "localpref " + strconv.Itoa(n) }
func (*frr) communities() []string {
	return []string{"64513:100 no-export", "Large Community: 64513:1:2", "64513:200"}
}

func (f *frr) sends(prefix string) bool {
	return strings.Contains(f.ask("show bgp ipv4 unicast neighbors 192.0.2.11 advertised-routes"), prefix)
}

func (b *bird) stands() bool {
	return strings.Contains(b.ask("show", "protocols"), "Established")
}

func (f *frr) stands() bool {
	return strings.Contains(f.ask("show bgp neighbors 192.0.2.11"), "BGP state = Established")
}

func (b *bird) bfdCount() int { return strings.Count(b.ask("show", "bfd", "sessions"), " Up ") }
func (f *frr) bfdCount() int  { return strings.Count(f.ask("show bfd peers"), "Status: up") }
