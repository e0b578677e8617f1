package main

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
)

// TestBadInput: every mistake is one line that names it, the exit code is 2,
// and nothing was touched (there is no cluster here to touch).
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tt := range []struct {
		name string
		args []string
		want []string // each in a line of its own
	}{
		{"unknown flag", []string{"--frob"}, []string{"-frob"}},
		{"unknown command", nil, []string{`unknown command "frobnicate"`}},
		{"argument", []string{"now"}, []string{`unexpected argument "now"`}},
		{"reversed range", []string{"--pool", "198.18.0.9-198.18.0.1"}, []string{`range "198.18.0.9-198.18.0.1"`}},
		{"malformed range", []string{"--pool", "lab=198.18.0.0/33"}, []string{`range "198.18.0.0/33"`}},
		{"empty pool", []string{"--pool", "lab="}, []string{"--pool: "}},
		{"mixed families", []string{"--pool", "198.18.0.1-2001:db8::1"}, []string{`range "198.18.0.1-2001:db8::1"`}},
		{"overlap", []string{"--pool", "a=198.18.0.0/24", "--pool", "b=198.18.0.7-198.18.0.9"}, []string{"overlap"}},
		{"several at once", []string{"--pool", "x", "--log-level", "loud", "--status-addr", "nowhere"}, []string{`range "x"`, "--log-level: ", "--status-addr: "}},
		{"port 0", []string{"--gossip-addr", "198.18.0.1:0"}, []string{`--gossip-addr: "0" is not a port`}},
		{"port too large", []string{"--status-addr", ":70000"}, []string{`--status-addr: "70000" is not a port`}},
		{"gossip on no address", []string{"--gossip-addr", "0.0.0.0"}, []string{"--gossip-addr: 0.0.0.0"}},
		{"gossip address is a name", []string{"--gossip-addr", "n1:7927"}, []string{`--gossip-addr: "n1" is not an IP address`}},
		{"join", []string{"--join", "a b"}, []string{`--join: "a b"`}},
		{"glob", []string{"--interface", "eth[", "--interface", "!"}, []string{`--interface: "eth["`, `--interface: "!"`}},
		{"several globs in one", []string{"--interface", "eth0,eth1"}, []string{`--interface: "eth0,eth1"`}},
		{"node name", []string{"--node-name", "Node 1"}, []string{`--node-name: "Node 1"`}},
		{"namespace", []string{"--namespace", "-x"}, []string{`--namespace: "-x"`}},
		{"empty config", []string{"--config", file("c0", "")}, []string{`no key "pools"`}},
		{"detection", []string{"--failure-detection", "psychic"}, []string{`--failure-detection: "psychic" is not one of`}},
		{"kube-proxy", []string{"--kube-proxy-health", "127.0.0.1:10256"}, []string{`--kube-proxy-health: "127.0.0.1:10256" is not auto, none or a URL`}},
		{"kube-proxy with a path", []string{"--kube-proxy-health", "http://127.0.0.1:10256/healthz"}, []string{"--kube-proxy-health: "}},
		{"probe", []string{"--probe", "slow"}, []string{`--probe: "slow"`}},
		{"grace", []string{"--restart-grace", "2h"}, []string{"--restart-grace: 2h0m0s"}},
		{"hold of no length", []string{"--hold-down", "soon"}, []string{`--hold-down: "soon" is neither a time`}},
		{"hold of many years", []string{"--hold-down", "9999999h"}, []string{`--hold-down: "9999999h" is neither a time`}},
		{"empty hold", []string{"--hold-down="}, []string{`--hold-down: "" is neither a time`}},
		{"negative hold", []string{"--hold-down=-3s"}, []string{"--hold-down: -3s is negative"}},
		{"negative grace", []string{"--restart-grace", "-1s"}, []string{"--restart-grace: -1s"}},
		{"grace of a moment", []string{"--restart-grace", "20ms"}, []string{"--restart-grace: 20ms"}},
		{"refresh", []string{"--refresh-period", "10ms"}, []string{"--refresh-period: 10ms"}},
		{"negative refresh", []string{"--refresh-period", "-1m"}, []string{"--refresh-period: -1m"}},
		{"rate", []string{"--announce-rate", "0"}, []string{"--announce-rate: 0"}},
		{"log format", []string{"--log-format", "xml"}, []string{"--log-format: "}},
		{"no such config", []string{"--config", filepath.Join(dir, "none")}, []string{"--config: "}},
		{"a file and a ConfigMap", []string{"--config", file("c3", "pools: []\n"), "--config-map", "starling"}, []string{"--config-map: not together with --config"}},
		{"no name of a ConfigMap", []string{"--config-map", "Mine_"}, []string{`--config-map: "Mine_" is not a DNS subdomain`}},
		{"unknown key", []string{"--config", file("c1", "poools: []\n")}, []string{"poools"}},
		{"bad pool in the file", []string{"--config", file("c2", "pools:\n- name: lab\n  ranges: [\"198.18.0.9-198.18.0.1\"]\n")}, []string{"198.18.0.9"}},
		{"no such key file", []string{"--gossip-key-file", filepath.Join(dir, "none")}, []string{"--gossip-key-file: "}},
		{"bad key", []string{"--gossip-key-file", file("k", "c2hvcnQ=\n")}, []string{"--gossip-key-file: "}},
		{"certificate without a key", []string{"--status-tls-cert-file", file("cert", "")}, []string{"--status-tls-cert-file: certificate and --status-tls-key-file go together"}},
		{"no certificate", []string{"--status-tls-cert-file", file("cert", "x"), "--status-tls-key-file", file("certkey", "x")}, []string{"--status-tls-cert-file: "}},
		{"profiles for everybody", []string{"--pprof-addr", ":7929"}, []string{"--pprof-addr: "}},
		{"no such kubeconfig", []string{"--kubeconfig", filepath.Join(dir, "none")}, []string{"--kubeconfig: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"starling", "run", "--node-name", "n1"}, tt.args...)
			if tt.args == nil {
				args = []string{"starling", "frobnicate"}
			}
			var out, errOut bytes.Buffer
			if code := execute(context.Background(), args, &out, &errOut); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
			for _, want := range tt.want {
				if n := count(lines, want); n != 1 {
					t.Errorf("%d lines contain %q, want 1, in:\n%s", n, want, errOut.String())
				}
			}
			if got := len(lines) - 1; got != len(tt.want) { // the last one points to the help
				t.Errorf("%d lines of mistakes, want %d:\n%s", got, len(tt.want), errOut.String())
			}
		})
	}
}

func count(lines []string, part string) int {
	n := 0
	for _, l := range lines {
		if strings.Contains(l, part) {
			n++
		}
	}
	return n
}

// parsed runs parseConfig on a command line and environment.
func parsed(t *testing.T, args ...string) config {
	t.Helper()
	var cfg config
	app := newApp(&bytes.Buffer{}, &bytes.Buffer{})
	app.Commands[0].Action = func(c *cli.Context) (err error) {
		cfg, err = parseConfig(c)
		return err
	}
	if err := app.Run(append([]string{"starling", "run"}, args...)); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	cfg := parsed(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{
		"node": cfg.node, "namespace": cfg.namespace, "status": cfg.statusAddr,
		"detection": string(cfg.detection), "level": cfg.level.String(),
	}
	want := map[string]string{
		"node": strings.ToLower(host), "namespace": "starling-system", "status": ":7928",
		"detection": "default", "level": "info",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if cfg.gossip.ip.IsValid() || cfg.gossip.port != 7927 {
		t.Errorf("gossip at %v", cfg.gossip)
	}
}

// TestKeepConnections: they are not kept unless that is asked for.
func TestKeepConnections(t *testing.T) {
	if parsed(t).keepConnections {
		t.Error("kept by default")
	}
	if !parsed(t, "--keep-connections").keepConnections {
		t.Error("not kept with the flag")
	}
	t.Setenv("STARLING_KEEP_CONNECTIONS", "true")
	if !parsed(t).keepConnections {
		t.Error("not kept with the variable")
	}
}

// TestMetricsPerAddress: there are none unless they are asked for.
func TestMetricsPerAddress(t *testing.T) {
	if parsed(t).perAddress {
		t.Error("asked for by default")
	}
	if !parsed(t, "--metrics-per-address").perAddress {
		t.Error("not asked for by the flag")
	}
	t.Setenv("STARLING_METRICS_PER_ADDRESS", "true")
	if !parsed(t).perAddress {
		t.Error("not asked for by the variable")
	}
}

func TestWireFlags(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want wireConfig
	}{
		{"defaults", nil, wireConfig{claims.Shortened(), claims.Shortened().Longest(), time.Minute, 12_000, false, true, true}},
		{"by the book", []string{"--probe", "rfc5227"}, wireConfig{claims.RFC5227(), 7 * time.Second, time.Minute, 12_000, false, true, true}},
		{"off", []string{"--probe", "off", "--refresh-period", "0"}, wireConfig{claims.ACD{}, 0, -1, 12_000, false, true, true}},
		{"gentle", []string{"--refresh-period", "1h", "--announce-rate", "500", "--answer-ping"}, wireConfig{claims.Shortened(), claims.Shortened().Longest(), time.Hour, 500, true, true, true}},
		{"untested", []string{"--forwarding-test=false"}, wireConfig{claims.Shortened(), claims.Shortened().Longest(), time.Minute, 12_000, false, true, false}},
		{"unwatched", []string{"--wire-watch=false"}, wireConfig{claims.Shortened(), claims.Shortened().Longest(), time.Minute, 12_000, false, false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parsed(t, tt.args...).wire, cmp.AllowUnexported(wireConfig{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHoldDown(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 3 * time.Second, "0": 0, "0s": 0, "1h30m": 90 * time.Minute, "8760h": 8760 * time.Hour, "never": peers.Never} {
		args := []string{"--hold-down", value}
		if value == "" {
			args = nil
		}
		cfg := parsed(t, args...)
		if cfg.hold != want || timing(cfg.hold).Hold != want {
			t.Errorf("%q: %v and %v, want %v", value, cfg.hold, timing(cfg.hold).Hold, want)
		}
	}
	if diff := cmp.Diff(peers.Times(), timing(parsed(t).hold)); diff != "" {
		t.Errorf("without the flag the timing is not the one that is tested (-want +got):\n%s", diff)
	}
}

// TestPace: hosts are watched as fast as silent members are declared dead, unless that is not
// wanted.
func TestPace(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want time.Duration
	}{
		{nil, mesh.Default.Watch()},
		{[]string{"--failure-detection", "calm"}, mesh.Calm.Watch()},
		{[]string{"--wire-watch=false"}, 0},
	} {
		cfg := parsed(t, tt.args...)
		if got := cfg.wire.pace(cfg.detection); got != tt.want {
			t.Errorf("%q: a question every %v, want %v", tt.args, got, tt.want)
		}
	}
}

// TestVariables: every flag has a variable, and the variable does what the flag
// does, with several values separated by semicolons.
func TestVariables(t *testing.T) {
	for _, f := range runFlags() {
		name := f.Names()[0]
		want := "STARLING_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		df, ok := f.(cli.DocGenerationFlag)
		if !ok || len(df.GetEnvVars()) != 1 || df.GetEnvVars()[0] != want {
			t.Errorf("--%s: no variable %s", name, want)
		}
	}
	t.Setenv("STARLING_POOL", "a=198.18.0.1-198.18.0.9,198.18.1.0/28;b=2001:db8::/64;198.18.2.0/24;198.18.3.0/24")
	t.Setenv("STARLING_NODE_NAME", "n7")
	t.Setenv("STARLING_JOIN", "198.18.0.1;lab.example:7000;[2001:db8::1]")
	cfg := parsed(t, "--gossip-addr", "[2001:db8::7]:7000")
	var pools []string
	for _, p := range cfg.pools {
		pools = append(pools, p.Name+" "+strings.Join(p.Ranges, " "))
	}
	if diff := cmp.Diff([]string{"a 198.18.0.1-198.18.0.9 198.18.1.0/28", "b 2001:db8::/64", "default 198.18.2.0/24 198.18.3.0/24"}, pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"198.18.0.1:7927", "lab.example:7000", "[2001:db8::1]:7927"}, cfg.join); diff != "" {
		t.Errorf("join (-want +got):\n%s", diff)
	}
	if cfg.node != "n7" || cfg.gossip != (gossipAddr{netip.MustParseAddr("2001:db8::7"), 7000}) {
		t.Errorf("node %q, gossip %v", cfg.node, cfg.gossip)
	}
}

func TestWhereKubeProxyIsAsked(t *testing.T) {
	node := []netip.AddrPort{netip.MustParseAddrPort("198.18.0.7:7927"), netip.MustParseAddrPort("[2001:db8::7]:7927")}
	for value, want := range map[string][]string{
		"auto":                   {"http://127.0.0.1:10256", "http://198.18.0.7:10256", "http://[::1]:10256", "http://[2001:db8::7]:10256"},
		"none":                   nil,
		"https://198.18.0.1:99/": {"https://198.18.0.1:99"},
	} {
		cfg := parsed(t, "--kube-proxy-health", value)
		if diff := cmp.Diff(want, proxyServers(cfg.proxy, node)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", value, diff)
		}
	}
	for value, want := range map[string]uint16{
		"auto": 10256, "none": 0, "https://198.18.0.1:99/": 99, "http://127.0.0.1": 80, "https://[::1]": 443,
	} {
		if got := portOfProxy(parsed(t, "--kube-proxy-health", value).proxy); got != want {
			t.Errorf("%s: other nodes are asked at port %d, want %d", value, got, want)
		}
	}
	if diff := cmp.Diff(parsed(t, "--kube-proxy-health", "auto").proxy, parsed(t).proxy); diff != "" {
		t.Errorf("auto is not the default (-want +got):\n%s", diff)
	}
}
