package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
)

func TestClientConfig(t *testing.T) {
	base := &rest.Config{Host: "https://198.18.0.1:6443", Timeout: time.Minute, QPS: 5}
	got := ClientConfig(base)
	if got.QPS != -1 || got.Timeout != 0 || got.UserAgent != "starling" || got.Dial == nil {
		t.Errorf("QPS %v, timeout %v, User-Agent %q", got.QPS, got.Timeout, got.UserAgent)
	}
	if got.AcceptContentTypes != "application/vnd.kubernetes.protobuf,application/json" || got.ContentType != "application/vnd.kubernetes.protobuf" {
		t.Errorf("content types %q, %q", got.AcceptContentTypes, got.ContentType)
	}
	if base.Timeout != time.Minute || base.QPS != 5 || base.Dial != nil {
		t.Error("the given configuration was changed")
	}
	base.UserAgent = "starling/v1.2.3"
	if got := ClientConfig(base).UserAgent; got != base.UserAgent {
		t.Errorf("User-Agent %q", got)
	}
}

func TestConnect(t *testing.T) {
	const config = `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": "HOST"}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
		"users": [{"name": "u", "user": {"token": "t"}}]}`
	srv := apitest.Start(t)
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	tests := []struct {
		name, kubeconfig, want string
	}{
		{"a kubeconfig", write("good", strings.ReplaceAll(config, "HOST", srv.Config().Host)), ""},
		{"none", filepath.Join(t.TempDir(), "missing"), "missing"},
		{"rubbish", write("bad", "{"), "kubeconfig"},
		{"a bad address", write("bad", strings.ReplaceAll(config, "HOST", "http://[::1")), "API client"},
		{"not in a cluster", "", "in-cluster configuration: unable to load"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Connect(tt.kubeconfig, "starling/test")
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Host() != srv.Config().Host {
				t.Errorf("host %q", c.Host())
			}
			if _, err := ClusterID(t.Context(), c); err != nil {
				t.Error(err)
			}
			if r := srv.Requests()[0]; r.UserAgent != "starling/test" {
				t.Errorf("User-Agent %q", r.UserAgent)
			}
		})
	}
}
