package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/page"
	"github.com/starling-lb/starling/e2e/starling"
)

// Networks of the pages' examples, and the one of the nodes here.
const (
	exampleNetwork = "192.168.1."
	nodesNetwork   = "198.18.64."
)

// TestInstall begins with a cluster on which there is nothing of starling, and does what a new user
// reads: the commands of the pages as they stand there, by each way to install. Each way ends with
// nothing left but what the pages name.
func TestInstall(t *testing.T) {
	saveLogsOnFailure(t)
	allReady(t)
	installedAgain(t)
	fromNothing(t)
	before, err := objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		name  string
		walk  func(t *testing.T)
		stays bool
	}{
		{"quick start", quickStart, false}, {"Helm", helmAndBack, false}, {"kustomize and README", overlayAndReadme, true},
	} {
		ok := t.Run(way.name, func(t *testing.T) {
			if !way.stays {
				nothingBut(t, before)
			}
			way.walk(t)
		})
		if !ok {
			break // The next one would begin with what is left.
		}
	}
}

// installedAgain installs what is under test when the test ends.
func installedAgain(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		err := errors.Join(product.Install(ctx, shared, pools()...), cluster.Until(ctx, cluster.PodTime, "speakers", everybodyReady))
		if err != nil {
			t.Errorf("install the manifest again: %v", err)
		}
	})
}

// quickStart walks docs/quick-start.md.
func quickStart(t *testing.T) {
	g := inCheckout(t, "docs/quick-start.md")
	g.enter(t, "kubectl apply -f manifests/starling.yaml")
	g.enter(t, "kubectl -n starling-system rollout status daemonset starling")
	g.save(t, "pools.yaml", g.block(t, "3. Give it addresses", "yaml"))
	g.enter(t, "kubectl apply -f pools.yaml")
	allReady(t)
	hello(t)
	g.enter(t, "kubectl rollout status deployment hello")
	g.enter(t, "kubectl get service hello")
	if got := g.enter(t, "curl --retry 9 --retry-all-errors --max-time 2 http://198.18.64.240/"); !strings.HasPrefix(got, "hello ") {
		t.Errorf("the Service answers %q", got)
	}
	g.enter(t, "kubectl -n starling-system exec ds/starling -- /starling status")
	g.enter(t, "kubectl -n starling-system exec ds/starling -- /starling who 198.18.64.240")

	trouble := open(t, "docs/troubleshooting.md")
	trouble.enter(t, "kubectl describe service NAME                                   # events: why it has no address, or who else has it", "NAME", "hello", "NODE", shared.Nodes[0].Name)
	trouble.complete(t, nil)

	g.enter(t, "kubectl delete service,deployment hello")
	g.complete(t, map[string]string{
		"make demo":  "it makes a cluster of its own, of the same parts as this one",
		"make image": "programs for five architectures take minutes to compile; this cluster has the image for its own, made by the same program",
		"kubectl create deployment hello --image=nginx": "neither a registry nor pods' networks here: the test makes the same Deployment with an image and a network that there are",
	})
	leftOnNodes(t)
}

// helmAndBack walks what docs/install.md and docs/operations.md say of Helm, by Helm itself: in,
// another value while a client asks, out.
func helmAndBack(t *testing.T) {
	g := inCheckout(t, "docs/install.md").withHelm(t)
	values := strings.ReplaceAll(g.block(t, "Ways", "yaml"), exampleNetwork, nodesNetwork)
	g.save(t, "my-values.yaml", values)
	const install = "helm install starling charts/starling --namespace starling-system --create-namespace --values my-values.yaml"
	if _, told := g.do(t, "! "+install+" --set namespace.create=true --dry-run=server"); !strings.Contains(told, `namespace.create is for "helm template"`) {
		t.Errorf("with namespace.create helm says %q", told)
	}
	notes := g.enter(t, install)
	if readme := g.elsewhere(t, "README.md"); !slices.ContainsFunc(page.Blocks(readme.text), func(b page.Block) bool { return b.Text == g.ran[0] }) {
		t.Errorf("the README does not install by the same commands:\n%s", g.ran[0])
	}
	for _, want := range []string{"from the pools: default.", "kubectl label namespace starling-system pod-security.kubernetes.io/enforce=privileged"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not say %q:\n%s", want, notes)
		}
	}
	t.Run("upgrade", func(t *testing.T) {
		s := watchService(t, "from-chart", "udp")
		g.save(t, "my-values.yaml", values+"log: {level: debug}\n")
		then := g.elsewhere(t, "docs/operations.md")
		notes := then.enter(t, "helm upgrade starling charts/starling --namespace starling-system --values my-values.yaml")
		if strings.Contains(notes, "kubectl label namespace") {
			t.Errorf("the notes ask for a label that is there:\n%s", notes)
		}
		set, err := shared.Kube.AppsV1().DaemonSets(starling.Namespace).Get(t.Context(), starling.Name, meta.GetOptions{})
		if err != nil || !slices.Contains(set.Spec.Template.Spec.Containers[0].Args, "--log-level=debug") {
			t.Fatalf("the value has not arrived: %v in %+v", err, set)
		}
		s.returned(t)
		allReady(t)
		settled(t, s.watcher, s.ip)
		s.undisturbed(t, "helm upgrade")
	})
	then := g.elsewhere(t, "docs/operations.md")
	then.enter(t, "helm uninstall starling --namespace starling-system")
	then.enter(t, "kubectl annotate services -A --all starling-lb.io/lease- starling-lb.io/ip-allocated-from-pool-")
	then.complete(t, map[string]string{
		"helm upgrade starling charts/starling --namespace starling-system --values my-values.yaml": "above, while a client asks",
		"kubectl starling return n1":   "no node is held here; TestHoldNever does it",
		"nft delete table ip starling": "no node has such a table: the chart's --keep-connections is off",
	})
	leftOnNodes(t)
}

// overlayAndReadme walks the rest of docs/install.md, and the README on a cluster that is installed
// so.
func overlayAndReadme(t *testing.T) {
	g := inCheckout(t, "docs/install.md")
	example := filepath.Join("manifests", "overlays", "example", "pools.yaml")
	text, err := os.ReadFile(filepath.Join(g.dir, example))
	if err != nil {
		t.Fatal(err)
	}
	g.save(t, example, strings.ReplaceAll(string(text), exampleNetwork, nodesNetwork))
	g.enter(t, "cp -r manifests/overlays/example manifests/overlays/mine")
	if err := starling.WaitReady(t.Context(), shared, 60*time.Second); err != nil {
		t.Fatal(err)
	}
	allReady(t)
	reach(t, "tcp", expose(t, "from-overlay"))
	g.complete(t, map[string]string{
		"helm install starling charts/starling --namespace starling-system --create-namespace --values my-values.yaml": "above",
		"rule='rule family=ipv4 source address=192.0.2.0/24'":                                                          "the nodes here have no firewalld; firewall-offline-cmd 1.3 takes the rules",
		"ufw allow proto tcp from 192.0.2.0/24 to any port 7927,7928 &&":                                               "the nodes here have no ufw; ufw 0.36 takes the rules with --dry-run",
	})

	g = inCheckout(t, "README.md")
	g.save(t, "pools.yaml", strings.ReplaceAll(g.block(t, "Install on a cluster", "yaml"), exampleNetwork, nodesNetwork))
	const published = "https://github.com/starling-lb/starling/releases/download/v0.2.0/starling.yaml"
	g.enter(t, "kubectl apply -f "+published, published, "manifests/starling.yaml") // Until it is.
	g.enter(t, "kubectl -n starling-system rollout status daemonset starling")
	reach(t, "tcp", expose(t, "from-readme"))
	g.enter(t, "kubectl get service")
	allReady(t)
	if out := g.enter(t, "kubectl starling status"); !strings.Contains(out, "default/from-readme") {
		t.Errorf("status does not know the Service:\n%s", out)
	}
	g.complete(t, map[string]string{
		"make demo    # a real Kubernetes cluster on this machine, a pulled cable, the gap in milliseconds":            "both make clusters of their own, and this is part of the second",
		"helm install starling charts/starling --namespace starling-system --create-namespace --values my-values.yaml": "above, as docs/install.md has it",
		"make build && sudo install bin/starling /usr/local/bin/starling &&":                                           "it changes the machine; the test gives the user the same two names",
	})
}

// hello makes what `kubectl create deployment hello --image=nginx` makes, with an image that is on
// the nodes, on their network.
func hello(t *testing.T) {
	t.Helper()
	deployment := fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello, labels: {app: hello}}
spec:
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      containers: [{name: hello, image: %q, args: ["80"], env: [{name: POD_NAME, value: hello}]}]
`, build.EchoImage)
	if out, err := shared.Kubectl(t.Context(), deployment, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if out, err := shared.Kubectl(ctx, "", "delete", "service,deployment", "hello", "--ignore-not-found"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// apart are pages with commands that no test here runs, and why.
func apart() map[string]string {
	return map[string]string{
		"docs/bgp.md":         "a benchmark of minutes",
		"docs/cli.md":         "an interactive shell, and links in /usr/local/bin; the tests of cmd/starling ask the shells what they offer",
		"docs/detection.md":   "a benchmark of half an hour",
		"docs/scale.md":       "benchmarks, which take from minutes to an hour",
		"docs/status-page.md": "port-forward, which runs until it is interrupted; the quick start looks at the status by exec",
	}
}

// TestPagesAreWalked: every page that shows commands is walked by a test, or listed with the reason
// why not.
func TestPagesAreWalked(t *testing.T) {
	walked := []string{"README.md", "docs/install.md", "docs/migrate-from-metallb.md", "docs/operations.md", "docs/quick-start.md", "docs/troubleshooting.md"}
	root := checkout(t)
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(page.Blocks(string(text)), func(b page.Block) bool { return b.Language == "sh" }) {
			name, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, name)
		}
	}
	want := append(slices.Collect(maps.Keys(apart())), walked...)
	slices.Sort(want)
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("pages with commands (-walked or listed +there):\n%s", diff)
	}
}
