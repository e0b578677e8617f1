package watcher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/starling-lb/starling/watcher/kube"
)

// configEntry is the entry of a ConfigMap that holds the configuration.
const configEntry = "starling.yaml"

// ConfigText is what is known of the ConfigMap of the configuration.
type ConfigText struct {
	Known bool   // it was looked for
	Found bool   // and is there
	Text  string // its entry starling.yaml, or the only one that it has
	Wrong string // why it has no such entry, in words; "" if it has
}

// configText is what is kept of a ConfigMap.
type configText struct{ text, wrong string }

// readConfigMap is the conversion of the stream.
func readConfigMap(o any) (Key, configText, bool) {
	m, ok := o.(*corev1.ConfigMap)
	if !ok {
		return Key{}, configText{}, false
	}
	return Key{Namespace: m.Namespace, Name: m.Name}, textOf(m), true
}

// textOf takes the entry starling.yaml. `kubectl create configmap --from-file` names an entry after
// its file, so if there is only one its name does not matter.
func textOf(m *corev1.ConfigMap) configText {
	if text, ok := m.Data[configEntry]; ok {
		return configText{text: text}
	}
	switch names := slices.Sorted(maps.Keys(m.Data)); len(names) {
	case 0:
		return configText{wrong: "it has no entry " + configEntry}
	case 1:
		return configText{text: m.Data[names[0]]}
	default:
		return configText{wrong: fmt.Sprintf("it has no entry %s, only %s", configEntry, strings.Join(names, ", "))}
	}
}

// Configuration returns what the ConfigMap of the configuration holds, if Config.ConfigMap says
// which it is.
func (w *Watcher) Configuration() ConfigText {
	v, known, found := w.config.get()
	return ConfigText{known, found, v.text, v.wrong}
}

// ConfigurationChanged tells one reader that Configuration returns something else.
func (w *Watcher) ConfigurationChanged() <-chan struct{} { return w.config.signal }

// Configuration asks once for what the ConfigMap of that name holds. Callers retry.
func Configuration(ctx context.Context, c *kube.Client, k Key) (ConfigText, error) {
	var m corev1.ConfigMap
	err := c.Core.Get().Namespace(k.Namespace).Resource("configmaps").Name(k.Name).MaxRetries(0).Do(ctx).Into(&m)
	switch {
	case apierrors.IsNotFound(err):
		return ConfigText{Known: true}, nil
	case err != nil:
		return ConfigText{}, fmt.Errorf("read ConfigMap %s: %w", k, err)
	}
	t := textOf(&m)
	return ConfigText{true, true, t.text, t.wrong}, nil
}
