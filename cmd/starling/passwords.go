package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
)

const (
	passwordsEvery = 10 * time.Second // between two looks at files and Secrets
	passwordLimit  = 5 * time.Second  // of reading one
	passwordMost   = 80               // bytes that the kernel takes, TCP_MD5SIG_MAXKEYLEN
)

// passwords are those of BGP routers, read beside the loop: files, and Secrets in the namespace of
// the speaker.
type passwords struct {
	secret func(ctx context.Context, name string) (string, error)
	wake   func() // the loop, when something else was read
	copied passwordCopy

	asked chan struct{} // capacity 1: something is wanted that was not read yet

	mu    sync.Mutex // guards all following fields
	known map[source]*password
	last  map[string]string // given out last, by router; never changed in place
	keep  map[string]string // those of Secrets, likewise; nil before anybody asked
}

// source is where a password is.
type source struct{ file, secret string }

// password is what was read last.
type password struct {
	text string
	err  error // of the last time; the text is what was read before
	read bool
}

func newPasswords(secret func(context.Context, string) (string, error), wake func(), copied passwordCopy) *passwords {
	p := &passwords{secret: secret, wake: wake, asked: make(chan struct{}, 1), known: map[source]*password{}}
	p.last = copied.read()
	p.copied = copied
	return p
}

// of gives the passwords of the routers, by name, as far as they were read, and why others cannot
// be. A router whose password is somewhere else now keeps the one before until that is read:
// without one its session would end on all nodes at once. It does not block.
func (p *passwords) of(b *lease.BGP) (texts map[string]string, wrong []health.Condition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[source]*password{}
	texts = map[string]string{}
	keep := map[string]string{}
	for _, r := range b.Routers {
		from := source{r.PasswordFile, r.PasswordSecret}
		if from == (source{}) {
			continue
		}
		w := p.known[from]
		if w == nil {
			w = &password{}
			select {
			case p.asked <- struct{}{}:
			default:
			}
		}
		wanted[from] = w
		if w.err != nil {
			wrong = append(wrong, health.New(health.RouterPassword, health.Router(r.Name), "the password for router "+r.Name+" cannot be read: "+w.err.Error()))
		}
		if text := cmp.Or(w.text, p.last[r.Name]); text != "" {
			texts[r.Name] = text
			if r.PasswordSecret != "" {
				keep[r.Name] = text
			}
		}
	}
	p.known, p.last, p.keep = wanted, texts, keep // others are forgotten
	return texts, wrong
}

// Run reads what is wanted, at once and again and again, until ctx ends.
func (p *passwords) Run(ctx context.Context) error {
	tick := time.NewTicker(passwordsEvery)
	defer tick.Stop()
	for {
		p.readAll(ctx)
		p.save()
		select {
		case <-ctx.Done():
			return nil
		case <-p.asked:
		case <-tick.C:
		}
	}
}

// save keeps a copy of what was given out.
func (p *passwords) save() {
	p.mu.Lock()
	keep := p.keep
	p.mu.Unlock()
	if keep != nil {
		p.copied.write(keep)
	}
}

func (p *passwords) readAll(ctx context.Context) {
	p.mu.Lock()
	var all []source
	for from := range p.known {
		all = append(all, from)
	}
	p.mu.Unlock()
	for _, from := range all {
		text, err := p.readOne(ctx, from)
		p.mu.Lock()
		if w := p.known[from]; w != nil {
			news := !w.read || (err == nil) != (w.err == nil) || err == nil && text != w.text
			w.read, w.err = true, err
			if err == nil {
				w.text = text
			}
			if news {
				p.wake()
			}
		}
		p.mu.Unlock()
	}
}

func (p *passwords) readOne(ctx context.Context, from source) (text string, err error) {
	if from.file != "" {
		var b []byte
		b, err = os.ReadFile(from.file)
		text = string(bytes.TrimSpace(b))
	} else {
		limited, cancel := context.WithTimeout(ctx, passwordLimit)
		defer cancel()
		text, err = p.secret(limited, from.secret)
	}
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", errors.New(cmp.Or(from.file, "the Secret "+from.secret) + " is empty")
	case len(text) > passwordMost:
		return "", fmt.Errorf("it has %d bytes, and the kernel takes %d", len(text), passwordMost)
	}
	return text, nil
}
