package watcher

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
)

// The snapshot file lets a speaker that restarts while the API server is away know its addresses. It is a hint: it is
// read only when the API server does not answer at once, and the first real list replaces all of it.
//
// One JSON value per line: a header, any number of objects, and a trailer by which a file that was cut short is known.
const (
	snapshotName   = "cluster.jsonl"
	snapshotFormat = 1
	snapshotSoon   = 1 * time.Second // at start an API server that fails has this long
	snapshotWait   = 3 * time.Second // and one that is silent this long
	saveEvery      = 5 * time.Second // after a change of Services or Nodes
	saveEndpoints  = time.Minute     // after a change of endpoints alone, which are never still in a large cluster
	saveContact    = time.Minute     // the file's time is the time of the last contact, kept this exact
)

// saved is the content of the file in memory.
type saved struct {
	Cluster   string
	Contact   time.Time // the last contact: the file's modification time
	Services  []Service
	Nodes     []Node
	Endpoints map[Key]Endpoints // of the Services above
}

// A savedLine has exactly one of its fields.
type savedLine struct {
	Header    *savedHeader    `json:"header,omitempty"`
	Service   *Service        `json:"service,omitempty"`
	Node      *Node           `json:"node,omitempty"`
	Endpoints *savedEndpoints `json:"endpoints,omitempty"`
	Objects   *int            `json:"objects,omitempty"` // the trailer: how many lines came before, the header left out
}

type savedHeader struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
}

type savedEndpoints struct {
	Service Key      `json:"service"`
	Nodes   []string `json:"nodes"`
}

// encode writes line by line: the whole file in memory would double a large cluster's footprint.
func (s saved) encode(w io.Writer) error {
	e := json.NewEncoder(w)
	err := e.Encode(savedLine{Header: &savedHeader{snapshotFormat, s.Cluster}})
	objects := 0
	line := func(l savedLine) {
		if err == nil {
			err = e.Encode(l)
			objects++
		}
	}
	for i := range s.Nodes {
		line(savedLine{Node: &s.Nodes[i]})
	}
	for i := range s.Services {
		line(savedLine{Service: &s.Services[i]})
		if at, ok := s.Endpoints[s.Services[i].Key()]; ok {
			line(savedLine{Endpoints: &savedEndpoints{s.Services[i].Key(), at.Nodes}})
		}
	}
	if err == nil {
		err = e.Encode(savedLine{Objects: &objects})
	}
	return err
}

var errDamaged = errors.New("damaged snapshot file")

func decode(r io.Reader) (saved, error) {
	d := json.NewDecoder(r)
	var first savedLine
	if err := d.Decode(&first); err != nil || first.Header == nil {
		return saved{}, fmt.Errorf("%w: no header", errDamaged)
	}
	if first.Header.Format != snapshotFormat {
		return saved{}, fmt.Errorf("snapshot file of format %d, want %d", first.Header.Format, snapshotFormat)
	}
	s := saved{Cluster: first.Header.Cluster, Endpoints: map[Key]Endpoints{}}
	for objects := 0; ; objects++ {
		var l savedLine
		if err := d.Decode(&l); err != nil {
			return saved{}, fmt.Errorf("%w: object %d: %w", errDamaged, objects, err)
		}
		if l.Objects != nil {
			if *l.Objects != objects {
				return saved{}, fmt.Errorf("%w: %d objects of %d", errDamaged, objects, *l.Objects)
			}
			return s, nil
		}
		s.add(l)
	}
}

func (s *saved) add(l savedLine) {
	switch {
	case l.Service != nil:
		s.Services = append(s.Services, *l.Service)
	case l.Node != nil:
		s.Nodes = append(s.Nodes, *l.Node)
	case l.Endpoints != nil:
		s.Endpoints[l.Endpoints.Service] = Endpoints{Nodes: l.Endpoints.Nodes}
	}
}

// A snapshotFile is the file's place.
type snapshotFile struct {
	dir     string
	log     zerolog.Logger
	metrics *metrics
	failing bool // the last save failed; used by one goroutine
}

func newSnapshotFile(dir string, log zerolog.Logger, m *metrics) *snapshotFile {
	return &snapshotFile{dir: dir, log: log, metrics: m}
}

func (f *snapshotFile) path() string { return filepath.Join(f.dir, snapshotName) }

// read returns what the file holds. That there is none is no error worth a word.
func (f *snapshotFile) read() (saved, bool) {
	file, err := os.Open(f.path())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.refused(err)
		}
		return saved{}, false
	}
	defer file.Close()
	s, err := decode(bufio.NewReader(file))
	if err != nil {
		f.refused(err)
		return saved{}, false
	}
	if info, err := file.Stat(); err == nil {
		s.Contact = info.ModTime()
	}
	f.metrics.snapshots.WithLabelValues("loaded").Inc()
	return s, true
}

func (f *snapshotFile) refused(err error) {
	f.metrics.snapshots.WithLabelValues("refused").Inc()
	f.log.Warn().Err(err).Str("file", f.path()).Msg("snapshot file ignored")
}

// write replaces the file. An error is told once: the file is a convenience, and the disk may be full for days.
func (f *snapshotFile) write(s saved) {
	err := f.replace(s)
	if err == nil {
		f.failing = false
		f.metrics.snapshots.WithLabelValues("written").Inc()
		return
	}
	f.metrics.snapshots.WithLabelValues("failed").Inc()
	if !f.failing {
		f.log.Warn().Err(err).Str("file", f.path()).Msg("snapshot file not written")
	}
	f.failing = true
}

// touch notes the time of the last contact. A file that is missing is written with the next change.
func (f *snapshotFile) touch(contact time.Time) error {
	return os.Chtimes(f.path(), time.Time{}, contact)
}

// replace writes beside the file and renames, so that a crash leaves the old one or the new one.
func (f *snapshotFile) replace(s saved) (err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("create %s: %w", f.dir, err)
	}
	tmp, err := os.CreateTemp(f.dir, snapshotName+".*")
	if err != nil {
		return fmt.Errorf("create beside %s: %w", f.path(), err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	defer tmp.Close()
	w := bufio.NewWriter(tmp)
	if err := errors.Join(s.encode(w), w.Flush(), tmp.Sync()); err != nil {
		return fmt.Errorf("write %s: %w", tmp.Name(), err)
	}
	if err := os.Chtimes(tmp.Name(), time.Time{}, s.Contact); err != nil {
		return fmt.Errorf("date %s: %w", tmp.Name(), err)
	}
	if err := os.Rename(tmp.Name(), f.path()); err != nil {
		return fmt.Errorf("replace %s: %w", f.path(), err)
	}
	return nil
}

// keepSnapshot reads the file if the API server keeps us waiting, and from then on writes what changes.
func (w *Watcher) keepSnapshot(ctx context.Context) error {
	if w.saved.dir == "" {
		return nil
	}
	if w.keptWaiting(ctx) {
		w.loadSnapshot()
	}
	w.saveSnapshots(ctx)
	return nil
}

// keptWaiting says whether the API server fails soon or stays silent for long.
func (w *Watcher) keptWaiting(ctx context.Context) bool {
	if !sleep(ctx, snapshotSoon) || w.services.synced() {
		return false
	}
	return len(w.health.list()) > 0 || sleep(ctx, snapshotWait-snapshotSoon)
}

// sleep says whether ctx still lasts after a while.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (w *Watcher) loadSnapshot() {
	if w.services.synced() {
		return
	}
	s, ok := w.saved.read()
	if !ok || !w.services.load(s.Services) {
		return
	}
	w.nodes.load(s.Nodes)
	w.endpoints.load(s.Endpoints)
	w.health.heardAt(s.Contact)
	w.health.isCluster(s.Cluster)
	w.log.Warn().Time("contact", s.Contact).Int("services", len(s.Services)).Msg("no API server: started from the snapshot file")
	w.changed()
}

// revisions tells whether something changed since a save.
type revisions struct{ services, nodes, endpoints uint64 }

func (w *Watcher) revisions() revisions {
	return revisions{w.services.revision(), w.nodes.revision(), w.endpoints.revision()}
}

func (w *Watcher) saveSnapshots(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	var k keeper
	for {
		select {
		case <-ctx.Done():
			w.save(&k, true)
			return
		case <-tick.C:
			w.save(&k, false)
		}
	}
}

// A keeper remembers what the file holds.
type keeper struct {
	last    revisions
	at      time.Time
	contact time.Time // the file's time
}

// save writes the file if something changed, or, once in a while, its time.
func (w *Watcher) save(k *keeper, final bool) {
	if !w.synced() {
		return
	}
	now, contact := w.revisions(), w.health.lastContact()
	patient := !final && now.services == k.last.services && now.nodes == k.last.nodes && time.Since(k.at) < saveEndpoints
	switch {
	case now != k.last && !patient:
		w.saved.write(w.content())
		*k = keeper{last: now, at: time.Now(), contact: contact}
	case final || contact.Sub(k.contact) >= saveContact:
		if err := w.saved.touch(contact); err == nil {
			k.contact = contact
		}
	}
}

func (w *Watcher) content() saved {
	return saved{
		Cluster: w.health.clusterID(), Contact: w.health.lastContact(),
		Services: w.services.all(), Nodes: w.nodes.list(), Endpoints: w.endpoints.snapshot(),
	}
}
