package transcript

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// releases is the folder of a room with what each release writes.
const releases = "testdata/releases"

// Sample is one value of what speakers send each other or keep.
type Sample struct {
	Name string
	Text string                         // as this tree writes it: the text itself, or bytes in hex
	Read func(text string) (any, error) // what this tree understands of it
}

// golden is a sample as a release wrote it, and what that release understood of it.
type golden struct {
	Text  string `json:"text"`
	Means any    `json:"means"`
}

// Golden holds the samples to the files testdata/releases/VERSION.json. What this tree writes must
// be what the newest file says, byte by byte. And this tree must understand what any release wrote
// as that release meant it; it may know more of it. So a change of the wire fails until there is a
// file of the next release beside the older ones, which stay as they are: UPDATE_GOLDEN=VERSION
// writes it.
func Golden(t *testing.T, samples ...Sample) {
	t.Helper()
	if version := os.Getenv("UPDATE_GOLDEN"); version != "" {
		write(t, filepath.Join(releases, version+".json"), samples)
	}
	files, err := filepath.Glob(releases + "/v*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of releases: %v", err)
	}
	slices.SortFunc(files, compareVersions)
	for i, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			compare(t, load(t, file), samples, i == len(files)-1)
		})
	}
}

func compare(t *testing.T, release map[string]golden, samples []Sample, newest bool) {
	t.Helper()
	names := make(map[string]bool, len(samples))
	for _, s := range samples {
		names[s.Name] = true
		was, known := release[s.Name]
		if !known && newest {
			t.Errorf("%s: not in the file", s.Name)
		}
		if !known {
			continue // it came later
		}
		if diff := cmp.Diff(was.Text, s.Text); newest && diff != "" {
			t.Errorf("%s: this tree writes something else; if that is meant, see transcript.Golden (-file +tree):\n%s", s.Name, diff)
		}
		means := understand(t, s, was.Text)
		if diff := cmp.Diff(was.Means, means); !Within(was.Means, means) {
			t.Errorf("%s: this tree understands it otherwise (-release +tree):\n%s", s.Name, diff)
		}
	}
	for name := range release {
		if !names[name] {
			t.Errorf("%s: no sample of this tree; what a release writes must be read", name)
		}
	}
}

// Within reports whether all that a says is said by b, which may say more: names only grow.
func Within(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		more, ok := b.(map[string]any)
		for k, v := range a {
			if w, has := more[k]; !has || !Within(v, w) {
				return false
			}
		}
		return ok
	case []any:
		more, ok := b.([]any)
		if !ok || len(a) != len(more) {
			return false
		}
		for i := range a {
			if !Within(a[i], more[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// understand is what this tree reads, as JSON has it.
func understand(t *testing.T, s Sample, text string) (means any) {
	t.Helper()
	value, err := s.Read(text)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	plain, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	if err := json.Unmarshal(plain, &means); err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return means
}

func load(t *testing.T, file string) (release map[string]golden) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &release); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return release
}

func write(t *testing.T, file string, samples []Sample) {
	t.Helper()
	release := make(map[string]golden, len(samples))
	for _, s := range samples {
		release[s.Name] = golden{s.Text, understand(t, s, s.Text)}
	}
	if len(release) != len(samples) {
		t.Fatal("two samples have one name")
	}
	text, err := json.MarshalIndent(release, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compareVersions orders files by their versions; v0.10.0 comes after v0.9.0.
func compareVersions(a, b string) int {
	return slices.Compare(numbers(a), numbers(b))
}

func numbers(file string) (out []int) {
	n, in := 0, false
	for _, c := range filepath.Base(file) {
		if c >= '0' && c <= '9' {
			n, in = n*10+int(c-'0'), true
			continue
		}
		if in {
			out, n, in = append(out, n), 0, false
		}
	}
	return out
}
