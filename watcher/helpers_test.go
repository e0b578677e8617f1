package watcher

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/watcher/apitest"
	"github.com/starling-lb/starling/watcher/kube"
)

const ns = "starling-system"

func secret(keys string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "starling-gossip"},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{"keys": []byte(keys)},
	}
}

func client(t *testing.T, srv *apitest.Server) *kube.Client {
	t.Helper()
	c, err := kube.NewClient(srv.Config())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
