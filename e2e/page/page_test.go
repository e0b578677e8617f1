package page

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const sample = "# A page\n\nIn `words`.\n\n```sh\nls # not a heading\nrm x\n```\n\n```text\nx\n```\n\n## Second\n\n" +
	"1. In a list:\n\n   ```yaml\n   a:\n     - b\n\n   c: d\n   ```\n\n```\nplain\n```\n"

func TestBlocks(t *testing.T) {
	want := []Block{
		{Heading: "A page", Language: "sh", Text: "ls # not a heading\nrm x\n"},
		{Heading: "A page", Language: "text", Text: "x\n"},
		{Heading: "Second", Language: "yaml", Text: "a:\n  - b\n\nc: d\n"},
		{Heading: "Second", Text: "plain\n"},
	}
	got := Blocks(sample)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Block{})); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if first := got[0].First(); first != "ls # not a heading" {
		t.Errorf("first line %q", first)
	}
}

// TestFill puts other texts into blocks and reads them back; all else stays.
func TestFill(t *testing.T) {
	const text = "new:\n\n  - line  \n"
	for i, b := range Blocks(sample) {
		filled := Fill(sample, b, text)
		want := Blocks(sample)
		want[i].Text = "new:\n\n  - line\n"
		if diff := cmp.Diff(want, Blocks(filled), cmpopts.IgnoreUnexported(Block{})); diff != "" {
			t.Errorf("block %d filled (-want +got):\n%s", i, diff)
		}
		if !strings.HasPrefix(filled, sample[:b.begin]) || !strings.HasSuffix(filled, sample[b.end:]) {
			t.Errorf("block %d: filled beyond its ends:\n%s", i, filled)
		}
		if same := Fill(sample, b, b.Text); same != sample {
			t.Errorf("block %d filled with its own text changed the page:\n%s", i, cmp.Diff(sample, same))
		}
	}
}

func TestEssence(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"ages and addresses", "hello  198.18.64.240  80:31234/TCP  59s\n", "hello   192.0.2.7   80:3/TCP   1m2s\n", true},
		{"names of pods", "pod/hello-7d9f8c6b54-x2k9q", "pod/hello-6b8f9d7c5d-abcde", true},
		{"round trips", "0.31 ms", "12ms", true},
		{"scores", "n1  aeb077b793e3f8ea  yes", "n3  0123456789abcdef  yes", true},
		{"order", "n1 ready\n\nn2 dead\n", "n7 dead\nn8 ready\n", true},
		{"what happened before", "  since    1s: n3 was lost", "  since    2m3s: moved from n1 to n2", true},
		{"another word", "n1 ready", "n1 dead", false},
		{"a line more", "n1 ready", "n1 ready\nn2 ready", false},
		{"no address yet", "hello <pending>", "hello 192.0.2.7", false},
	} {
		if got := cmp.Equal(Essence(tt.a), Essence(tt.b)); got != tt.same {
			t.Errorf("%s: same %v, want %v: %q and %q", tt.name, got, tt.same, Essence(tt.a), Essence(tt.b))
		}
	}
}
