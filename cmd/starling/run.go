//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/bgp"
	"github.com/starling-lb/starling/doctor"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/nft"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/speaker"
	"github.com/starling-lb/starling/status"
	"github.com/starling-lb/starling/watcher"
	"github.com/starling-lb/starling/watcher/kube"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run the speaker on this node",
		Flags: runFlags(),
		Action: func(c *cli.Context) error {
			cfg, err := parseConfig(c)
			lines := &journal{}
			log := newLogger(c.App.ErrWriter, cfg.level, cfg.console, lines)
			keys, keyErr := newKeyring(cfg, log)
			set, setErr := newSettings(cfg, log)
			cert, certErr := certificate(cfg)
			if err = errors.Join(err, keyErr, setErr, certErr); err != nil {
				return usageError{command: "run ", err: err}
			}
			client, err := kube.Connect(cfg.kubeconfig, "starling/"+version())
			if err != nil {
				return usageError{command: "run ", err: fmt.Errorf("--kubeconfig: %w", err)}
			}
			watcher.SetLogger(log)
			p := newProcess(cfg, set, client, keys, log)
			p.journal = lines
			p.cert = cert
			return p.run(c.Context)
		},
	}
}

// process is one running speaker with all its rooms.
type process struct {
	cfg      config
	settings *settings
	client   *kube.Client
	keys     *keyring
	cert     status.Certificate // nil: without TLS
	log      zerolog.Logger
	registry *prometheus.Registry
	journal  *journal
	doctor   *doctor.Examiner
	returns  *returnFile
	members  *memberFile
	speaker  atomic.Pointer[speaker.Speaker] // nil until the loop is made
	mesh     atomic.Pointer[mesh.Mesh]       // nil until it is made
	waiting  atomic.Pointer[string]          // what the start waits for
}

func newProcess(cfg config, set *settings, client *kube.Client, keys *keyring, log zerolog.Logger) *process {
	p := &process{cfg: cfg, settings: set, client: client, keys: keys, log: log, registry: prometheus.NewRegistry(), journal: &journal{}}
	p.returns, p.members = &returnFile{dir: cfg.stateDir, log: log}, newMemberFile(cfg.stateDir, log)
	p.doctor = examiner(cfg.node, p.snapshot)
	keys.wake = set.signal
	p.registry.MustRegister(set.collectors()...)
	p.registry.MustRegister(keys.failures)
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return p
}

// run starts the rooms in order, waits for the end, and stops them in the
// reverse order: the loop hands over, the mesh is left, the wire closes.
func (p *process) run(ctx context.Context) error {
	p.log.Info().Str("node", p.cfg.node).Str("version", version()).Msg("starting")
	t := newTasks()
	err := p.start(ctx, t)
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-t.failed:
		}
	}
	if ctx.Err() != nil {
		err = nil // asked to stop, also while still starting
		p.returns.forget()
	}
	stopErr := t.stop()
	p.log.Info().Msg("stopped")
	return errors.Join(err, stopErr)
}

func (p *process) start(ctx context.Context, t *tasks) error {
	web := status.New(status.Config{
		Addr:     p.cfg.statusAddr,
		Snapshot: p.snapshot,
		Who:      p.who,
		Leases:   p.leases,
		Events:   p.journal.list,
		Doctor:   p.doctor.Examine,
		Healthy:  p.healthy,
		Gatherer: p.registry,
		Registry: p.registry,
		Fellows:  p.fellow,
		Cert:     p.cert,
		Allow:    p.allow(),
		Secrets:  p.keys.inForce,
		Log:      p.room("status"),
	})
	t.start("memory", limitMemory)
	t.start("status", web.Run)
	if p.cfg.pprofAddr != "" {
		t.start("profiles", profiles(p.cfg.pprofAddr, p.room("profiles")))
	}
	w, err := watcher.New(watcher.Config{
		Client:   p.client,
		NodeName: p.cfg.node,
		StateDir: p.cfg.stateDir,
		Log:      p.room("watcher"),
		Registry: p.registry,

		KeyNamespace: p.keys.namespace(p.cfg),
		ConfigMap:    p.settings.object,
		SetNamespace: p.cfg.namespace,
	})
	if err != nil {
		return fmt.Errorf("watcher: %w", err)
	}
	t.start("watcher", w.Run)
	t.start("settings", p.settings.Run)
	b, err := p.bootstrap(ctx, w, t.failed)
	if err != nil {
		return err
	}
	return p.startSpeaker(t, w, b)
}

// certificate is that of the files, or made for --status-auth alone: a token must not travel in the
// clear.
func certificate(cfg config) (status.Certificate, error) {
	switch {
	case cfg.statusCert != "" && cfg.statusKey != "":
		c, err := status.CertificateFiles(cfg.statusCert, cfg.statusKey)
		if err != nil {
			return nil, fmt.Errorf("--status-tls-cert-file: %w", err)
		}
		return c, nil
	case cfg.statusAuth:
		return status.SelfSigned(cfg.node)
	}
	return nil, nil
}

// allow asks the API server who may see the status, if that was asked for.
func (p *process) allow() status.Allow {
	if !p.cfg.statusAuth {
		return nil
	}
	return kube.NewReviewer(p.client).Allow
}

// startSpeaker starts what needs the cluster's identity and the gossip key.
func (p *process) startSpeaker(t *tasks, w *watcher.Watcher, b bootstrap) error {
	wire, err := arpd.New(arpd.Config{
		Interfaces: p.cfg.interfaces,
		Node:       p.cfg.node,
		Cluster:    b.cluster,
		Keys:       b.keys,
		AnswerPing: p.cfg.wire.ping,
		Testing:    p.cfg.wire.test,
		Probing:    p.cfg.wire.probing,
		Refresh:    p.cfg.wire.refresh,
		Rate:       p.cfg.wire.rate,
		PerAddress: p.cfg.perAddress,
		Log:        p.room("arpd"),
		Registry:   p.registry,
	})
	if err != nil {
		return fmt.Errorf("arpd: %w", err)
	}
	nodes := func() []watcher.Node { return w.State().Nodes }
	local := lastKnown(func() []netip.AddrPort { return gossipAddrs(p.cfg, nodes()) })
	m, err := mesh.New(mesh.Config{
		Name:      p.cfg.node,
		Bind:      b.addr,
		Local:     local,
		Label:     b.cluster,
		Keys:      b.keys,
		First:     speaker.First(p.cfg.grace),
		Detection: p.cfg.detection,
		Seeds:     seeds(nodes, p.cfg.join, b.addr.Port()),
		Admit:     w.HasNode,
		Log:       p.room("mesh"),
		Registry:  p.registry,
	})
	if err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	cfg := p.speakerConfig(w, b.cluster, m, wire)
	if len(p.cfg.proxy) > 0 {
		health := proxy.New(proxy.Config{Servers: func() []string { return proxyServers(p.cfg.proxy, local()) }, Log: p.room("proxy")})
		t.start("proxy", health.Run)
		cfg.Proxy = health
	}
	if p.cfg.keepConnections {
		cfg.Flows = nft.New(p.cfg.grace+passFor, p.registry)
	}
	routers := bgp.New(bgp.Config{Log: p.room("bgp"), Registry: p.registry})
	secrets := newPasswords(p.routerPassword, p.settings.signal, passwordCopy{dir: p.cfg.stateDir, cluster: b.cluster, log: p.log})
	cfg.Routers, cfg.Passwords = routers, secrets.of
	s := speaker.New(cfg)
	p.doctor.Meet(
		func() []doctor.Peer { return others(p.cfg.node, local(), nodes(), m.Members()) },
		func(ctx context.Context, o doctor.Peer) (time.Duration, error) { return m.Probe(ctx, o.Name, o.Addr) },
	)
	p.speaker.Store(s)
	p.mesh.Store(m)
	if p.cfg.grace > 0 {
		t.start("members", p.members.run(p.cfg.grace/2)) // half as old as it may be, should this process crash
	}
	t.start("arpd", wire.Run)
	t.start("mesh", m.Run)
	t.start("keys", func(ctx context.Context) error {
		return p.keys.follow(ctx, following{b.cluster, w.GossipKeys, w.GossipKeysChanged(), func(keys [][]byte) error {
			return errors.Join(m.SetKeys(keys), wire.SetKeys(keys))
		}})
	})
	if p.settings.object.Name != "" {
		t.start("configuration", func(ctx context.Context) error {
			return p.settings.follow(ctx, w.Configuration, w.ConfigurationChanged())
		})
	}
	t.start("passwords", secrets.Run)
	t.start("bgp", routers.Run)
	t.start("speaker", s.Run)
	return nil
}

// routerPassword reads the password of a BGP router from a Secret in the namespace of the speaker.
func (p *process) routerPassword(ctx context.Context, name string) (string, error) {
	return kube.Password(ctx, p.client, p.cfg.namespace, name)
}

// passFor is for how long the kernel passes packets on while no speaker runs, beyond the grace.
const passFor = 10 * time.Minute

// speakerConfig is what the loop goes by, and the rooms that it drives.
func (p *process) speakerConfig(w *watcher.Watcher, cluster string, m *mesh.Mesh, wire *arpd.Responder) speaker.Config {
	return speaker.Config{
		Node:          p.cfg.node,
		Version:       version(),
		Installation:  cluster,
		Classes:       p.cfg.classes,
		Grace:         p.cfg.grace,
		Timing:        timing(p.cfg.hold),
		Pace:          p.cfg.wire.pace(p.cfg.detection),
		Testing:       p.cfg.wire.test,
		ProxyPort:     portOfProxy(p.cfg.proxy),
		IgnoreExclude: p.cfg.ignoreExclude,
		ProbeTime:     p.cfg.wire.trial,
		Earlier:       p.members.read(),
		Remember:      p.members.remember,
		LastReturn:    p.returns.read(),
		Returned:      func(r peers.Return) { go p.returns.write(r) }, // the loop does not wait for a disk
		Mesh:          m,
		Wire:          wire,
		Cluster:       w,
		API:           w,
		Settings:      sources{p.settings, p.keys},
		Pings:         m.Pings,
		Counts:        w.Counts,
		Log:           p.room("speaker"),
		Registry:      p.registry,
		PerAddress:    p.cfg.perAddress,
	}
}

// timing is the standard one but for the hold of a node that comes back.
func timing(hold time.Duration) peers.Timing {
	t := peers.Times()
	t.Hold = hold
	return t
}

// proxyServers puts the addresses of the node where they are meant, with the loopback of IPv6
// before one of IPv6: k3s has kube-proxy listen there if that is the node's first family.
func proxyServers(servers []string, node []netip.AddrPort) (all []string) {
	for _, server := range servers {
		if server != "" {
			all = append(all, server)
			continue
		}
		for _, a := range node {
			if a.Addr().Is6() {
				all = append(all, "http://"+net.JoinHostPort(netip.IPv6Loopback().String(), proxyPort))
			}
			all = append(all, "http://"+net.JoinHostPort(a.Addr().String(), proxyPort))
		}
	}
	return all
}

// portOfProxy is where kube-proxy of other nodes says that it is up; 0: nowhere.
func portOfProxy(servers []string) uint16 {
	for _, server := range proxyServers(servers, []netip.AddrPort{{}}) {
		u, err := url.Parse(server)
		if err != nil {
			continue
		}
		if n, err := net.LookupPort("tcp", cmp.Or(u.Port(), u.Scheme)); err == nil {
			return uint16(n) //nolint:gosec // a port
		}
	}
	return 0
}

func (p *process) room(name string) zerolog.Logger {
	return p.log.With().Str("room", name).Logger()
}

// snapshot is what status shows; before the loop exists, what is waited for.
func (p *process) snapshot() api.Snapshot {
	if s := p.speaker.Load(); s != nil {
		return s.Snapshot()
	}
	reason := "starting"
	if w := p.waiting.Load(); w != nil {
		reason = *w
	}
	r := api.Snapshot{Node: p.cfg.node, Version: version(), Reasons: []string{reason}}
	r.Conditions = []health.Condition{health.New(health.Starting, health.Node(p.cfg.node), reason)}
	r.Findings = api.Findings(r.Conditions, p.cfg.node)
	return r
}

// fellow reports whether an address is another node's.
func (p *process) fellow(a netip.Addr) bool {
	m := p.mesh.Load()
	return m != nil && m.Knows(a)
}

// who and leases are nothing before the loop exists.
func (p *process) who(ip netip.Addr) api.Who {
	if s := p.speaker.Load(); s != nil {
		return s.Who(ip)
	}
	return api.Who{Node: p.cfg.node, IP: ip.String(), Words: "this speaker has decided nothing yet: it is starting"}
}

func (p *process) leases() []api.Lease {
	if s := p.speaker.Load(); s != nil {
		return s.Leases()
	}
	return []api.Lease{}
}

func (p *process) healthy() error {
	if s := p.speaker.Load(); s != nil {
		return s.Healthy()
	}
	return nil
}
