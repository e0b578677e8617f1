package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/rotate"
	"github.com/starling-lb/starling/watcher/kube"
)

// rotation carries out the steps of package rotate, each after the members have
// confirmed the one before.
type rotation struct {
	read     func(context.Context) (kube.KeySecret, error)
	write    func(context.Context, kube.KeySecret) error
	ask      func(context.Context) (hearing, error)
	generate func() ([]byte, error)
	out      io.Writer
	limit    time.Duration // for each step
	pause    time.Duration // between two looks, and before old keys go

	printed string // what is waited for, as printed last
}

// hearing is what the speakers say.
type hearing struct {
	views  []rotate.View
	silent []string // those that did not answer, and why
}

// secretKeyring is the Secret with its keys taken apart.
type secretKeyring struct {
	kube.KeySecret
	keys    [][]byte
	keyring rotate.Keyring
}

func ringOf(s kube.KeySecret) (secretKeyring, error) {
	keys, err := mesh.ParseKeys([]byte(s.Text))
	if err != nil {
		return secretKeyring{}, fmt.Errorf("the Secret is to be mended first: %w", err)
	}
	return secretKeyring{s, keys, rotate.Keyring{Keys: mesh.Fingerprints(keys), Mark: s.Mark}}, nil
}

// run takes one step after the other. It begins where an earlier run ended.
func (r *rotation) run(ctx context.Context) error {
	first, err := r.state(ctx)
	if err != nil {
		return err
	}
	if first.keyring.Next() != rotate.Add {
		r.printf("going on with the rotation to %s that was begun", first.Mark)
	}
	for {
		step, err := r.step(ctx)
		if err != nil || step == rotate.Finish {
			return err
		}
	}
}

func (r *rotation) state(ctx context.Context) (secretKeyring, error) {
	s, err := r.read(ctx)
	if err != nil {
		return secretKeyring{}, err
	}
	return ringOf(s)
}

// step waits until the step that is due can be taken, and takes it.
func (r *rotation) step(ctx context.Context) (rotate.Step, error) {
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	for {
		step, waiting := r.attempt(limited)
		if waiting == nil {
			return step, nil
		}
		if ctx.Err() != nil {
			return "", errors.New("interrupted; run it again to go on from here")
		}
		if kube.Refused(waiting) {
			return "", waiting
		}
		if text := oneLine(waiting); text != r.printed {
			r.printed = text
			r.printf("waiting: %s", text)
		}
		select {
		case <-limited.Done():
			return "", r.exhausted(ctx)
		case <-time.After(r.pause):
		}
	}
}

func (r *rotation) exhausted(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; run it again to go on from here")
	}
	return fmt.Errorf("waited %s: %s\nnothing is broken: the Secret stays as it is, and all keys in it are good.\n"+
		"Mend what is named above, or stop that speaker, and run `starling key rotate` again: it goes on from here", r.limit, r.printed)
}

// attempt takes the step that is due. The error is what it waits for.
func (r *rotation) attempt(ctx context.Context) (rotate.Step, error) {
	now, err := r.state(ctx)
	if err != nil {
		return "", err
	}
	heard, err := r.ask(ctx)
	if err != nil {
		return "", err
	}
	members := rotate.Members(heard.views)
	if lacking := now.keyring.Lacking(members); len(lacking) > 0 {
		return "", errors.New(strings.Join(lacking, "; "))
	}
	step := now.keyring.Next()
	next, err := r.advance(step, now)
	if err != nil {
		return "", err
	}
	if step == rotate.Drop {
		pause(ctx, r.pause) // for what is under way with an old key
	}
	switch err := r.write(ctx, next.KeySecret); {
	case errors.Is(err, kube.ErrSecretChanged):
		return "", errors.New("somebody else changes the Secret")
	case err != nil:
		return "", err
	}
	r.printed = ""
	r.report(step, now, next, len(members), heard)
	return step, nil
}

// advance is the Secret after a step.
func (r *rotation) advance(step rotate.Step, s secretKeyring) (secretKeyring, error) {
	fresh := slices.Index(s.keyring.Keys, s.Mark)
	switch step {
	case rotate.Add:
		line, err := r.generate()
		if err != nil {
			return s, err
		}
		key, err := mesh.ParseKeys(line)
		if err != nil {
			return s, err
		}
		s.keys, s.Mark = append(slices.Clone(s.keys), key...), mesh.Fingerprints(key)[0]
	case rotate.Use:
		key := s.keys[fresh]
		s.keys = slices.Insert(slices.Delete(slices.Clone(s.keys), fresh, fresh+1), 0, key)
	case rotate.Drop:
		s.keys = s.keys[:1]
	case rotate.Finish:
		s.Mark = ""
	}
	s.Text = string(mesh.FormatKeys(s.keys))
	return ringOf(s.KeySecret)
}

// report tells of a step that was taken.
func (r *rotation) report(step rotate.Step, was, is secretKeyring, members int, heard hearing) {
	switch step {
	case rotate.Add:
		r.printf("all %d members encrypt with %s; added %s to decrypt", members, was.keyring.Keys[0], is.Mark)
	case rotate.Use:
		r.printf("all %d members hold %s; it encrypts from now on", members, is.Mark)
	case rotate.Drop:
		r.printf("all %d members encrypt with %s; removed %s", members, is.Mark, strings.Join(was.keyring.Keys[1:], " "))
	case rotate.Finish:
		r.printf("done: all %d members hold %s alone", members, is.keyring.Keys[0])
		if dead := rotate.Dead(heard.views); len(dead) > 0 {
			r.printf("not waited for, they read the Secret when they come back: %s", strings.Join(dead, " "))
		}
		for _, who := range heard.silent {
			r.printf("did not answer: %s", who)
		}
	}
}

func (r *rotation) printf(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
