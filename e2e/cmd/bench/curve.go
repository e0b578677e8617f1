package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/e2e/step"
)

// sighting is one sign that an address or a session is at home, or is not.
type sighting struct {
	at   time.Time
	home bool
}

// settled is how long an address must have been claimed by nobody else before it is at home again.
// An address is asked for more often than that, so a node that still answers cannot hide. A session
// that is up is at home at once.
const settled = 500 * time.Millisecond

// departures counts how often something leaves its home, where it is at first. What it does before
// it is back does not count.
func departures(seen []sighting, settled time.Duration) (count int) {
	away, last := false, time.Time{}
	for _, s := range seen {
		switch {
		case !s.home:
			if !away {
				count++
			}
			away, last = true, s.at
		case away && s.at.Sub(last) >= settled:
			away = false
		}
	}
	return count
}

// noticed is the first sign since then that something is not at home.
func noticed(seen []sighting, since time.Time) (time.Time, bool) {
	i := slices.IndexFunc(seen, func(s sighting) bool { return !s.home && !s.at.Before(since) })
	if i < 0 {
		return time.Time{}, false
	}
	return seen[i].at, true
}

// between are the sightings of a time.
func between(seen []sighting, from, to time.Time) []sighting {
	return slices.DeleteFunc(slices.Clone(seen), func(s sighting) bool { return s.at.Before(from) || s.at.After(to) })
}

// milliseconds are what the record keeps of a time, with one digit after the point.
type milliseconds float64

func inMilliseconds(d time.Duration) milliseconds { return milliseconds(math.Round(10*ms(d)) / 10) }

// detectionRun is what one part has measured.
type detectionRun struct {
	Day   string
	Nodes int
	Took  map[string][]milliseconds // By system, one of each silent death.
	Loads []loadRun
}

// loadRun is what happened under one load.
type loadRun struct {
	Name    string
	Seconds float64
	Pauses  int
	Moves   map[string]int // By system.
}

// curvePoint is one system in all runs.
type curvePoint struct {
	system string
	took   []milliseconds
	loads  map[string]exposure
}

// exposure is how long nodes lived under a load, and what left its home meanwhile.
type exposure struct {
	nodeDays      float64
	moves, pauses int
}

// rate is that of moves for each day of a node; where none was seen, the most that it may be.
func (e exposure) rate() (perDay float64, atMost bool) {
	if e.moves == 0 {
		return e.most(), true
	}
	return float64(e.moves) / e.nodeDays, false
}

// most is the highest rate with which one sees so few moves once in twenty times: about three in
// the time if none was seen.
func (e exposure) most() (perDay float64) {
	few := func(mean float64) (sum float64) { // By Poisson's distribution.
		for term, i := math.Exp(-mean), 0; i <= e.moves; i++ {
			sum += term
			term *= mean / float64(i+1)
		}
		return sum
	}
	low, high := 0.0, 10+3*float64(e.moves)
	for range 60 {
		if mean := (low + high) / 2; few(mean) > 0.05 {
			low = mean
		} else {
			high = mean
		}
	}
	return low / e.nodeDays
}

func (e exposure) String() string {
	perDay, atMost := e.rate()
	text := fmt.Sprintf("%s (%d)", thousands(perDay), e.moves)
	if e.pauses > 0 {
		text = fmt.Sprintf("%s (%d in %d)", thousands(perDay), e.moves, e.pauses)
	}
	if atMost {
		text = "< " + text
	}
	return text
}

// thousands writes a number with two digits that count.
func thousands(x float64) string {
	if x > 0 {
		unit := math.Pow(10, math.Floor(math.Log10(x))-1)
		x = math.Round(x/unit) * unit
	}
	text := fmt.Sprintf("%.0f", x)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// systemNames are in the order of the table.
var systemNames = []string{
	"starling fast", "starling default", "starling calm",
	"keepalived 1 s", "keepalived 0.1 s", "keepalived 0.01 s",
	"BFD 3 x 300 ms", "BFD 3 x 50 ms",
}

// curve sums up the runs.
func curve(runs []detectionRun) (points []curvePoint) {
	for _, name := range systemNames {
		p := curvePoint{system: name, loads: map[string]exposure{}}
		for _, r := range runs {
			p.took = append(p.took, r.Took[name]...)
			for _, l := range r.Loads {
				moves, there := l.Moves[name]
				if !there {
					continue
				}
				e := p.loads[l.Name]
				e.nodeDays += l.Seconds * float64(r.Nodes) / (24 * 60 * 60)
				e.moves += moves
				e.pauses += l.Pauses
				p.loads[l.Name] = e
			}
		}
		if len(p.took) > 0 {
			points = append(points, p)
		}
	}
	return points
}

// middle is the median of the times to notice a death, by the nearest rank.
func (p curvePoint) middle() milliseconds {
	sorted := slices.Sorted(slices.Values(p.took))
	return sorted[(len(sorted)-1)/2]
}

// tableOf is the table of the curve, as docs/detection.md has it.
func tableOf(points []curvePoint) string {
	b := &strings.Builder{}
	b.WriteString("| system | a death is noticed after: median, worst |")
	for _, l := range loads {
		fmt.Fprintf(b, " %s |", l.title)
	}
	b.WriteString("\n|" + strings.Repeat("---|", 2+len(loads)) + "\n")
	for _, p := range points {
		fmt.Fprintf(b, "| %s | %.0f ms, %.0f ms (%d) |", p.system, p.middle(), slices.Max(p.took), len(p.took))
		for _, l := range loads {
			cell := "-"
			if e, ok := p.loads[l.name]; ok {
				cell = e.String()
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// publish adds a run to the record, and shows the curve of all.
func (o *options) publish(p *step.Printer, run detectionRun) error {
	if o.record != "" {
		runs, err := readRecord(o.record)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		o.runs = runs
	}
	o.runs = append(o.runs, run)
	points := curve(o.runs)
	p.Say("\nFalse moves per node-day (counted, in how many pauses), and how soon a death is noticed (times)\n\n%s", tableOf(points))
	var errs []error
	if o.record != "" {
		errs = append(errs, writeRecord(o.record, o.runs))
	}
	if o.svg != "" {
		picture, err := plot(points)
		errs = append(errs, cmp.Or(err, os.WriteFile(o.svg, picture, 0o644)))
	}
	return errors.Join(errs...)
}

func readRecord(file string) (runs []detectionRun, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &runs); err != nil {
		return nil, fmt.Errorf("record %s: %w", file, err)
	}
	return runs, nil
}

func writeRecord(file string, runs []detectionRun) error {
	b, err := json.MarshalIndent(runs, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
