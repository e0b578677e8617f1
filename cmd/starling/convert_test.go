package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

const (
	metallbPool = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: lab, namespace: metallb-system}\n" +
		"spec: {addresses: [198.18.64.0/28]}\n"
	metallbAdvert = "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: lab, namespace: metallb-system}\n"
	metallbPeer   = "apiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: router, namespace: metallb-system}\n" +
		"spec: {myASN: 64513, peerASN: 64512, peerAddress: 192.0.2.1, vrf: red}\n"
)

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	pool, advert, peer := file("pool", metallbPool), file("advert", metallbAdvert), file("peer", metallbPeer)
	for _, tt := range []struct {
		name  string
		stdin string
		args  []string
		code  int
		out   string // part of what is printed, "" for nothing at all
		told  string // part of what is reported, "" for nothing at all
	}{
		{"standard input", metallbPool + "---\n" + metallbAdvert, nil, exitOK, "198.18.64.0/28", ""},
		{"files", "", []string{pool, advert}, exitOK, "198.18.64.0/28", ""},
		{"a file and standard input", metallbAdvert, []string{pool, "-"}, exitOK, "198.18.64.0/28", ""},
		{"a remark", metallbPeer, []string{"-", pool, advert}, exitOK, "BGPPeer router, spec.vrf: has no counterpart", "BGPPeer router, spec.vrf: has no counterpart: this router was left out"},
		{"strict without remarks", "", []string{"--strict", pool, advert}, exitOK, "198.18.64.0/28", ""},
		{"strict with one", "", []string{"--strict", pool, advert, peer}, exitFailed, "", "starling: --strict: nothing printed, for the sake of the remarks above (1)"},
		{"nothing", "", nil, exitFailed, "", "starling: nothing to convert: "},
		{"a mistake", "", []string{pool, file("bad", "a: [\n")}, exitFailed, "", "bad: document 1, which begins at line 1: yaml: "},
		{"no such file", "", []string{pool, filepath.Join(dir, "none")}, exitUsage, "", "none: no such file or directory\nstarling: see \"starling convert --help\""},
		{"a folder", "", []string{dir}, exitUsage, "", "starling: read " + dir},
		{"unknown flag", "", []string{"--frob"}, exitUsage, "", "-frob"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			app := newApp(&out, &errOut)
			app.Reader = strings.NewReader(tt.stdin)
			if code := run(t.Context(), app, append([]string{"starling", "convert"}, tt.args...)); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for what, got := range map[string][2]string{"printed": {out.String(), tt.out}, "told": {errOut.String(), tt.told}} {
				if !strings.Contains(got[0], got[1]) || got[1] == "" && got[0] != "" {
					t.Errorf("%s %q, want %q", what, got[0], got[1])
				}
			}
		})
	}
}

// TestConvertedIsRead: the output is a file for --config.
func TestConvertedIsRead(t *testing.T) {
	var out, errOut bytes.Buffer
	app := newApp(&out, &errOut)
	app.Reader = strings.NewReader(metallbPool + "---\n" + metallbAdvert + "---\n" + metallbPeer)
	if code := run(t.Context(), app, []string{"starling", "convert"}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &errOut)
	}
	file := filepath.Join(t.TempDir(), "starling.yaml")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := newSettings(config{configFile: file}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if names := poolNames(s.Pools()); len(names) != 1 || names[0] != "lab" {
		t.Errorf("pools %q, want lab", names)
	}
}

// A person at a terminal is told what is missing, rather than left waiting.
func TestConvertWaitsForNobody(t *testing.T) {
	null, err := os.Open(os.DevNull) // a device of characters, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out, errOut bytes.Buffer
	app := newApp(&out, &errOut)
	app.Reader = null
	if code := run(t.Context(), app, []string{"starling", "convert"}); code != exitUsage || !strings.Contains(errOut.String(), "name a FILE, or pipe something in") {
		t.Errorf("exit code %d, told %q", code, &errOut)
	}
}
