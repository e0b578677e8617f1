package arpd

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/probe"
)

// proofLabel and the cluster's identity are the info of HKDF (RFC 5869, section 3.2): the key of
// another purpose or cluster is another one.
const proofLabel = "starling presence "

// proofs makes and checks the proofs that replies of speakers carry, see package packet. It is
// never changed, so readers need no lock for it.
type proofs struct {
	name uint32       // of this node
	keys []*sync.Pool // of HMAC-SHA256 by each key; the first one signs
	open *open
}

// newProofs derives the keys from those of the gossip, the first of which signs. Without any there
// are no proofs: nil.
func newProofs(node, cluster string, secrets [][]byte, o *open) (*proofs, error) {
	if len(secrets) == 0 {
		return nil, nil //nolint:nilnil // No proofs are what a mesh without a key has.
	}
	p := &proofs{name: probe.Hash(node), open: o}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, proofLabel+cluster, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive the key of presence: %w", err)
		}
		p.keys = append(p.keys, &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }})
	}
	return p, nil
}

// complete gives the answer to a speaker's question, which stands in b, its proof. What speakers
// say themselves it has believed by their proofs alone; the frame is the first n bytes of b then.
func (p *proofs) complete(v *verdict, b []byte, n int) {
	if v.nonce != (packet.Nonce{}) {
		v.answer = p.prove(b, v.nonce)
	}
	switch is := v.claim.kind; {
	case is != greeting && is != replied:
	case p.proven(b[:n], &v.claim):
		if is == replied {
			v.claim.kind = held
		}
	case is == replied: // it counts as what any host says
		v.claim.unproven = true
	default:
		v.claim, v.drop = claim{}, unproven
	}
}

// tag of the reply b by one of the keys.
func (p *proofs) tag(key *sync.Pool, b []byte) (t packet.Tag) {
	h := key.Get().(hash.Hash)
	defer key.Put(h)
	h.Reset()
	first, rest := packet.Signed(b)
	_, _ = h.Write(first) // cannot fail
	_, _ = h.Write(rest)
	var sum [sha256.Size]byte
	copy(t[:], h.Sum(sum[:0]))
	return t
}

// prove adds to the answer at the beginning of b the proof for a nonce, and returns its length.
func (p *proofs) prove(b []byte, n packet.Nonce) (size int) {
	size = packet.Extend(b, n, p.name)
	packet.Seal(b[:size], p.tag(p.keys[0], b[:size]))
	return size
}

// proven reports whether the reply b, of which c says what it is, answers an open question of the
// interface and proves the key; if so, it closes the question and puts into c who replied.
func (p *proofs) proven(b []byte, c *claim) bool {
	proof, ok := packet.ProofOf(b)
	if !ok || !p.open.has(proof.Nonce, c) {
		return false
	}
	for _, key := range p.keys {
		if t := p.tag(key, b); hmac.Equal(t[:], proof.Tag[:]) && p.open.take(proof.Nonce, c) {
			c.node = proof.Name
			return true
		}
	}
	return false
}

const (
	// openTime is for how long a question may be replied to. A process that is slow replies late.
	openTime = time.Second
	// maxOpen bounds the questions that are open; the oldest are closed.
	maxOpen = 1 << 14
)

// open are the questions that speakers were asked a moment ago. A reply closes its question, so one
// that is recorded and sent again is no reply.
type open struct {
	mu    sync.Mutex // guards all following fields; never held across a system call
	of    map[packet.Nonce]*question
	order []packet.Nonce // as they were asked
}

// question is one that is open.
type question struct {
	ip      netip.Addr // invalid: whether a speaker is there
	mac     packet.HW  // Broadcast: everybody is asked, and each may reply once
	on      int        // index of the interface
	until   time.Time
	replied []packet.HW // of everybody
}

func newOpen() *open { return &open{of: make(map[packet.Nonce]*question)} }

// ask opens a question and returns its nonce.
func (o *open) ask(q probe.Question, mac packet.HW, on int, now time.Time) (n packet.Nonce, err error) {
	if _, err := rand.Read(n[:]); err != nil {
		return n, fmt.Errorf("make a nonce: %w", err)
	}
	if n == (packet.Nonce{}) {
		return n, errors.New("make a nonce: it is zero")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.order) > 0 && (len(o.order) >= maxOpen || o.expired(o.order[0], now)) {
		delete(o.of, o.order[0])
		o.order = o.order[1:]
	}
	o.of[n] = &question{ip: q.IP, mac: mac, on: on, until: now.Add(openTime)}
	o.order = append(o.order, n)
	return n, nil
}

func (o *open) expired(n packet.Nonce, now time.Time) bool {
	q := o.of[n]
	return q == nil || now.After(q.until)
}

// has reports whether c may reply to the question of a nonce.
func (o *open) has(n packet.Nonce, c *claim) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fits(n, c) != nil
}

// take closes the question, and reports whether it was open.
func (o *open) take(n packet.Nonce, c *claim) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.fits(n, c)
	switch {
	case q == nil:
		return false
	case q.mac == packet.Broadcast:
		q.replied = append(q.replied, c.mac)
	default:
		delete(o.of, n)
	}
	return true
}

// fits is the open question that c may reply to; nil: none. The caller holds mu.
func (o *open) fits(n packet.Nonce, c *claim) *question {
	q := o.of[n]
	var about netip.Addr
	if c.kind != greeting {
		about = c.ip
	}
	if q == nil || q.on != c.on || q.ip != about || time.Now().After(q.until) ||
		q.mac != c.mac && q.mac != c.by && (q.mac != packet.Broadcast || slices.Contains(q.replied, c.mac)) {
		return nil
	}
	return q
}

// SetKeys makes the keys of the gossip those by which speakers prove themselves on the wire: the
// first one signs, all are believed. Without any, nothing is proven and every reply is believed.
func (r *Responder) SetKeys(secrets [][]byte) error {
	p, err := newProofs(r.node, r.cluster, secrets, r.open)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.proofs = p
	r.patch(nil)
	return nil
}
