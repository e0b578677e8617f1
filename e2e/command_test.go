package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// viewer is a user who may do what docs/cli.md says is enough, and nothing else.
type viewer struct {
	kubeconfig string
	bin        string // directory with kubectl-starling
}

func newViewer(t *testing.T) viewer {
	t.Helper()
	ctx, name := t.Context(), "viewer"
	v := viewer{kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), bin: t.TempDir()}
	binding := fmt.Sprintf(`
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[1]s, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: starling-viewer}
subjects: [{kind: ServiceAccount, name: %[1]s, namespace: %[2]s}]
`, name, starling.Namespace)
	objects := documentedRole(t) + binding
	if out, err := shared.Kubectl(ctx, objects, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	accounts := shared.Kube.CoreV1().ServiceAccounts(starling.Namespace)
	if _, err := accounts.Create(ctx, &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: name}}, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		if out, err := shared.Kubectl(ctx, objects, "delete", "-f", "-"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if err := accounts.Delete(ctx, name, meta.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	token, err := accounts.CreateToken(ctx, name, &authentication.TokenRequest{}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(shared.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &api.AuthInfo{Token: token.Status.Token}
	}
	if err := clientcmd.WriteToFile(*config, v.kubeconfig); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(product.Binary, filepath.Join(v.bin, "kubectl-starling")); err != nil {
		t.Fatal(err)
	}
	return v
}

// documentedRole is the Role that docs/cli.md shows.
func documentedRole(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	role, _, ok := strings.Cut(rest, "```")
	if !ok || !strings.Contains(role, "kind: Role\n") {
		t.Fatal("docs/cli.md shows no Role")
	}
	return role
}

// run is `kubectl starling ...` as the user types it.
func (v viewer) run(ctx context.Context, args ...string) (code int, out string, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(shared.Tools(), "kubectl"), append([]string{"starling"}, args...)...)
	cmd.Env = []string{"PATH=" + v.bin + ":/usr/bin:/bin", "HOME=" + v.bin, "KUBECONFIG=" + v.kubeconfig}
	text, err := cmd.CombinedOutput()
	if exit := (&exec.ExitError{}); errors.As(err, &exit) {
		return exit.ExitCode(), string(text), nil
	}
	return 0, string(text), err
}

// TestPlugin: an ordinary user sees by kubectl where an address is, and why, and that all is well.
func TestPlugin(t *testing.T) {
	vip := expose(t, "plugin")
	ip, v, w := vip.String(), newViewer(t), watch(t)
	allReady(t)
	until(t, 90*time.Second, "announcer", func(ctx context.Context) error { // Kubernetes may be slow to say where the pods are
		_, err := workload.Owner(ctx, shared, w, vip)
		return err
	})
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"status"}, "default/plugin"},
		{[]string{"status", "-o", "json"}, `"ip": "` + ip + `"`},
		{[]string{"who", ip}, " announces " + ip + ": highest score of "},
		{[]string{"who", ip}, "\n  on       eth0\n"},
		{[]string{"status"}, "default/plugin  eth0 "},
		{[]string{"leases"}, "default/plugin"},
		{[]string{"pools"}, "POOLS"},
		{[]string{"events", "--limit", "0"}, ip},
		{[]string{"doctor"}, "can be opened (NET_RAW)"},
	} {
		code, out, err := v.run(t.Context(), tt.args...)
		if err != nil || code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("kubectl starling %s: exit code %d, %v, want %q in\n%s", strings.Join(tt.args, " "), code, err, tt.want, out)
		}
	}
	if code, out, err := v.run(t.Context(), "key", "status"); err != nil || code != 1 || !strings.Contains(out, "forbidden") {
		t.Errorf("a viewer sees the Secret of the keys: exit code %d, %v\n%s", code, err, out)
	}
}
