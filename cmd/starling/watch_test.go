package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A view that fails is reported in its place, and the next ones come in their time until the user
// has seen enough.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		begun := time.Now()
		var out bytes.Buffer
		var at []time.Duration
		err := watch(ctx, &out, 2*time.Second, func(context.Context) error {
			at = append(at, time.Since(begun))
			switch len(at) {
			case 2:
				return errors.New("connection refused")
			case 3:
				stop()
				return context.Canceled // as a question that is given up
			}
			out.WriteString("all is well\n")
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if want := "all is well\nstarling: connection refused\n"; out.String() != want {
			t.Errorf("shown %q, want %q", out.String(), want)
		}
		if len(at) != 3 || at[1] != 2*time.Second || at[2] != 4*time.Second {
			t.Errorf("shown after %v", at)
		}
	})
}

// Into a file or a pipe one view follows the other; the screen is cleared on a terminal only.
func TestWatchIntoAFile(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, stop := context.WithCancel(t.Context())
	err = watch(ctx, file, time.Hour, func(context.Context) error {
		stop()
		_, err := file.WriteString("all is well\n")
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(file.Name()); err != nil || string(got) != "all is well\n" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

// The whole command: it shows the status at once and ends well when it is interrupted.
func TestStatusWatch(t *testing.T) {
	file := cluster(t, "n1")
	ctx, stop := context.WithCancel(t.Context())
	out := &first{then: stop}
	var errOut bytes.Buffer
	if code := execute(ctx, []string{"starling", "status", "--watch", "--interval", "1h", "--kubeconfig", file}, out, &errOut); code != exitOK {
		t.Errorf("exit code %d, %s", code, &errOut)
	}
	if !strings.HasPrefix(out.String(), "As n1 sees it") {
		t.Errorf("shown %q, %s", out.String(), &errOut)
	}
}

// first calls a function when something is written first.
type first struct {
	bytes.Buffer
	then func()
}

func (f *first) Write(p []byte) (int, error) {
	f.then()
	return f.Buffer.Write(p)
}
