package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
)

// Where the pages say that releases are, and the one that they name.
const (
	published   = "https://github.com/starling-lb/starling/releases/download"
	registry    = "ghcr.io/starling-lb"
	thisRelease = "v0.2.0"
	lastRelease = "v0.1.9" // For the commit of the other release, which need not have been one.
)

// shop is what stands for the registry and for the downloads: both are on the machine's loopback,
// and the registry is on each node's, too.
type shop struct {
	registry, downloads string // HOST:PORT/starling-lb and a URL.
	files               string // Folder of the downloads, one for each version.
	bin                 string // Folder of what stands for cosign; the keys are there, too.
}

// TestRelease is the way of somebody who clones nothing: install the last release by two commands,
// verify this one, upgrade to it while a client asks, and install its chart from the registry.
func TestRelease(t *testing.T) {
	saveLogsOnFailure(t)
	allReady(t)
	s := openShop(t)
	began := time.Now()
	s.releaseOther(t)
	s.releaseThis(t)
	t.Logf("two releases took %v", time.Since(began).Round(time.Second))

	installedAgain(t)
	fromNothing(t)
	g := newcomer(t, "README.md").withHelm(t)
	if err := os.Symlink(filepath.Join(s.bin, "cosign"), filepath.Join(g.path, "cosign")); err != nil {
		t.Fatal(err)
	}
	g.save(t, "pools.yaml", strings.ReplaceAll(g.block(t, "Install on a cluster", "yaml"), exampleNetwork, nodesNetwork))
	url := published + "/" + thisRelease + "/starling.yaml"
	g.enter(t, "kubectl apply -f "+url, url, s.downloads+"/"+lastRelease+"/starling.yaml")
	g.enter(t, "kubectl -n starling-system rollout status daemonset starling")
	s.verified(t, g)
	s.upgraded(t, g)
	g.do(t, "kubectl delete -f "+s.downloads+"/"+thisRelease+"/starling.yaml")
	leftOnNodes(t)
	s.chart(t, g)
}

// openShop starts both servers until the test ends.
func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{files: t.TempDir(), bin: t.TempDir()}
	tool(t, "go", "-C", "scripts/release", "build", "-o", s.bin, "./cmd/registry", "./cmd/sign")
	if err := os.Rename(filepath.Join(s.bin, "sign"), filepath.Join(s.bin, "cosign")); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(s.files)))
	t.Cleanup(server.Close)
	s.downloads = server.URL
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.bin, "registry"))
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // The registry ends with it.
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the registry does not say where it is: %v", err)
	}
	address = strings.TrimSpace(address)
	s.registry = address + "/starling-lb"
	for _, n := range shared.Nodes {
		onLoopback(t, n, address)
	}
	return s
}

// onLoopback makes a port of the machine's loopback a port of the node's, until the test ends.
func onLoopback(t *testing.T, n *cluster.Node, address string) {
	t.Helper()
	var l net.Listener
	err := n.Space.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			go join(here, address)
		}
	}()
}

// join carries bytes back and forth until one side ends.
func join(here net.Conn, address string) {
	defer here.Close()
	there, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer there.Close()
	go func() {
		_, _ = io.Copy(there, here)
		if tcp, ok := there.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, _ = io.Copy(here, there)
}

// tool runs a command in the checkout.
func tool(t *testing.T, argv ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = checkout(t), append(build.Environment(), "CGO_ENABLED=0", "COSIGN_PASSWORD=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

// releaseOther releases the commit that TestSkew knows. Of that release only the image and the
// manifest are used.
func (s *shop) releaseOther(t *testing.T) {
	t.Helper()
	dir, commit := t.TempDir(), otherRelease(t)
	program, err := starling.Older(t.Context(), dir, commit)
	if errors.Is(err, starling.ErrNoHistory) {
		t.Skipf("there is no release to upgrade from: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Commits from before the first release have no chart that can be released.
	tool(t, "rm", "-r", filepath.Join(dir, "charts"))
	tool(t, "cp", "-aL", "charts", dir)
	if err := os.Rename(program, filepath.Join(dir, "bin", "starling-linux-"+runtime.GOARCH)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "starling-linux-"+runtime.GOARCH+".cdx.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "go", "-C", "scripts/release", "run", ".", "-version", lastRelease, "-registry", s.registry, "-revision", commit, "-push",
		"-root", dir, "-programs", filepath.Join(dir, "bin"), "-arches", runtime.GOARCH, "-darwin=", "-out", filepath.Join(s.files, lastRelease))
}

// releaseThis releases the checkout, for this machine's kind of nodes, and signs it with a new key.
func (s *shop) releaseThis(t *testing.T) {
	t.Helper()
	variables := []string{"VERSION=" + thisRelease, "OUT=" + filepath.Join(s.files, thisRelease)}
	tool(t, append([]string{"make", "--silent", "release", "ARCHES=" + runtime.GOARCH, "DARWIN_ARCHES=", "REGISTRY=" + s.registry, "PUSH=1"}, variables...)...)
	tool(t, filepath.Join(s.bin, "cosign"), "generate-key-pair", "--output-key-prefix", filepath.Join(s.bin, "cosign"))
	tool(t, append([]string{"make", "--silent", "sign", "COSIGN_KEY=" + filepath.Join(s.bin, "cosign.key")}, variables...)...)
}

// verified verifies this release by the commands of docs/releasing.md, with a key and without
// cosign; another key verifies nothing.
func (s *shop) verified(t *testing.T, g *guide) {
	t.Helper()
	from := s.downloads + "/" + thisRelease + "/"
	g.do(t, "curl --fail --silent --show-error --remote-name-all "+from+"checksums.txt "+from+"checksums.txt.sigstore.json "+from+"starling.yaml")
	g.do(t, "COSIGN_PASSWORD= cosign generate-key-pair --output-key-prefix other")
	here := strings.NewReplacer(registry, s.registry, "VERSION", thisRelease)
	commands := 0
	for line := range strings.Lines(g.elsewhere(t, "docs/releasing.md").text) {
		_, after, found := strings.Cut(line, "| `cosign verify")
		if !found {
			continue
		}
		var parts []string
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch("`cosign verify"+after, -1) {
			parts = append(parts, here.Replace(m[1]))
		}
		command := strings.Join(parts, " && ")
		by := func(key string) string {
			return strings.ReplaceAll(command, "IDENTITY", "--key "+key+" --insecure-ignore-tlog")
		}
		g.do(t, by(filepath.Join(s.bin, "cosign.pub")))
		g.do(t, "! ( "+by("other.pub")+" )")
		commands++
	}
	if commands != 4 {
		t.Errorf("docs/releasing.md verifies by %d commands, want those for image, provenance, chart and files", commands)
	}
}

// upgraded applies this release over the last one: no client notices, no address moves, and the
// nodes run the image whose digest the manifest has.
func (s *shop) upgraded(t *testing.T, g *guide) {
	t.Helper()
	w := watchService(t, "released", "udp")
	held, err := probe.Hold(t.Context(), probe.Config{Dial: shared.Client.Dial, Address: net.JoinHostPort(w.ip.String(), "80")}, 60)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	g.do(t, "kubectl apply -f "+s.downloads+"/"+thisRelease+"/starling.yaml")
	g.enter(t, "kubectl -n starling-system rollout status daemonset starling")
	allReady(t)
	settled(t, w.watcher, w.ip)
	w.unmoved(t, begun)
	report := held.Stop()
	t.Logf("upgrade from the last release in %v: %s", time.Since(begun).Round(time.Second), report)
	if report.Cut > 0 {
		t.Errorf("%d of %d connections were cut", report.Cut, report.Connections)
	}
	w.undisturbed(t, "upgrade from the last release")
	s.runs(t, imagePinned(t, g))
	remove(t, "released")
}

// imagePinned is the image of the manifest that was downloaded and verified.
func imagePinned(t *testing.T, g *guide) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "starling.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s+image:\s*(\S+@sha256:\S+)$`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("the manifest pins no image by its digest")
	}
	return found[1]
}

// runs holds that all speakers run this image.
func (s *shop) runs(t *testing.T, image string) {
	t.Helper()
	pods, err := shared.Kube.CoreV1().Pods(starling.Namespace).List(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if got := pod.Spec.Containers[0].Image; got != image || !strings.HasPrefix(got, s.registry) {
			t.Errorf("%s runs %s, want %s", pod.Name, got, image)
		}
	}
	if len(pods.Items) != len(shared.Nodes) {
		t.Errorf("%d speakers run", len(pods.Items))
	}
}

// chart installs the chart of this release from the registry, as docs/install.md has it, and takes
// it away again.
func (s *shop) chart(t *testing.T, g *guide) {
	t.Helper()
	page := g.elsewhere(t, "docs/install.md")
	where := "oci://" + registry + "/charts/starling --version " + strings.TrimPrefix(thisRelease, "v")
	if !strings.Contains(page.text, "`"+where+"`") {
		t.Fatalf("docs/install.md does not say that the chart is %s", where)
	}
	page.save(t, "my-values.yaml", strings.ReplaceAll(page.block(t, "Ways", "yaml"), exampleNetwork, nodesNetwork))
	page.enter(t, "helm install starling charts/starling --namespace starling-system --create-namespace --values my-values.yaml",
		"charts/starling", strings.Replace(where, registry, s.registry, 1)+" --plain-http")
	if err := cluster.Until(t.Context(), 60*time.Second, "speakers", func(ctx context.Context) error { return starling.Steady(ctx, shared) }); err != nil {
		t.Fatal(err)
	}
	s.runs(t, s.registry+"/starling:"+thisRelease)
	reach(t, "tcp", expose(t, "from-registry"))
	page.do(t, "helm uninstall starling --namespace starling-system && kubectl delete namespace starling-system")
	leftOnNodes(t)
}
