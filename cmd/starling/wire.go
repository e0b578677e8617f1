package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/mesh"
)

// Bounds of what can be asked of the wire.
const (
	refreshLeast = time.Second
	rateLeast    = 100
	rateMost     = 1_000_000
)

// wireConfig is what the flags say about the frames on the wire.
type wireConfig struct {
	probing claims.ACD
	trial   time.Duration // how long probing takes, 0: off
	refresh time.Duration // negative: off
	rate    int           // announcements per second
	ping    bool
	watch   bool // of the hosts of other nodes
	test    bool // whether other nodes forward
}

// wireFlags are the flags of `starling run` about the frames on the wire.
func wireFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "probe", EnvVars: env("PROBE"), Value: "fast", Usage: "how to probe an address for another station before its first use: fast (0.2 s), rfc5227 (7 s) or off"},
		&cli.DurationFlag{Name: "refresh-period", EnvVars: env("REFRESH_PERIOD"), Value: time.Minute, Usage: "announce every address again after each `DURATION`, for caches and switches that missed it, and recheck that no other station has it; 0 for never"},
		&cli.IntFlag{Name: "announce-rate", EnvVars: env("ANNOUNCE_RATE"), Value: 12_000, Usage: "send at most `N` announcements per second"},
		&cli.BoolFlag{Name: "answer-ping", EnvVars: env("ANSWER_PING"), Usage: "answer ICMP echo for the addresses that this node announces"},
		&cli.BoolFlag{Name: "wire-watch", EnvVars: env("WIRE_WATCH"), Value: true, Usage: "probe the kernels of other nodes by ARP or neighbor discovery; without it only gossip notices a dead host, about 0.3 s later"},
		&cli.BoolFlag{Name: "forwarding-test", EnvVars: env("FORWARDING_TEST"), Value: true, Usage: "test whether other nodes forward, by TCP connections to addresses of Services, or to kube-proxy, that are reset at once; one that fails goes behind all others; needs --wire-watch"},
	}
}

// parseWire checks the flags about the frames on the wire.
func parseWire(c *cli.Context, check func(flag string, err error)) wireConfig {
	w := wireConfig{refresh: c.Duration("refresh-period"), rate: c.Int("announce-rate"), ping: c.Bool("answer-ping"), watch: c.Bool("wire-watch")}
	w.test = w.watch && c.Bool("forwarding-test")
	var err error
	w.probing, w.trial, err = parseProbe(c.String("probe"))
	check("probe", err)
	switch {
	case w.refresh == 0:
		w.refresh = -1
	case w.refresh < refreshLeast:
		check("refresh-period", fmt.Errorf("%v is less than %v: every host on the network has to read each announcement", w.refresh, refreshLeast))
	}
	if w.rate < rateLeast || w.rate > rateMost {
		check("announce-rate", fmt.Errorf("%d is not from %d to %d", w.rate, rateLeast, rateMost))
	}
	return w
}

// pace of the questions to the host of another node; 0: none.
func (w wireConfig) pace(d mesh.Detection) time.Duration {
	if !w.watch {
		return 0
	}
	return d.Watch()
}

func parseProbe(s string) (r claims.ACD, lasts time.Duration, err error) {
	switch s {
	case "off":
		return r, 0, nil
	case "fast":
		r = claims.Shortened()
	case "rfc5227":
		r = claims.RFC5227()
	default:
		return r, 0, fmt.Errorf("%q is not one of fast, rfc5227, off", s)
	}
	return r, r.Longest(), nil
}
