package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/rs/zerolog"
)

// checkLoopback wants an address that only this machine reaches: profiles tell what is in memory.
func checkLoopback(s string) error {
	if s == "" {
		return nil
	}
	if err := checkListen(s); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(s)
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is reached by others; profiles are for the loopback only, such as 127.0.0.1:7929", s)
	}
	return nil
}

// profiles serves those of this process under /debug/pprof/, for go tool pprof.
func profiles(addr string, log zerolog.Logger) func(context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return func(ctx context.Context) error {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			log.Warn().Err(err).Msg("cannot serve profiles")
			<-ctx.Done()
			return nil // addresses must be announced whether or not anybody can look inside
		}
		log.Info().Str("addr", ln.Addr().String()).Msg("serving profiles")
		srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
		stop := context.AfterFunc(ctx, func() { srv.Close() })
		defer stop()
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve profiles: %w", err)
		}
		return nil
	}
}
