package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// TestPlaceLabels: no label covers another one, or a mark.
func TestPlaceLabels(t *testing.T) {
	marks := []mark{
		{X: 300, Y: 200, Label: "calm"},
		{X: 100, Y: 200, Label: "default"},
		{X: 104, Y: 200, Label: "0.1 s"},
		{X: 110, Y: 180, Label: "3 x 50 ms"},
		{X: 101, Y: 189, Label: "fast"},
	}
	placeLabels(marks)
	for i, m := range marks {
		if m.LabelY > m.Y-11 {
			t.Errorf("the label %s is not above its mark", m.Label)
		}
		for j, o := range marks {
			if i == j {
				continue
			}
			if near := math.Abs(m.X-o.X) < 6*float64(len(m.Label)+len(o.Label))/2; near && math.Abs(m.LabelY-o.LabelY) < 12 {
				t.Errorf("the labels %s and %s cover each other", m.Label, o.Label)
			}
			if math.Abs(m.X-o.X) < 6*float64(len(m.Label))/2 && o.Y > m.LabelY-10 && o.Y < m.LabelY {
				t.Errorf("the label %s covers the mark of %s", m.Label, o.Label)
			}
		}
	}
}

// TestPlot draws something well formed, with a mark for each system in each panel that has it.
func TestPlot(t *testing.T) {
	got, err := plot(curve(twoRuns()))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(got))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
	}
	for label, want := range map[string]int{">fast</text>": 1, ">calm</text>": 2, ">1 s</text>": 2 + 3, ">busy, nodes silent</text>": 1, "NaN": 0, "Inf": 0} {
		if n := strings.Count(string(got), label); n != want { // 1 s is also a time.
			t.Errorf("%q: %d times, want %d", label, n, want)
		}
	}
}
