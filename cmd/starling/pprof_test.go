package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestLoopback(t *testing.T) {
	t.Parallel()
	for addr, fine := range map[string]bool{
		"": true, "127.0.0.1:7929": true, "[::1]:7929": true, "localhost:7929": true,
		":7929": false, "0.0.0.0:7929": false, "198.18.0.1:7929": false, "127.0.0.1": false, "127.0.0.1:0": false,
	} {
		if err := checkLoopback(addr); (err == nil) != fine {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := &syncBuffer{}
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	ended := make(chan error, 1)
	go func() { ended <- profiles(addr, zerolog.New(log))(ctx) }()
	r := &running{t: t, web: addr, log: log}
	r.until("/debug/pprof/goroutine?debug=1", http.StatusOK, "goroutine profile:")
	if code, _ := r.get("/metrics"); code != http.StatusNotFound {
		t.Errorf("/metrics answers %d", code)
	}
	second := make(chan error, 1)
	other, cancel := context.WithCancel(t.Context())
	go func() { second <- profiles(addr, zerolog.New(log))(other) }()
	r.logged("cannot serve profiles")
	cancel()
	stop()
	for _, c := range []chan error{ended, second} {
		select {
		case err := <-c:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("does not end")
		}
	}
}
