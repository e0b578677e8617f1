package starling_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	link    = regexp.MustCompile(`!?\[[^]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	fuzzRow = regexp.MustCompile("(?m)^\\| `(Fuzz[A-Za-z]+)` `\\./([a-z/]+)` \\|")
	fuzzer  = regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z]+)\(`)
)

// pages are all Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, folder := range []string{".", "docs", "docs/decisions", "e2e"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.md"))
		if err != nil || len(files) == 0 {
			t.Fatalf("pages %q, %v", files, err)
		}
		out = append(out, files...)
	}
	return out
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dead lists the links of a page that lead nowhere: to a file that is not there, or to a section
// that its page does not have.
func dead(page string, content func(string) (string, bool)) (out []string) {
	own, _ := content(page)
	for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(own, ""), -1) {
		target, section, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		file := page
		if target != "" {
			file = filepath.Join(filepath.Dir(page), target)
		}
		there, ok := content(file)
		if !ok || section != "" && !slices.Contains(anchors(there), section) {
			out = append(out, m[1])
		}
	}
	return out
}

// anchors are the names that forges give to the headings of a page.
func anchors(page string) (out []string) {
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		out = append(out, kept)
	}
	return out
}

func TestLinks(t *testing.T) {
	t.Parallel()
	content := func(name string) (string, bool) {
		info, err := os.Stat(name)
		if err != nil || info.IsDir() {
			return "", err == nil
		}
		return text(t, name), true
	}
	for _, page := range pages(t) {
		for _, l := range dead(page, content) {
			t.Errorf("%s: the link %s leads nowhere", page, l)
		}
	}
}

func TestDead(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"docs/a.md": "# A page\n[b](b.md) [c](c.md) ![p](p.svg) [up](../README.md#what-it-is) [s](#a-page) [t](#a) [w](https://x/y.md)\n```\n# no\n[z](z.md)\n```\n[q](b.md#no)",
		"docs/b.md": "# B\n", "docs/p.svg": "", "README.md": "## What *it* is\n",
	}
	got := dead("docs/a.md", func(name string) (string, bool) { s, ok := files[name]; return s, ok })
	if diff := cmp.Diff([]string{"c.md", "#a", "b.md#no"}, got); diff != "" {
		t.Errorf("dead links (-want +got):\n%s", diff)
	}
}

// TestFuzzTargetsAreListed: docs/security.md names every fuzz target of the module and no other.
func TestFuzzTargetsAreListed(t *testing.T) {
	t.Parallel()
	var want, got []string
	err := filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/testdata/") {
			return err
		}
		for _, m := range fuzzer.FindAllStringSubmatch(text(t, name), -1) {
			want = append(want, filepath.Dir(name)+" "+m[1])
		}
		return nil
	})
	if err != nil || len(want) < 10 {
		t.Fatalf("targets %q, %v", want, err)
	}
	for _, m := range fuzzRow.FindAllStringSubmatch(text(t, "docs/security.md"), -1) {
		got = append(got, m[2]+" "+m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fuzz targets (-code +docs/security.md):\n%s", diff)
	}
}

// TestRouterConfigurations: the page on BGP shows the routers' configurations as the tests of e2e
// run them.
func TestRouterConfigurations(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/bgp.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"e2e/routers/bird.conf", "e2e/routers/frr.conf"} {
		conf, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```\n"+string(conf)+"```\n") {
			t.Errorf("docs/bgp.md does not show %s as it is", file)
		}
	}
}
