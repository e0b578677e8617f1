package status

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Speakers ask each other for their views, and with tokens or TLS they must know each other to do
// so. A token of Kubernetes is no way to that: certificates are self-signed or whatever the user
// gave, so a speaker would hand its token to whom it cannot tell. What all speakers share and
// nobody else has is the key of the gossip. So a question carries a code made of it (HMAC-SHA256 by
// a key derived for this purpose alone), and so does the answer, over the question's own code:
// whoever is in between can neither ask nor answer, whatever certificate there is. It would see the
// views; there are no secrets in them.
//
//	Starling-Peer: TIME.NONCE.CODE    of a question; CODE is of the path, TIME in seconds and NONCE
//	Starling-Peer: CODE               of its answer; CODE is of the question's code and the body
//
// The codes do not say which speaker is asked. Who is in between may repeat a question to any of
// them while its time is fresh, and learns what that one sees; an answer says whose it is, and one
// of another speaker is not taken.
const (
	peerHeader = "Starling-Peer"
	peerFresh  = 5 * time.Minute // clocks of nodes may be apart
	peerLabel  = "starling status of peers"
)

// Secrets are the keys of the gossip in force, the one to sign with first.
type Secrets func() [][]byte

// keys are those for questions and answers.
func (s Secrets) keys() [][]byte {
	if s == nil {
		return nil
	}
	var out [][]byte
	for _, secret := range s() {
		if key, err := hkdf.Key(sha256.New, secret, nil, peerLabel, sha256.Size); err == nil { // the size is well below its limit
			out = append(out, key)
		}
	}
	return out
}

// code is that of the parts by a key. No part but the last contains a line's end.
func code(key []byte, parts ...string) string {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, strings.Join(parts, "\n")) // never fails
	return hex.EncodeToString(h.Sum(nil))
}

// question is the header's value for a path.
func question(key []byte, path string, now time.Time) string {
	at, nonce := strconv.FormatInt(now.Unix(), 10), rand.Text()
	return strings.Join([]string{at, nonce, code(key, "ask", path, at, nonce)}, ".")
}

// asks reports whether a question is one of a speaker's for the path, and by which key it was
// signed.
func (s Secrets) asks(value, path string, now time.Time) (key []byte, ok bool) {
	at, rest, _ := strings.Cut(value, ".")
	nonce, its, _ := strings.Cut(rest, ".")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > peerFresh {
		return nil, false
	}
	for _, key := range s.keys() {
		if hmac.Equal([]byte(its), []byte(code(key, "ask", path, at, nonce))) {
			return key, true
		}
	}
	return nil, false
}

// proven answers a speaker's question with a code over the answer.
func proven(w http.ResponseWriter, r *http.Request, key []byte, next http.Handler) {
	b := &buffered{ResponseWriter: w, code: http.StatusOK}
	next.ServeHTTP(b, r)
	w.Header().Set(peerHeader, code(key, "tell", r.Header.Get(peerHeader), string(b.bytes())))
	b.answer(w)
}

// buffered keeps an answer back.
type buffered struct {
	http.ResponseWriter
	code  int
	body  bytes.Buffer
	whole []byte // in place of body, if it came at once
}

func (b *buffered) WriteHeader(code int)        { b.code = code }
func (b *buffered) Write(p []byte) (int, error) { return b.body.Write(p) }

func (b *buffered) bytes() []byte {
	if b.whole != nil {
		return b.whole
	}
	return b.body.Bytes()
}

// answer sends what was kept back.
func (b *buffered) answer(w http.ResponseWriter) {
	answer(w, b.code, b.Header().Get("Content-Type"), b.bytes())
}

// forPeers reports whether speakers ask each other for what is at the path.
func forPeers(path string) bool { return path == "/api/v1/view" || path == "/api/v1/status" }

// peers asks other speakers.
type peers struct {
	secrets Secrets      // nil: in plain, as anybody may ask
	client  *http.Client // by TLS; nil: in plain
}

// newPeers asks as this server wants to be asked itself.
func newPeers(secure bool, secrets Secrets) peers {
	if !secure {
		return peers{}
	}
	return peers{secrets, &http.Client{
		Transport: transport(&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}), // the code over the answer says whose it is
	}}
}

// plainly is for speakers that serve plain HTTP.
var plainly = &http.Client{Transport: transport(nil)}

// transport keeps little of what it is sent.
func transport(secure *tls.Config) *http.Transport {
	return &http.Transport{TLSClientConfig: secure, MaxIdleConnsPerHost: 1, IdleConnTimeout: idleTime, MaxResponseHeaderBytes: maxHead}
}

func (p peers) scheme() string {
	if p.client == nil {
		return "http://"
	}
	return "https://"
}

// get asks for what is at the path, which begins with a slash. An answer of more than so many bytes
// is an error.
func (p peers) get(ctx context.Context, base, path string, most int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", base, err)
	}
	var key []byte
	if p.client != nil {
		keys := p.secrets.keys()
		if len(keys) == 0 {
			return nil, fmt.Errorf("ask %s: the gossip keys are not known yet", base)
		}
		key = keys[0]
		req.Header.Set(peerHeader, question(key, path, time.Now()))
	}
	resp, err := cmp.Or(p.client, plainly).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", base, cause(ctx, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: it answers %s", base, resp.Status)
	}
	body, err := readAtMost(resp.Body, most)
	if err != nil {
		return nil, fmt.Errorf("ask %s: read the answer: %w", base, err)
	}
	if key != nil && !hmac.Equal([]byte(resp.Header.Get(peerHeader)), []byte(code(key, "tell", req.Header.Get(peerHeader), string(body)))) {
		return nil, fmt.Errorf("ask %s: %w", base, errNoPeer)
	}
	return body, nil
}

var errNoPeer = errors.New("the answer is not that of a speaker of this cluster, or was changed on its way")
