package starling

import (
	"context"
	"strings"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// account is the user that the manifest gives rights to.
const account = "system:serviceaccount:" + Namespace + ":" + Name

// RunProcesses runs a speaker on every node of a cluster without kubelets, with the rights that the
// manifest gives, and waits until all are steady.
func (p *Product) RunProcesses(ctx context.Context, c *cluster.Cluster, pools ...Pool) error {
	text, err := p.Manifest()
	if err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, without(text, "DaemonSet"), "apply", "-f", "-"); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if err := p.runOn(c, n, pools); err != nil {
			return err
		}
	}
	return cluster.Until(ctx, 4*time.Minute, "steady speakers", func(ctx context.Context) error { return Steady(ctx, c) })
}

func (p *Product) runOn(c *cluster.Cluster, n *cluster.Node, pools []Pool) error {
	kubeconfig, err := c.Credentials(n, account)
	if err != nil {
		return err
	}
	flags := []string{"run", "--node-name", n.Name, "--kubeconfig", kubeconfig, "--namespace", Namespace}
	for _, pool := range pools {
		flags = append(flags, "--pool", pool.Name+"="+strings.Join(pool.Ranges, ","))
	}
	return n.Start(c, Name, p.Binary, append(flags, p.Flags...)...)
}

// without leaves out the documents of that kind.
func without(manifest, kind string) string {
	var rest []string
	for document := range strings.SplitSeq(manifest, "\n---\n") {
		if !strings.Contains("\n"+document, "\nkind: "+kind+"\n") {
			rest = append(rest, document)
		}
	}
	return strings.Join(rest, "\n---\n")
}
