package main

import (
	"errors"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var systemTable = regexp.MustCompile(`(?m)^\| system \|.*\n(\|.*\n)+`)

// TestDetectionPage: docs/detection.md and its plot show what the record says. With
// UPDATE_DETECTION=1 both are written anew.
func TestDetectionPage(t *testing.T) {
	const page, svg = "../../../docs/detection.md", "../../../docs/detection.svg"
	runs, err := readRecord("testdata/detection.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	points := curve(runs)
	drawn, err := plot(points)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_DETECTION") != "" {
		text = systemTable.ReplaceAllLiteral(text, []byte(tableOf(points)))
		if err := errors.Join(os.WriteFile(page, text, 0o644), os.WriteFile(svg, drawn, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(tableOf(points), systemTable.FindString(string(text))); diff != "" {
		t.Errorf("%s (-record +page), UPDATE_DETECTION=1 writes it anew:\n%s", page, diff)
	}
	there, err := os.ReadFile(svg)
	if diff := cmp.Diff(string(drawn), string(there)); err != nil || diff != "" {
		t.Errorf("%s %v (-record +file), UPDATE_DETECTION=1 writes it anew:\n%s", svg, err, diff)
	}
}
