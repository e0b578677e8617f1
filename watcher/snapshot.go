package watcher

import (
	"bufio"
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

// The snapshot file lets a speaker that restarts while the API server is away know its addresses.
// It is a hint: it is read only when the API server does not answer at once, and the first real
// list replaces all of it.
//
// One JSON value per line: a header, any number of objects, and a trailer by which a file that was
// cut short is known.
const (
	snapshotName   = "cluster.jsonl"
	snapshotFormat = 3
)

// saved is the content of the file in memory.
type saved struct {
	Cluster   string
	Contact   time.Time // the last contact: the file's modification time
	Services  []*Service
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
	Service Key    `json:"service"`
	V4      Places `json:"ipv4"`
	V6      Places `json:"ipv6"`
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
		line(savedLine{Service: s.Services[i]})
		if at, ok := s.Endpoints[s.Services[i].Key()]; ok {
			line(savedLine{Endpoints: &savedEndpoints{s.Services[i].Key(), at.V4, at.V6}})
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
		s.Services = append(s.Services, l.Service)
	case l.Node != nil:
		s.Nodes = append(s.Nodes, *l.Node)
	case l.Endpoints != nil:
		s.Endpoints[l.Endpoints.Service] = Endpoints{V4: l.Endpoints.V4, V6: l.Endpoints.V6}
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

// write replaces the file and reports whether it could. An error is logged once: the file is a
// convenience, and the disk may be full for days.
func (f *snapshotFile) write(s saved) bool {
	err := f.replace(s)
	if err == nil {
		f.failing = false
		f.metrics.snapshots.WithLabelValues("written").Inc()
		return true
	}
	f.metrics.snapshots.WithLabelValues("failed").Inc()
	if !f.failing {
		f.log.Warn().Err(err).Str("file", f.path()).Msg("cannot write the snapshot file")
	}
	f.failing = true
	return false
}

// touch notes the time of the last contact. A file that is missing is written with the next change.
func (f *snapshotFile) touch(contact time.Time) bool {
	return os.Chtimes(f.path(), time.Time{}, contact) == nil
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
