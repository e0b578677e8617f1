package watcher

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/starling-lb/starling/watcher/kube"
)

// SecretText is what is known of the Secret starling-gossip.
type SecretText struct {
	Known bool   // it was looked for
	Found bool   // and is there
	Text  string // its entry "keys"
}

// readSecret is the conversion of the stream: of a Secret only the text of the gossip's keys is
// kept.
func readSecret(o any) (Key, string, bool) {
	s, ok := o.(*corev1.Secret)
	if !ok {
		return Key{}, "", false
	}
	return Key{Namespace: s.Namespace, Name: s.Name}, string(s.Data[kube.GossipKeys]), true
}

// GossipKeys returns what the Secret of the gossip's keys holds, if Config.KeyNamespace says where
// it is.
func (w *Watcher) GossipKeys() SecretText {
	text, known, found := w.keys.get()
	return SecretText{known, found, text}
}

// GossipKeysChanged tells one reader that GossipKeys returns something else.
func (w *Watcher) GossipKeysChanged() <-chan struct{} { return w.keys.signal }
