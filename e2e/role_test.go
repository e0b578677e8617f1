package e2e

import (
	"context"
	"fmt"
	"os"

	"github.com/starling-lb/starling/e2e/cluster"
)

// roleVariable makes the test program act as another program, for tests of what a crash leaves
// behind.
const roleVariable = "STARLING_E2E_ROLE"

// role runs the other program if the environment asks for it.
func role(ctx context.Context) (handled bool, code int) {
	switch os.Getenv(roleVariable) {
	case "":
		return false, 0
	case "make-cluster-and-wait":
		return true, makeClusterAndWait(ctx)
	}
	fmt.Fprintln(os.Stderr, "unknown role")
	return true, 2
}

// makeClusterAndWait makes a cluster of one node, prints its ID, and waits to be killed.
func makeClusterAndWait(ctx context.Context) int {
	c, err := cluster.Up(ctx, cluster.Options{Tools: os.Getenv("STARLING_E2E_TOOLS"), Nodes: 1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.ID)
	<-ctx.Done()
	if err := c.Down(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
