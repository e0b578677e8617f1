package watcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher/kube"
	"github.com/starling-lb/starling/watcher/record"
)

// headless marks the slices of Services that have no cluster IP; those are never of type
// LoadBalancer.
const headless = "service.kubernetes.io/headless"

// ErrForeign is returned by Run when the API server turns out to be of another cluster than the
// snapshot file that the Watcher started from. A restart mends it.
var ErrForeign = errors.New("the API server is of another cluster than the snapshot file")

// Config says what a Watcher works with.
type Config struct {
	Client   *kube.Client
	NodeName string // appears as the reporter of events
	StateDir string // directory of the snapshot file; "" for none
	// KeyNamespace is where the Secret starling-gossip is followed; "" when it is not.
	KeyNamespace string
	// SetNamespace is that of the speakers' DaemonSet, which is read to know which Nodes it
	// selects; "" when it is not.
	SetNamespace string
	// ConfigMap is the ConfigMap of the configuration that is followed; zero when none is.
	ConfigMap Key
	Log       zerolog.Logger
	Registry  prometheus.Registerer // nil: metrics are not registered
}

// A Watcher follows Services, Nodes, EndpointSlices, Namespaces, the Secret of the gossip's keys
// and the ConfigMap of the configuration, and writes leases. Its methods may be called from any
// goroutine.
type Watcher struct {
	client    *kube.Client
	log       zerolog.Logger
	signal    chan struct{}
	health    *apiHealth
	services  *table
	nodes     *nodeSet
	endpoints *endpointSet
	spaces    *namespaceSet
	keys      *single[string]
	keySpace  string // namespace of the Secret of the keys, "" not followed
	setSpace  string // namespace of the DaemonSet, "" not read
	placement placer
	config    *single[configText]
	configMap Key // of the configuration, zero not followed
	events    *record.Recorder
	saved     *snapshotFile
	metrics   *metrics
}

// New returns a Watcher that does nothing until Run.
func New(c Config) (*Watcher, error) {
	if c.Client == nil {
		return nil, errors.New("watcher: Config.Client is required")
	}
	w := &Watcher{
		client: c.Client, log: c.Log, signal: make(chan struct{}, 1), keys: newSingle[string](), keySpace: c.KeyNamespace, setSpace: c.SetNamespace,
		config: newSingle[configText](), configMap: c.ConfigMap,
	}
	w.health = newAPIHealth(c.Client.Host(), c.Log, w.changed)
	w.services, w.nodes, w.endpoints = newTable(w.changed), newNodeSet(w.changed), newEndpointSet(w.changed)
	w.spaces = newNamespaceSet(w.changed)
	w.metrics = newMetrics(c.Registry, w)
	w.events = record.New(c.Client, c.NodeName, w.wroteEvent, w.metrics.events)
	w.saved = newSnapshotFile(c.StateDir, c.Log, w.metrics)
	return w, nil
}

// Run works until ctx ends, and then returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{
		w.followServices, w.followNodes, w.followEndpoints, w.followNamespaces, w.followKeys, w.followConfig, w.followPlacement, w.events.Run, w.probe, w.keepSnapshot,
	} {
		g.Go(func() error { return run(ctx) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("watch %s: %w", w.client.Host(), err)
	}
	return nil
}

func (w *Watcher) followServices(ctx context.Context) error {
	s := &stream{resource: "services", client: w.client.Core, main: true, health: w.health, metrics: w.metrics}
	s.run(ctx, &corev1.Service{}, &store[*Service]{sink: w.services, convert: readService, log: w.log})
	return nil
}

func (w *Watcher) followNodes(ctx context.Context) error {
	s := &stream{resource: "nodes", client: w.client.Core, health: w.health, metrics: w.metrics}
	s.run(ctx, &corev1.Node{}, &store[Node]{sink: w.nodes, convert: readNode, log: w.log})
	return nil
}

func (w *Watcher) followEndpoints(ctx context.Context) error {
	s := &stream{
		resource: "endpointslices", client: w.client.Discovery, health: w.health, metrics: w.metrics,
		selector: discoveryv1.LabelServiceName + ",!" + headless,
	}
	s.run(ctx, &discoveryv1.EndpointSlice{}, &store[slice]{sink: w.endpoints, convert: readSlice, log: w.log})
	return nil
}

func (w *Watcher) followNamespaces(ctx context.Context) error {
	s := &stream{resource: "namespaces", client: w.client.Core, health: w.health, metrics: w.metrics}
	s.run(ctx, &corev1.Namespace{}, &store[namespace]{sink: w.spaces, convert: readNamespace, log: w.log})
	return nil
}

func (w *Watcher) followKeys(ctx context.Context) error {
	if w.keySpace == "" {
		return nil
	}
	s := &stream{
		resource: "secrets", client: w.client.Core, health: w.health, metrics: w.metrics,
		only: Key{Namespace: w.keySpace, Name: kube.GossipSecret},
	}
	s.run(ctx, &corev1.Secret{}, &store[string]{sink: w.keys, convert: readSecret, log: w.log})
	return nil
}

func (w *Watcher) followConfig(ctx context.Context) error {
	if w.configMap.Name == "" {
		return nil
	}
	s := &stream{resource: "configmaps", client: w.client.Core, health: w.health, metrics: w.metrics, only: w.configMap}
	s.run(ctx, &corev1.ConfigMap{}, &store[configText]{sink: w.config, convert: readConfigMap, log: w.log})
	return nil
}

func (w *Watcher) changed() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// Changed tells one reader that something may have changed.
func (w *Watcher) Changed() <-chan struct{} { return w.signal }

// Drain returns the changes of Services since the last Drain as one atomic step, and names those
// whose endpoints changed.
func (w *Watcher) Drain() Changes {
	c, _ := w.services.drain()
	c.Endpoints = w.endpoints.drain()
	return c
}

// State is what is known besides the Services. Slices and maps are read-only.
type State struct {
	Cluster   string            // UID of the Namespace kube-system, "" unknown
	Nodes     []Node            // sorted by name
	Endpoints map[Key]Endpoints // of all Services that have an EndpointSlice
	// Namespaces are the labels of the Namespaces that are known, empty where there are none;
	// NamespaceEdits differs when they do. Synced does not wait for them: only pools that choose by
	// these labels do.
	Namespaces     map[string]map[string]string
	NamespaceEdits uint64
	Synced         bool // Services, Nodes and EndpointSlices were each listed once from the API server
	// Stale says that what Drain handed out so far came from the snapshot file, or from nowhere: no
	// lease step may be taken from it. It changes with Drain only.
	Stale bool
	// LastContact is when the API server last proved that we learn of changes: something arrived on
	// a watch, or was answered, while Services are being watched. In a quiet cluster that is at
	// most 15 s ago. After a start from the snapshot file it is the time of that file.
	LastContact time.Time
	Conditions  []health.Condition // what does not work at present, sorted by words
	// Placement says which Nodes are to have a speaker; nil: that is not known.
	Placement *Placement
}

// State returns a snapshot.
func (w *Watcher) State() State {
	spaces, edits := w.spaces.snapshot()
	return State{
		Cluster:     w.health.clusterID(),
		Nodes:       w.nodes.list(),
		Endpoints:   w.endpoints.snapshot(),
		Namespaces:  spaces,
		Synced:      w.synced(),
		Stale:       w.services.stale(),
		LastContact: w.health.lastContact(),
		Conditions:  w.health.list(),
		Placement:   w.placement.get(),

		NamespaceEdits: edits,
	}
}

// HasNode reports whether State has a Node of that name, at less expense: gossip asks for each word
// about a member.
func (w *Watcher) HasNode(name string) bool {
	s := State{Nodes: w.nodes.list()}
	return s.Node(name).Name != ""
}

func (w *Watcher) synced() bool {
	return w.services.synced() && w.nodes.synced() && w.endpoints.synced()
}

func (w *Watcher) wroteEvent(ctx context.Context, space string, err error) {
	w.health.wrote(ctx, events(space), err)
}

// Event queues an Event about a Service or a Node. It never blocks; when too many wait, the event
// is dropped and counted.
func (w *Watcher) Event(e Event) { w.events.Add(e) }

// Event is something to tell by kubectl describe.
type Event = record.Event
