package cluster

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/e2e/netspace"
)

// Identity is what a cluster can be recognized by on the machine, also after it has gone.
type Identity struct {
	ID         string
	namespaces []uint64 // Inode numbers of its network namespaces.
}

// Identity is that of this cluster, which must be running.
func (c *Cluster) Identity() (Identity, error) { return Identify(c.ID) }

// Identify returns the identity of a running cluster by its ID.
func Identify(id string) (Identity, error) {
	identity := Identity{ID: id}
	names, err := netspace.Names(prefix + id + "-")
	if err != nil {
		return identity, err
	}
	for _, name := range names {
		var s unix.Stat_t
		if err := unix.Stat(filepath.Join(netspace.Dir, name), &s); err != nil {
			return identity, err
		}
		identity.namespaces = append(identity.namespaces, s.Ino)
	}
	return identity, nil
}

// Traces returns everything on the machine that still belongs to the cluster: nothing after Down.
func (i Identity) Traces() ([]string, error) {
	var found []string
	for _, look := range []func() ([]string, error){i.spaces, i.processes, i.mounts, i.links, i.files} {
		more, err := look()
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func (i Identity) spaces() ([]string, error) {
	names, err := netspace.Names(prefix + i.ID)
	return label("network namespace", names), err
}

// processes finds whatever lives in one of the namespaces; a namespace without name lives on in
// them.
func (i Identity) processes() ([]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, path := range paths {
		var s unix.Stat_t
		if unix.Stat(path+"/ns/net", &s) == nil && slices.Contains(i.namespaces, s.Ino) {
			line, _ := os.ReadFile(path + "/cmdline")
			found = append(found, filepath.Base(path)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return label("process", found), nil
}

func (i Identity) mounts() ([]string, error) {
	file, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.Contains(lines.Text(), prefix+i.ID) {
			found = append(found, lines.Text())
		}
	}
	return label("mount", found), lines.Err()
}

// links looks for the interfaces of hosts on the machine itself, where a cluster makes none.
func (i Identity) links() ([]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, link := range all {
		for _, name := range []string{"control", "client", "n1", "n2", "n3"} {
			if bytes.Equal(link.HardwareAddr, mac(name)) {
				found = append(found, link.Name)
			}
		}
	}
	return label("link", found), nil
}

func (i Identity) files() ([]string, error) {
	var found []string
	for _, pattern := range []string{os.TempDir() + "/%s*", "/sys/fs/cgroup/%s*", "/sys/fs/cgroup/*/%s*"} {
		more, err := filepath.Glob(fmt.Sprintf(pattern, prefix+i.ID))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return label("folder", found), nil
}

func label(kind string, names []string) []string {
	for i, name := range names {
		names[i] = kind + " " + name
	}
	return names
}
