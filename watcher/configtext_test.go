package watcher

import (
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
)

var configKey = Key{Namespace: ns, Name: "starling"}

func configMap(entries ...string) *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: configKey.Namespace, Name: configKey.Name}, Data: map[string]string{}}
	for i := 0; i < len(entries); i += 2 {
		m.Data[entries[i]] = entries[i+1]
	}
	return m
}

func TestReadConfigMap(t *testing.T) {
	for _, tt := range []struct {
		name string
		from *corev1.ConfigMap
		want configText
	}{
		{"as it is meant", configMap("starling.yaml", "a"), configText{text: "a"}},
		{"beside others", configMap("starling.yaml", "a", "notes", "b"), configText{text: "a"}},
		{"by the name of somebody's file", configMap("pools.yaml", "a"), configText{text: "a"}},
		{"empty", configMap("starling.yaml", ""), configText{}},
		{"no entry", configMap(), configText{wrong: "it has no entry starling.yaml"}},
		{"several others", configMap("b", "1", "a", "2"), configText{wrong: "it has no entry starling.yaml, only a, b"}},
	} {
		if k, got, ok := readConfigMap(tt.from); !ok || k != configKey || got != tt.want {
			t.Errorf("%s: %v %+v %v, want %+v", tt.name, k, got, ok, tt.want)
		}
	}
	if _, _, ok := readConfigMap(&corev1.Secret{}); ok {
		t.Error("a Secret is taken for a ConfigMap")
	}
}

// TestConfigurationIsFollowed: one ConfigMap is listed, watched and got, by its name, through
// edits, a cut watch, its deletion and its return.
func TestConfigurationIsFollowed(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		other := configMap("starling.yaml", "other")
		other.Name = "other"
		srv.Create(other)
		srv.Before(func(_ *http.Request, r apitest.Request) error {
			if r.Resource == "configmaps" && (r.Namespace != ns || r.Name != "starling" && r.Query.Get("fieldSelector") != "metadata.name=starling") {
				t.Errorf("%s in %q with %v is more than the one ConfigMap", r, r.Namespace, r.Query)
			}
			return nil
		})
		w := start(t, config, func(c *Config) { c.ConfigMap = configKey })
		holds := func(want ConfigText) {
			t.Helper()
			begin := time.Now()
			for w.Configuration() != want {
				select {
				case <-w.ConfigurationChanged():
				case <-time.After(patience):
					t.Fatalf("the ConfigMap holds %+v, want %+v", w.Configuration(), want)
				}
			}
			if took := time.Since(begin); took > 300*time.Millisecond {
				t.Errorf("%+v is known after %s", want, took)
			}
			once, err := Configuration(t.Context(), w.client, configKey)
			if err != nil || once != want {
				t.Errorf("asked once: %+v, %v, want %+v", once, err, want)
			}
		}
		holds(ConfigText{Known: true})
		srv.Create(configMap("starling.yaml", "a"))
		holds(ConfigText{Known: true, Found: true, Text: "a"})
		apitest.Edit(srv, configMap(), "", func(m *corev1.ConfigMap) { m.Data["starling.yaml"] = "b" })
		holds(ConfigText{Known: true, Found: true, Text: "b"})
		srv.Tear()
		apitest.Edit(srv, configMap(), "", func(m *corev1.ConfigMap) { m.Data = nil })
		holds(ConfigText{Known: true, Found: true, Wrong: "it has no entry starling.yaml"})
		srv.Delete(configMap())
		holds(ConfigText{Known: true})
		srv.Create(configMap("starling.yaml", "c"))
		holds(ConfigText{Known: true, Found: true, Text: "c"})
	})
}

// TestConfigurationIsNotFollowed: with a file nobody looks at ConfigMaps.
func TestConfigurationIsNotFollowed(t *testing.T) {
	srv := apitest.Start(t)
	w := start(t, srv.Config())
	w.awaitSynced()
	for _, r := range srv.Requests() {
		if r.Resource == "configmaps" {
			t.Errorf("asked: %s", r)
		}
	}
	if got := w.Configuration(); got != (ConfigText{}) {
		t.Errorf("%+v of a ConfigMap that nobody follows", got)
	}
}
