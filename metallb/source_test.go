package metallb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocuments: how the input may be written. Every value is the text "a" or "b".
func TestDocuments(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string // where: value
	}{
		{"one", "a", []string{"document 1: a"}},
		{"two", "a\n---\nb\n", []string{"document 1: a", "document 2: b"}},
		{"a separator before and behind", "---\na\n---\n", []string{"document 1: a"}},
		{"Windows", "---\r\na\r\n---\r\nb\r\n", []string{"document 1: a", "document 2: b"}},
		{"a byte order mark", "\ufeffa\n", []string{"document 1: a"}},
		{"behind the separator", "--- a\n--- # nothing\n--- b\n", []string{"document 1: a", "document 2: b"}},
		{"the end of a document", "a\n...\n# nothing\n---\nb\n...\n", []string{"document 1: a", "document 2: b"}},
		{"directives", "%YAML 1.1\n---\na\n", []string{"document 1: a"}},
		{"null", "null\n---\n~\n---\nb\n", []string{"document 1: b"}},
		{"no separator", "a----\n", []string{"document 1: a----"}},
		{"JSON", "{\"x\": \"a\"}", []string{"document 1: a"}},
		{"JSON behind JSON", "{\"x\": \"a\"}\n{\"x\": \"b\"}", []string{"document 1: a", "document 2: b"}},
		{"YAML that begins like JSON", "{x: a}\n---\n{\"x\": \"b\"}\n", []string{"document 1: a", "document 2: b"}},
		{"text with a separator in it", "x: |\n  ---\n  y\n", []string{"document 1: ---\ny\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			docs, err := Source{Data: []byte(tt.in)}.documents()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range docs {
				value := d.value
				if m, ok := value.(map[string]any); ok {
					value = m["x"]
				}
				text, ok := value.(string)
				if !ok {
					t.Fatalf("%s is a %T", d.where, value)
				}
				got = append(got, d.where+": "+text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLaterDocumentsAreRead although an earlier one cannot be.
func TestLaterDocumentsAreRead(t *testing.T) {
	docs, err := Source{Name: "f\nx", Data: []byte("a: [\n---\nb\n---\nc: ]\n")}.documents()
	if len(docs) != 1 || docs[0].where != "f?x: document 2" {
		t.Errorf("read %+v", docs)
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"f?x: document 1, which begins at line 1: yaml: ", "f?x: document 3, which begins at line 4: yaml: "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("no line %d that begins with %q in:\n%v", i+1, want, err)
		}
	}
}

// TestAliases: a short text cannot become a large tree.
func TestAliases(t *testing.T) {
	in := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		in += strings.NewReplacer("N", string(rune('0'+i)), "M", string(rune('1'+i))).Replace("aM: &aM [*aN, *aN, *aN, *aN, *aN, *aN, *aN, *aN, *aN, *aN]\n")
	}
	if _, err := (Source{Data: []byte(in)}).documents(); err == nil || !strings.Contains(err.Error(), "excessive aliasing") {
		t.Errorf("a tree of 10^10 leaves was read: %v", err)
	}
}

func TestPrintable(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "a b/c", "a b/c"},
		{"other letters", "größe", "größe"},
		{"lines", "a\nb\r\u0085\u2028c", "a?b???c"},
		{"control", "a\x1b[31m\x00", "a?[31m?"},
		{"no text", "a\xff", "a\ufffd"},
		{"long", strings.Repeat("a", most+1), strings.Repeat("a", most) + "..."},
		{"long, cut in a letter", strings.Repeat("a", most-1) + "éé", strings.Repeat("a", most-1) + "..."},
	}
	for _, tt := range tests {
		if got := printable(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
