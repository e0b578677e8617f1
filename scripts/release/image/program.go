package image

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Program is a program built for one architecture.
type Program struct {
	name     string // of its file in the image
	arch     string // as Go and OCI call it
	data     []byte
	revision string // of the source; "" when the build did not record it or it was modified
}

// machines are the architectures that can be packed.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "arm": elf.EM_ARM, "s390x": elf.EM_S390, "ppc64le": elf.EM_PPC64,
}

// variants are what OCI calls the processors that the Makefile builds for, where the name of the
// architecture does not tell.
var variants = map[string]string{"arm": "v7"}

// ReadPrograms reads each "arch=path" of args, to be called name in the image.
func ReadPrograms(name string, args []string) ([]Program, error) {
	var bins []Program
	for _, arg := range args {
		arch, path, ok := strings.Cut(arg, "=")
		if !ok || path == "" {
			return nil, fmt.Errorf("%q is not ARCH=BINARY", arg)
		}
		if slices.ContainsFunc(bins, func(b Program) bool { return b.arch == arch }) {
			return nil, fmt.Errorf("architecture %q is given twice", arch)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read binary: %w", err)
		}
		if err := checkProgram(arch, data); err != nil {
			return nil, fmt.Errorf("binary %q: %w", path, err)
		}
		bins = append(bins, Program{name: name, arch: arch, data: data, revision: revision(data)})
	}
	if len(bins) == 0 {
		return nil, errors.New("no ARCH=BINARY is given")
	}
	return bins, nil
}

// checkProgram refuses what could not run in an image with nothing but this file.
func checkProgram(arch string, data []byte) error {
	want, ok := machines[arch]
	if !ok {
		return fmt.Errorf("unknown architecture %q", arch)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("not a Linux program: %w", err)
	}
	if f.Machine != want {
		return fmt.Errorf("built for %v, not for %s", f.Machine, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("linked dynamically; build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// revision is the commit that the program was built from.
func revision(data []byte) string {
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return ""
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	if set["vcs.modified"] != "false" {
		return ""
	}
	return set["vcs.revision"]
}
