package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	churned    = 6                      // Services.
	churnEvery = 700 * time.Millisecond // One of them is made or deleted.
	churnLimit = 2 * time.Second        // For each try: the API server may be away.
)

// Churn makes and deletes Services that want an address of a pool, until ctx ends; then it deletes
// all of them. The seed chooses the names; whether one is made or deleted depends on what succeeded
// before.
func Churn(ctx context.Context, c *cluster.Cluster, seed uint64, backend, pool string) error {
	services := c.Kube.CoreV1().Services(workload.Namespace)
	random := rand.New(rand.NewPCG(seed, 1))
	there := map[string]bool{}
	for wait(ctx, churnEvery) == nil {
		name := fmt.Sprintf("churn-%d", random.IntN(churned))
		try, cancel := context.WithTimeout(ctx, churnLimit)
		var err error
		if there[name] {
			err = services.Delete(try, name, meta.DeleteOptions{})
		} else {
			_, err = services.Create(try, workload.Service(name, backend, func(s *core.Service) {
				s.Annotations = map[string]string{"starling-lb.io/address-pool": pool}
			}), meta.CreateOptions{})
		}
		cancel()
		if err == nil || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
			there[name] = !there[name]
		}
	}
	var errs []error
	for i := range churned {
		err := services.Delete(context.WithoutCancel(ctx), fmt.Sprintf("churn-%d", i), meta.DeleteOptions{})
		if !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
