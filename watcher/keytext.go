package watcher

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// readSecret is the conversion of the stream: of a Secret only the text of the gossip's keys is kept.
func readSecret(o any) (Key, string, bool) {
	s, ok := o.(*corev1.Secret)
	if !ok {
		return Key{}, "", false
	}
	return Key{Namespace: s.Namespace, Name: s.Name}, string(s.Data[gossipKeys]), true
}

// A keyText is what the Secret of the gossip's keys holds at present.
type keyText struct {
	signal chan struct{}

	mu     sync.Mutex // guards all following fields
	secret SecretText
}

// SecretText is what is known of the Secret starling-gossip.
type SecretText struct {
	Known bool   // it was looked for
	Found bool   // and is there
	Text  string // its entry "keys"
}

func newKeyText() *keyText { return &keyText{signal: make(chan struct{}, 1)} }

var _ sink[string] = (*keyText)(nil)

func (t *keyText) put(_ string, text string) { t.set(SecretText{Known: true, Found: true, Text: text}) }

func (t *keyText) remove(string, Key) { t.set(SecretText{Known: true}) }

func (t *keyText) replace(_ string, all []string) {
	if len(all) == 0 {
		t.remove("", Key{})
		return
	}
	t.put("", all[0])
}

func (t *keyText) position(string) {}

func (t *keyText) set(s SecretText) {
	t.mu.Lock()
	differs := t.secret != s
	t.secret = s
	t.mu.Unlock()
	if !differs {
		return
	}
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

// GossipKeys returns what the Secret of the gossip's keys holds, if Config.KeyNamespace says where it is.
func (w *Watcher) GossipKeys() SecretText {
	w.keys.mu.Lock()
	defer w.keys.mu.Unlock()
	return w.keys.secret
}

// GossipKeysChanged tells one reader that GossipKeys returns something else.
func (w *Watcher) GossipKeysChanged() <-chan struct{} { return w.keys.signal }
