package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// accountIn finds the user name of a ServiceAccount in an expression of a policy.
var accountIn = regexp.MustCompile(`system:serviceaccount:[^"']+`)

// Policy is a ValidatingAdmissionPolicy of starling.
type Policy struct {
	Name  string
	Users []string // user names of ServiceAccounts that its match conditions name, sorted
}

// Policies returns the admission policies that have starling's label, with the rights of a user. Of
// a cluster that does not know such policies, or shows them to somebody else only, known is false.
func Policies(ctx context.Context, c *Client) (list []Policy, known bool, err error) {
	raw, err := c.Core.Get().AbsPath("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies").
		Param("labelSelector", "app.kubernetes.io/name=starling").SetHeader("Accept", "application/json").MaxRetries(0).DoRaw(ctx)
	if err != nil && (Refused(err) || apierrors.IsNotFound(err)) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("list the admission policies: %w", err)
	}
	var body struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct {
				MatchConditions []struct{ Expression string }
			}
		}
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, false, fmt.Errorf("list the admission policies: %w", err)
	}
	for _, item := range body.Items {
		p := Policy{Name: item.Metadata.Name}
		for _, m := range item.Spec.MatchConditions {
			p.Users = append(p.Users, accountIn.FindAllString(m.Expression, -1)...)
		}
		slices.Sort(p.Users)
		list = append(list, p)
	}
	return list, true, nil
}
