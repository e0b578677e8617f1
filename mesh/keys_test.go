package mesh

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGenerateKeyIsParsed(t *testing.T) {
	a, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKeys(append(a, b...))
	if err != nil {
		t.Fatalf("ParseKeys of two generated keys: %v", err)
	}
	if len(keys) != 2 || len(keys[0]) != keyBytes || len(keys[1]) != keyBytes {
		t.Fatalf("got %d keys of %d bytes, want 2 of %d", len(keys), len(keys[0]), keyBytes)
	}
	if bytes.Equal(keys[0], keys[1]) {
		t.Error("two generated keys are equal")
	}
	if got := base64.StdEncoding.EncodeToString(keys[0]) + "\n"; got != string(a) {
		t.Error("the first key is not the primary one")
	}
}

func TestParseKeys(t *testing.T) {
	k1, k2 := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	b1, b2 := base64.StdEncoding.EncodeToString(k1), base64.StdEncoding.EncodeToString(k2)
	var many string
	for i := range byte(9) {
		many += base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{i}, 32)) + "\n"
	}
	short := base64.StdEncoding.EncodeToString(k1[:16])
	tests := []struct {
		name, text string
		want       [][]byte
		err        string
	}{
		{"one", b1, [][]byte{k1}, ""},
		{"primary first", b2 + "\n" + b1 + "\n", [][]byte{k2, k1}, ""},
		{"spaces, blank lines, comments, carriage returns", "\r\n# old\r\n  " + b1 + " \r\n\r\n" + b2, [][]byte{k1, k2}, ""},
		{"empty", "", nil, "gossip key: no key found, want 32 bytes in base64 on a line"},
		{"only a comment", "# nothing\n", nil, "gossip key: no key found, want 32 bytes in base64 on a line"},
		{"short", short, nil, "gossip key, line 1: has 16 bytes, want 32"},
		{"not base64", b1 + "\nhunter2!", nil, "gossip key, line 2: is not base64"},
		{"duplicate", "\n" + b1 + "\n" + b2 + "\n" + b1, nil, "gossip key, line 4: is the same key as on line 2"},
		{"too many", many, nil, "gossip key: 9 keys, at most 8 are allowed"},
		{"all mistakes at once", "??\n" + short, nil, "gossip key, line 1: is not base64\ngossip key, line 2: has 16 bytes, want 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseKeys([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != tt.err {
				t.Errorf("error %q, want %q", text, tt.err)
			}
		})
	}
}

func TestFormatKeys(t *testing.T) {
	want := [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}
	got, err := ParseKeys(FormatKeys(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The fingerprints are a protocol between releases.
func TestFingerprintsGolden(t *testing.T) {
	got := Fingerprints([][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)})
	if diff := cmp.Diff([]string{"b18fcdc9", "b7cf05ae"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n"))
	f.Add([]byte("secret\x00\n\n#"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParseKeys(text)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys with error %v", len(keys), err)
		}
		for _, k := range keys {
			if len(k) != keyBytes {
				t.Fatalf("key of %d bytes", len(k))
			}
		}
		if err == nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); len(line) > 32 && strings.Contains(err.Error(), line) {
				t.Fatalf("error repeats the line %q", line)
			}
		}
	})
}
