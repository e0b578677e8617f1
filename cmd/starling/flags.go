package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
)

const (
	gossipPort       = 7927
	defaultNamespace = "starling-system"
	ownNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// config is a checked command line of `starling run`.
type config struct {
	node, kubeconfig, namespace string
	interfaces                  []string
	pools                       []lease.Pool // from --pool
	configFile                  string
	configMap                   string // its name, in namespace
	gossip                      gossipAddr
	join                        []string // host:port
	keyFile                     string
	statusAddr                  string
	statusCert, statusKey       string // files; "" without TLS
	statusAuth                  bool
	pprofAddr                   string // "" for none
	classes                     lease.Classes
	detection                   mesh.Detection
	grace                       time.Duration // of a speaker that is away
	hold                        time.Duration // of a node that comes back
	stateDir                    string
	proxy                       []string // where kube-proxy may answer, "" for the node's own address
	ignoreExclude               bool
	keepConnections             bool
	perAddress                  bool
	wire                        wireConfig
	level                       zerolog.Level
	console                     bool
}

// gossipAddr is where gossip listens; an invalid address means the node's own.
type gossipAddr struct {
	ip   netip.Addr
	port uint16
}

func env(name string) []string { return []string{"STARLING_" + name} }

func runFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "node-name", EnvVars: env("NODE_NAME"), Usage: "name of this node in Kubernetes", DefaultText: "the hostname"},
		&cli.StringFlag{Name: "kubeconfig", EnvVars: env("KUBECONFIG"), Usage: "kubeconfig `FILE` for the API server", DefaultText: "in-cluster"},
		&cli.StringFlag{Name: "namespace", EnvVars: env("NAMESPACE"), Usage: "namespace of the Secret starling-gossip and the DaemonSet starling", DefaultText: "that of this Pod, else " + defaultNamespace},
		&cli.StringSliceFlag{Name: "interface", EnvVars: env("INTERFACE"), Usage: "announce on the interfaces that match `PATTERN`: a name or a glob; with ! in front, not on these; repeatable, in the variable separated by ;", DefaultText: "automatic"},
		&cli.StringSliceFlag{Name: "pool", EnvVars: env("POOL"), Usage: "hand out the addresses `[NAME=]RANGE[,RANGE...]`; a RANGE is a CIDR or first-last; repeatable, in the variable separated by ;"},
		&cli.StringFlag{Name: "config", EnvVars: env("CONFIG"), Usage: "configuration `FILE` with the pools; read again when it changes"},
		&cli.StringFlag{Name: "config-map", EnvVars: env("CONFIG_MAP"), Usage: "`NAME` of the ConfigMap with the pools, in place of a file: its entry starling.yaml, or its only entry; followed by a watch"},
		&cli.StringFlag{Name: "gossip-addr", EnvVars: env("GOSSIP_ADDR"), Usage: "`IP[:PORT]` to gossip on, TCP and UDP", DefaultText: "the node's first InternalIP of each family, port 7927"},
		&cli.StringSliceFlag{Name: "join", EnvVars: env("JOIN"), Usage: "join the speaker at `HOST[:PORT]`, besides those on the cluster's nodes; repeatable, in the variable separated by ;"},
		&cli.StringFlag{Name: "gossip-key-file", EnvVars: env("GOSSIP_KEY_FILE"), Usage: "`FILE` with gossip keys, one a line: 32 bytes in base64; the first one encrypts; read again when it changes", DefaultText: "the Secret starling-gossip"},
		&cli.StringFlag{Name: "status-addr", EnvVars: env("STATUS_ADDR"), Value: ":7928", Usage: "serve the status page, probes and metrics on `ADDR`"},
		&cli.StringFlag{Name: "status-tls-cert-file", EnvVars: env("STATUS_TLS_CERT_FILE"), Usage: "`FILE` with the certificate to serve status with TLS; read again when it changes", DefaultText: "none"},
		&cli.StringFlag{Name: "status-tls-key-file", EnvVars: env("STATUS_TLS_KEY_FILE"), Usage: "`FILE` with the key of that certificate", DefaultText: "none"},
		&cli.BoolFlag{Name: "status-auth", EnvVars: env("STATUS_AUTH"), Usage: "require a Kubernetes bearer token authorized to GET the path, except for probes and on the loopback; implies TLS, with a self-signed certificate if none is given"},
		&cli.StringFlag{Name: "pprof-addr", EnvVars: env("PPROF_ADDR"), Usage: "serve profiles for go tool pprof on this loopback `ADDR`", DefaultText: "none"},
		&cli.StringSliceFlag{Name: "lb-class", EnvVars: env("LB_CLASS"), Usage: "serve Services of the loadBalancerClass `CLASS`; an empty one stands for Services without a class; repeatable, in the variable separated by ;", DefaultText: "only Services without a class"},
		&cli.StringFlag{Name: "failure-detection", EnvVars: env("FAILURE_DETECTION"), Value: "default", Usage: "how soon to declare a silent node dead: fast, default or calm"},
		&cli.DurationFlag{Name: "restart-grace", EnvVars: env("RESTART_GRACE"), Value: time.Minute, Usage: "keep the addresses of a node for this `DURATION` while its speaker is restarted and its host lives; 0: a speaker that stops hands them over at once"},
		&cli.StringFlag{Name: "hold-down", EnvVars: env("HOLD_DOWN"), Value: "3s", Usage: "let other nodes go first for this `DURATION` when this node comes back; 0: not at all; never: until it is the only one, or starling return ends that"},
		&cli.BoolFlag{Name: "keep-connections", EnvVars: env("KEEP_CONNECTIONS"), Usage: "when an address moves away from a live node, pass packets of TCP connections that began on that node to it; needs the capability NET_ADMIN"},
		&cli.StringFlag{Name: "kube-proxy-health", EnvVars: env("KUBE_PROXY_HEALTH"), Value: "auto", Usage: "kube-proxy health endpoint to wait for before announcing: auto (port 10256 of the node, if any node has it), none or `URL`; nodes without an answer announce last"},
		&cli.StringFlag{Name: "state-dir", EnvVars: env("STATE_DIR"), Usage: "keep the last known state in `FOLDER`, gossip keys and BGP passwords included, to start without the API server", DefaultText: "none"},
		&cli.BoolFlag{Name: "ignore-exclude-label", EnvVars: env("IGNORE_EXCLUDE_LABEL"), Usage: "announce also from nodes labeled node.kubernetes.io/exclude-from-external-load-balancers"},
		&cli.BoolFlag{Name: "metrics-per-address", EnvVars: env("METRICS_PER_ADDRESS"), Usage: "add metrics of each address that this node announces, for up to 1,000 addresses"},
		&cli.StringFlag{Name: "log-level", EnvVars: env("LOG_LEVEL"), Value: "info", Usage: "debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", EnvVars: env("LOG_FORMAT"), Value: "json", Usage: "json or console"},
	}, wireFlags()...)
}

// parseConfig checks every flag before anything is touched. The error joins one
// line for each mistake.
func parseConfig(c *cli.Context) (config, error) {
	cfg := config{
		node:          c.String("node-name"),
		kubeconfig:    c.String("kubeconfig"),
		namespace:     c.String("namespace"),
		interfaces:    c.StringSlice("interface"),
		configFile:    c.String("config"),
		configMap:     c.String("config-map"),
		keyFile:       c.String("gossip-key-file"),
		statusAddr:    c.String("status-addr"),
		statusCert:    c.String("status-tls-cert-file"),
		statusKey:     c.String("status-tls-key-file"),
		statusAuth:    c.Bool("status-auth"),
		pprofAddr:     c.String("pprof-addr"),
		stateDir:      c.String("state-dir"),
		ignoreExclude: c.Bool("ignore-exclude-label"),
		perAddress:    c.Bool("metrics-per-address"),

		keepConnections: c.Bool("keep-connections"),
	}
	var errs []error
	check := func(flag string, err error) {
		if err != nil {
			errs = append(errs, prefixed("--"+flag, err))
		}
	}
	if c.Args().Present() {
		errs = append(errs, fmt.Errorf("unexpected argument %q", c.Args().First()))
	}
	var err error
	cfg.node, err = nodeName(cfg.node)
	check("node-name", err)
	cfg.namespace, err = ownNamespace(cfg.namespace)
	check("namespace", err)
	check("interface", checkPatterns(cfg.interfaces))
	cfg.classes, err = lease.NewClasses(c.StringSlice("lb-class"))
	check("lb-class", err)
	for _, p := range c.StringSlice("pool") {
		pool, err := lease.ParsePoolFlag(p)
		check("pool", err)
		if err == nil {
			cfg.pools = addPool(cfg.pools, pool)
		}
	}
	switch {
	case cfg.configMap == "":
	case cfg.configFile != "":
		check("config-map", errors.New("not together with --config: the pools are in a ConfigMap or in a file"))
	default:
		check("config-map", checkName(cfg.configMap))
	}
	cfg.gossip, err = parseGossipAddr(c.String("gossip-addr"))
	check("gossip-addr", err)
	for _, j := range c.StringSlice("join") {
		hostPort, err := parseJoin(j)
		check("join", err)
		cfg.join = append(cfg.join, hostPort)
	}
	check("status-addr", checkListen(cfg.statusAddr))
	cfg.proxy, err = parseProxy(c.String("kube-proxy-health"))
	check("kube-proxy-health", err)
	if (cfg.statusCert == "") != (cfg.statusKey == "") {
		check("status-tls-cert-file", errors.New("certificate and --status-tls-key-file go together"))
	}
	check("pprof-addr", checkLoopback(cfg.pprofAddr))
	cfg.detection, err = mesh.ParseDetection(c.String("failure-detection"))
	check("failure-detection", err)
	cfg.grace, err = parseGrace(c.Duration("restart-grace"))
	check("restart-grace", err)
	cfg.hold, err = parseHold(c.String("hold-down"))
	check("hold-down", err)
	cfg.wire = parseWire(c, check)
	cfg.level, err = parseLevel(c.String("log-level"))
	check("log-level", err)
	cfg.console, err = parseFormat(c.String("log-format"))
	check("log-format", err)
	return cfg, errors.Join(errs...)
}

// parseHold is how long a node that comes back lets others go first.
func parseHold(text string) (time.Duration, error) {
	if text == "never" {
		return peers.Never, nil
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is neither a time, such as 3s or 10m, nor never", text)
	case d < 0:
		return 0, fmt.Errorf("%v is negative: use 0 to let no other node go first", d)
	}
	return d, nil
}

// graceMost is the longest grace that can be asked for.
const graceMost = time.Hour

// parseGrace checks how long a speaker may be away. Others learn it in whole seconds.
func parseGrace(d time.Duration) (time.Duration, error) {
	switch {
	case d < 0:
		return 0, fmt.Errorf("%v is negative: use 0 to hand addresses over whenever a speaker stops", d)
	case d > graceMost:
		return 0, fmt.Errorf("%v is longer than %v: for so long no other node would take the addresses of one whose speaker is gone", d, graceMost)
	case d > 0 && d < time.Second:
		return 0, fmt.Errorf("%v is shorter than a second: no speaker is back so soon, use 0 or at least 1s", d)
	}
	return d.Truncate(time.Second), nil
}

// prefixed puts the flag in front of every line of a joined error.
func prefixed(flag string, err error) error {
	var errs []error
	for line := range strings.Lines(err.Error()) {
		errs = append(errs, fmt.Errorf("%s: %s", flag, strings.TrimRight(line, "\n")))
	}
	return errors.Join(errs...)
}

// addPool adds the pool of one flag; flags of one name make one pool.
func addPool(pools []lease.Pool, p lease.Pool) []lease.Pool {
	i := slices.IndexFunc(pools, func(o lease.Pool) bool { return o.Name == p.Name })
	if i < 0 {
		return append(pools, p)
	}
	pools[i].Ranges = append(pools[i].Ranges, p.Ranges...)
	return pools
}

// objectName is what Kubernetes takes for the name of a Node or a Namespace: a
// DNS subdomain (RFC 1123).
var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func checkName(name string) error {
	if len(name) > 253 || !objectName.MatchString(name) {
		return fmt.Errorf("%q is not a DNS subdomain (RFC 1123): at most 253 letters a-z, digits, dashes and dots", name)
	}
	return nil
}

func nodeName(name string) (string, error) {
	if name != "" {
		return name, checkName(name)
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("not given, and the host has no name: %w", err)
	}
	name = strings.ToLower(name)
	return name, checkName(name)
}

func ownNamespace(name string) (string, error) {
	if name != "" {
		return name, checkName(name)
	}
	if b, err := os.ReadFile(ownNamespaceFile); err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	return defaultNamespace, nil
}

func checkPatterns(patterns []string) error {
	var errs []error
	for _, p := range patterns {
		if _, err := path.Match(strings.TrimPrefix(p, "!"), ""); err != nil || strings.TrimPrefix(p, "!") == "" || strings.ContainsAny(p, ", ") {
			errs = append(errs, fmt.Errorf("%q is not a name or a glob", p))
		}
	}
	return errors.Join(errs...)
}

func parseGossipAddr(s string) (gossipAddr, error) {
	if s == "" {
		return gossipAddr{port: gossipPort}, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return gossipAddr{ip.Unmap(), gossipPort}, checkNodeIP(ip)
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return gossipAddr{}, fmt.Errorf("%q is not IP[:PORT]", s)
	}
	port, err := parsePort(p)
	if err != nil {
		return gossipAddr{}, err
	}
	if host == "" {
		return gossipAddr{port: port}, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return gossipAddr{}, fmt.Errorf("%q is not an IP address", host)
	}
	return gossipAddr{ip.Unmap(), port}, checkNodeIP(ip)
}

func checkNodeIP(ip netip.Addr) error {
	if ip.IsUnspecified() || ip.IsMulticast() {
		return fmt.Errorf("%s cannot be the address of a node: the others could not reach it", ip)
	}
	return nil
}

func parseJoin(s string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(ip, gossipPort).String(), nil
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		host, p = s, strconv.Itoa(gossipPort)
	}
	if host == "" || strings.ContainsAny(host, ":/ ") {
		return "", fmt.Errorf("%q is not HOST[:PORT]", s)
	}
	port, err := parsePort(p)
	return net.JoinHostPort(host, strconv.Itoa(int(port))), err
}

func parsePort(s string) (uint16, error) {
	p, err := strconv.ParseUint(s, 10, 16)
	if err != nil || p == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", s)
	}
	return uint16(p), nil
}

func checkListen(s string) error {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not [IP]:PORT", s)
	}
	if _, err := netip.ParseAddr(host); host != "" && host != "localhost" && err != nil {
		return fmt.Errorf("%q is not an IP address", host)
	}
	_, err = parsePort(p)
	return err
}

// proxyPort is where kube-proxy tells its health by default.
const proxyPort = "10256"

// parseProxy lists where to ask; auto is the loopback, and the address of the node.
func parseProxy(s string) ([]string, error) {
	switch s {
	case "none":
		return nil, nil
	case "auto":
		return []string{"http://" + net.JoinHostPort("127.0.0.1", proxyPort), ""}, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is not auto, none or a URL such as http://127.0.0.1:%s, without a path", s, proxyPort)
	}
	return []string{strings.TrimSuffix(s, "/")}, nil
}

func parseLevel(s string) (zerolog.Level, error) {
	switch l, err := zerolog.ParseLevel(s); {
	case err != nil, l < zerolog.DebugLevel, l > zerolog.ErrorLevel:
		return 0, fmt.Errorf("%q is not one of debug, info, warn, error", s)
	default:
		return l, nil
	}
}

func parseFormat(s string) (console bool, err error) {
	if s != "json" && s != "console" {
		return false, fmt.Errorf("%q is not one of json, console", s)
	}
	return s == "console", nil
}
