package starling_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	maxWords   = 35  // of a sentence
	meanWords  = 18  // of the sentences of a page, on average
	maxColumns = 100 // of a line that can be broken
)

// phrases that the pages do without, and what to write.
var phrases = []struct{ bad, better string }{
	{"is told", "say who reports it"},
	{"are told", "say who reports it"},
	{"who tells", "name the actor"},
	{"for ever ", "forever, or how long"},
	{"for ever.", "forever, or how long"},
	{"the one or the other", "either"},
	{"gladly", "preferred"},
	{"is there, too", "also"},
	{"in doubt", "suspect"},
	{"given up for dead", "declared dead"},
	{"gave up by", "declared dead by"},
	{"mercy", "suspect"},
	{"reprieve", "suspect"},
	{"quarrel", "conflict"},
	{"electorate", "ranking"},
	{"with the way to", "kubeconfig"},
	{"the way that is left", "name it"},
	{"be the speaker", "run the speaker"},
	{"as it were", ""},
	{"to and fro", "back and forth"},
	{". who has", "whoever has, or name the actor"},
	{"cause trouble", "have a problem"},
	{"slip of the pen", "typo"},
	{"mend", "fix"},
	{"labelled", "labeled"},
	{"colour", "color"},
	{"behaviour", "behavior"},
	{"neighbour", "neighbor"},
	{"licence", "license"},
	{"synchronis", "synchroniz"},
	{"recognise ", "recognize"},
}

var (
	codeSpan    = regexp.MustCompile("`[^`]*`")
	linkTarget  = regexp.MustCompile(`\]\([^)]*\)`)
	listItem    = regexp.MustCompile(`^([-*]|[0-9]+\.) `)
	tableRule   = regexp.MustCompile(`^[|\-: ]+$`)
	sentenceEnd = regexp.MustCompile(`[.!?][)"*]*(\s+|$)`)
	aWord       = regexp.MustCompile(`[\pL\pN]`)
)

// plain are the pages that people read.
func plain(t *testing.T) (out []string) {
	for _, page := range pages(t) {
		if page != "e2e/README.md" {
			out = append(out, page)
		}
	}
	return out
}

// sentences are those of a page, its paragraphs, list items and cells of tables; code and the
// targets of links are left out.
func sentences(page string) (out []string) {
	var paragraph []string
	end := func() {
		for _, s := range sentenceEnd.Split(strings.Join(paragraph, " "), -1) {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
		paragraph = nil
	}
	text := linkTarget.ReplaceAllString(codeSpan.ReplaceAllString(fence.ReplaceAllString(page, ""), "X"), "]")
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
			end()
		case strings.HasPrefix(line, "|"):
			end()
			if tableRule.MatchString(line) {
				continue
			}
			for cell := range strings.SplitSeq(line, "|") {
				paragraph = []string{cell}
				end()
			}
		case listItem.MatchString(line):
			end()
			paragraph = []string{listItem.ReplaceAllString(line, "")}
		default:
			paragraph = append(paragraph, strings.TrimPrefix(line, "> "))
		}
	}
	end()
	return out
}

// words counts those of a sentence.
func words(sentence string) (n int) {
	for word := range strings.FieldsSeq(sentence) {
		if aWord.MatchString(word) {
			n++
		}
	}
	return n
}

// wide are the lines of a page that are too long and could be broken.
func wide(page string) (out []string) {
	for line := range strings.SplitSeq(fence.ReplaceAllString(page, ""), "\n") {
		bare := strings.TrimSpace(line)
		if strings.HasPrefix(bare, "|") || strings.HasPrefix(bare, "![") || strings.HasPrefix(bare, "#") || strings.HasPrefix(line, "    ") || len([]rune(line)) <= maxColumns {
			continue
		}
		if lead := codeSpan.ReplaceAllString(linkTarget.ReplaceAllString(listItem.ReplaceAllString(bare, ""), "]"), "X"); strings.Contains(lead, " ") && !strings.HasPrefix(bare, "[") {
			out = append(out, line)
		}
	}
	return out
}

// TestWords keeps out phrases that had to be read twice, long sentences and long lines.
func TestWords(t *testing.T) {
	t.Parallel()
	for _, page := range plain(t) {
		content := text(t, page)
		lower := strings.ToLower(strings.Join(strings.Fields(codeSpan.ReplaceAllString(fence.ReplaceAllString(content, ""), "X")), " "))
		for _, p := range phrases {
			if i := strings.Index(lower, p.bad); i >= 0 {
				t.Errorf("%s: %q in \"...%s...\"; better: %s", page, p.bad, lower[max(0, i-30):min(len(lower), i+40)], p.better)
			}
		}
		all, total := sentences(content), 0
		for _, s := range all {
			n := words(s)
			if total += n; n > maxWords {
				t.Errorf("%s: a sentence of %d words, more than %d: %s", page, n, maxWords, s)
			}
		}
		if total > meanWords*len(all) {
			t.Errorf("%s: %d words in %d sentences, more than %d in one on average", page, total, len(all), meanWords)
		}
		for _, line := range wide(content) {
			t.Errorf("%s: a line of more than %d columns: %s", page, maxColumns, line)
		}
	}
}

// TestDevelopersPages: pages for developers say so at the top.
func TestDevelopersPages(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"docs/architecture.md", "docs/wire.md", "docs/decisions/README.md"} {
		if paragraphs := strings.SplitN(text(t, page), "\n\n", 3); len(paragraphs) < 2 || !strings.Contains(paragraphs[1], "developers") {
			t.Errorf("%s does not say for whom it is", page)
		}
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	page := "# Not this\nOne *two.* Three\nfour! [five](six.md) `seven. eight`\n- nine.\n  ten\n1. eleven\n\n| a. b | c |\n|---|---|\n```sh\nno. no.\n```\n> quoted\n"
	want := []string{"One *two", "Three four", "[five] X", "nine", "ten", "eleven", "a", "b", "c", "quoted"}
	if diff := cmp.Diff(want, sentences(page)); diff != "" {
		t.Errorf("sentences (-want +got):\n%s", diff)
	}
	if n := words("a `b` - 5 s, (c)"); n != 5 {
		t.Errorf("%d words", n)
	}
	long := strings.Repeat("word ", 21)
	want = []string{long, "- " + long}
	got := wide(fmt.Sprintf("%s\n- %s\n| %s |\n```\n%s\n```\n[link](%s)\n", long, long, long, long, strings.Repeat("x", 120)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wide lines (-want +got):\n%s", diff)
	}
}
