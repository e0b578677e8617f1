package kube

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
)

// ReturnAnnotation is how somebody asks that a Node is held no longer: a value that is not the one
// that it had when the hold began ends it. The command writes the time, which nobody compares with
// a clock.
const ReturnAnnotation = "starling-lb.io/return"

// Release gives the Node that annotation. Users do; speakers have no right to.
func Release(ctx context.Context, c *Client, node, value string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{ReturnAnnotation: value}}})
	if err == nil {
		err = c.Core.Patch(types.MergePatchType).Resource("nodes").Name(node).Body(patch).MaxRetries(0).Do(ctx).Error()
	}
	if err != nil {
		return fmt.Errorf("annotate Node %s: %w", node, err)
	}
	return nil
}
