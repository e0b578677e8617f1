package starling_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/starling-lb/starling"

// rooms are the top folders with what each may import of the others. Data flows one way, so every
// room but the loop can be understood, and tested, alone. A folder inside of a room belongs to it.
var rooms = map[string][]string{
	".":          {},
	"api":        {"health"},
	"cmd":        {"api", "arpd", "bgp", "claims", "doctor", "health", "lease", "mesh", "metallb", "nft", "owner", "peers", "proxy", "rotate", "routes", "speaker", "status", "wake", "watcher"},
	"speaker":    {"api", "arpd", "claims", "elect", "flows", "forward", "health", "lease", "liveness", "mesh", "owner", "peers", "probe", "proxy", "report", "routes", "tentative", "wake", "watcher"},
	"elect":      {"lease", "mesh", "owner", "probe", "wake", "watcher"},
	"routes":     {"lease", "mesh", "owner", "wake"},
	"bgp":        {"routes"},
	"tentative":  {"claims", "lease", "mesh", "probe", "wake"},
	"liveness":   {"forward", "mesh", "peers", "probe", "wake"},
	"status":     {"api", "doctor", "health"},
	"doctor":     {"api", "lease", "health"},
	"report":     {"api", "arpd", "elect", "health", "lease", "mesh", "owner", "peers", "proxy", "routes", "wake", "watcher"},
	"health":     {},
	"owner":      {"health"},
	"lease":      {"health"},
	"mesh":       {"health", "peers", "probe"}, // the messages
	"arpd":       {"claims", "forward", "health", "probe", "wake"},
	"forward":    {"owner", "wake"},
	"peers":      {"owner", "probe", "wake"},
	"claims":     {"owner", "probe", "wake"},
	"flows":      {"probe", "wake"},
	"nft":        {"flows"},
	"probe":      {"wake"},
	"wake":       {},
	"transcript": {}, // for tests
	"lantest":    {}, // for tests
	"proxy":      {"health"},
	"metallb":    {"lease"},
	"rotate":     {},
	"watcher":    {"health", "lease"},
	"manifests":  {},
	"scripts":    {"manifests"},
}

// inner are folders of a room that see less of this module than their room does.
var inner = map[string][]string{
	"arpd/announce": {},
	"arpd/netif":    {"arpd/packet"},
	"arpd/packet":   {},
}

// borders are the libraries that belong to a room, or a folder of one: nobody else sees their
// types.
var borders = []struct {
	what  string
	rooms []string
}{
	{"k8s.io/", []string{"watcher", "cmd"}},
	{"github.com/hashicorp/memberlist", []string{"mesh"}},
	{"github.com/mdlayher/", []string{"arpd", "nft"}},
	{"github.com/vishvananda/", []string{"arpd/netif", "lantest"}},
	{"github.com/google/nftables", []string{"nft"}},
	{"github.com/urfave/cli/", []string{"cmd"}},
	{"github.com/osrg/gobgp/", []string{"bgp"}},
}

// pure rooms, and folders of others, do no input or output and log nothing, and their answers
// depend on no chance. That they read no clock is for the linter to hold: they need package time
// for its types.
var pure = []string{"api", "arpd/announce", "arpd/packet", "claims", "elect", "flows", "forward", "health", "owner", "lease", "metallb", "peers", "probe", "report", "rotate", "routes", "tentative", "wake"}

// impure are packages, or with a slash at the end everything below.
var impure = []string{
	"bufio", "context", "crypto/rand", "hash/maphash", "log", "log/", "math/rand", "math/rand/",
	"net", "net/http", "net/http/", "os", "os/", "runtime", "runtime/", "sync", "sync/", "syscall", "unsafe",
	"github.com/prometheus/", "github.com/rs/", "golang.org/x/net/", "golang.org/x/sys/",
}

// harmless are packages below impure ones that do no input or output themselves.
var harmless = []string{"golang.org/x/net/bpf"}

// graph is what each package imports, without its tests.
type graph map[string][]string

func TestImports(t *testing.T) {
	t.Parallel()
	for _, v := range violations(load(t)) {
		t.Error(v)
	}
}

// violations are the imports that break a rule, one a line.
func violations(g graph) []string {
	var out []string
	for pkg, imports := range g {
		if _, known := rooms[roomOf(pkg)]; !known {
			out = append(out, fmt.Sprintf("%s is in no known room: say in imports_test.go what it may import", short(pkg)))
			continue
		}
		for _, i := range imports {
			if why := objection(pkg, i); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", short(pkg), short(i), why))
			}
		}
	}
	slices.Sort(out)
	return out
}

// objection is why a package may not import the path, "" if it may.
func objection(pkg, path string) string {
	room := roomOf(pkg)
	if path == module || strings.HasPrefix(path, module+"/") {
		if sees, ok := inner[short(pkg)]; ok && !slices.Contains(sees, short(path)) {
			return short(pkg) + " sees only libraries and " + strings.Join(append([]string{"itself"}, sees...), ", ")
		}
		return siblingObjection(room, path)
	}
	for _, b := range borders {
		if within(path, b.what) && !slices.Contains(b.rooms, room) && !slices.Contains(b.rooms, short(pkg)) {
			return "only " + strings.Join(b.rooms, " and ") + " may see it"
		}
	}
	if within := func(p string) bool { return within(path, p) }; isPure(pkg) && slices.ContainsFunc(impure, within) && !slices.Contains(harmless, path) {
		return short(pkg) + " is pure: no input or output, no chance, no log"
	}
	return ""
}

func siblingObjection(room, path string) string {
	target := roomOf(path)
	switch {
	case strings.HasSuffix(path, "test"):
		return "it is for tests"
	case target == room || slices.Contains(rooms[room], target):
		return ""
	case len(rooms[room]) == 0:
		return room + " sees no sibling"
	}
	return room + " sees only " + strings.Join(rooms[room], ", ")
}

// isPure reports whether a package is one of the pure rooms, or a part of one.
func isPure(pkg string) bool {
	return slices.ContainsFunc(pure, func(p string) bool { return short(pkg) == p || within(short(pkg), p+"/") })
}

// within reports whether path is what, or below it when that ends in a slash.
func within(path, what string) bool {
	return path == what || strings.HasSuffix(what, "/") && strings.HasPrefix(path, what)
}

// roomOf is the top folder of a package of this module, "." for the module itself.
func roomOf(pkg string) string {
	room, _, _ := strings.Cut(short(pkg), "/")
	return room
}

func short(pkg string) string {
	if pkg == module {
		return "."
	}
	return strings.TrimPrefix(pkg, module+"/")
}

// load asks go list for the packages of this module.
func load(t *testing.T) graph {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Module", "./...")
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &words)
	}
	g := graph{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
			Module     *struct{ Main bool }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && p.Module.Main {
			g[p.ImportPath] = p.Imports
		}
	}
	found := map[string]bool{}
	for pkg := range g {
		found[roomOf(pkg)] = true
	}
	for room := range rooms {
		if !found[room] {
			t.Errorf("no package in room %q: the rules guard nothing there", room)
		}
	}
	return g
}

// A rule that catches nothing would look just like a rule that is kept.
func TestViolations(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		pkg     string
		imports []string
		want    []string
	}{
		{"what is allowed", "speaker", []string{"time", "sync", module + "/owner", module + "/mesh"}, nil},
		{"inside of a room", "status", []string{module + "/status/text", module + "/api"}, nil},
		{"a pure room's tools", "lease", []string{"fmt", "net/netip", "time", "sigs.k8s.io/yaml"}, nil},
		{"the command sees all", "cmd/starling", []string{module + "/arpd", module + "/status/text", "github.com/urfave/cli/v2"}, nil},
		{"a sibling", "owner", []string{module + "/mesh"}, []string{"owner imports mesh: owner sees only health"}},
		{"against the flow", "watcher", []string{module + "/speaker"}, []string{"watcher imports speaker: watcher sees only health, lease"}},
		{"around the snapshot", "status/text", []string{module + "/lease"}, []string{"status/text imports lease: status sees only api, doctor, health"}},
		{
			"Kubernetes in the loop", "speaker",
			[]string{"k8s.io/api/core/v1", "k8s.io/client-go/kubernetes"},
			[]string{
				"speaker imports k8s.io/api/core/v1: only watcher and cmd may see it",
				"speaker imports k8s.io/client-go/kubernetes: only watcher and cmd may see it",
			},
		},
		{"gossip", "speaker", []string{"github.com/hashicorp/memberlist"}, []string{"speaker imports github.com/hashicorp/memberlist: only mesh may see it"}},
		{"the wire", "mesh", []string{"github.com/mdlayher/ndp"}, []string{"mesh imports github.com/mdlayher/ndp: only arpd and nft may see it"}},
		{"netlink", "arpd", []string{"github.com/vishvananda/netlink"}, []string{"arpd imports github.com/vishvananda/netlink: only arpd/netif and lantest may see it"}},
		{"a folder's own", "arpd/netif", []string{"github.com/vishvananda/netlink", module + "/arpd/packet"}, nil},
		{"a folder that sees less than its room", "arpd/netif", []string{module + "/claims"}, []string{"arpd/netif imports claims: arpd/netif sees only libraries and itself, arpd/packet"}},
		{"a folder that sees nothing", "arpd/packet", []string{module + "/wake"}, []string{"arpd/packet imports wake: arpd/packet sees only libraries and itself"}},
		{"flags", "status", []string{"github.com/urfave/cli/v2"}, []string{"status imports github.com/urfave/cli/v2: only cmd may see it"}},
		{
			"purity", "owner",
			[]string{"log/slog", "math/rand/v2", "net", "net/http", "os", "github.com/rs/zerolog"},
			[]string{
				"owner imports github.com/rs/zerolog: owner is pure: no input or output, no chance, no log",
				"owner imports log/slog: owner is pure: no input or output, no chance, no log",
				"owner imports math/rand/v2: owner is pure: no input or output, no chance, no log",
				"owner imports net/http: owner is pure: no input or output, no chance, no log",
				"owner imports net: owner is pure: no input or output, no chance, no log",
				"owner imports os: owner is pure: no input or output, no chance, no log",
			},
		},
		{"a filter is no input", "arpd/packet", []string{"golang.org/x/net/bpf", "golang.org/x/net/ipv4"}, []string{"arpd/packet imports golang.org/x/net/ipv4: arpd/packet is pure: no input or output, no chance, no log"}},
		{"a pure folder", "arpd/announce", []string{"os", "time"}, []string{"arpd/announce imports os: arpd/announce is pure: no input or output, no chance, no log"}},
		{"more than the configuration", "metallb", []string{module + "/lease", module + "/watcher"}, []string{"metallb imports watcher: metallb sees only lease"}},
		{"a test's helper", "cmd/starling", []string{module + "/watcher/apitest"}, []string{"cmd/starling imports watcher/apitest: it is for tests"}},
		{"a new folder", "utils", nil, []string{"utils is in no known room: say in imports_test.go what it may import"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := violations(graph{module + "/" + tt.pkg: tt.imports})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}
