package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"
)

// The plot has a panel for each load in which something may be expected to move. Both axes are
// logarithmic.
const (
	panelLeft, panelTop      = 72.0, 96.0
	panelWidth, panelHeight  = 290.0, 300.0
	panelGap                 = 46.0
	panelHead                = 36.0      // of a panel, for labels above the highest rate
	fromMillisecond, decades = 10.0, 3.0 // of the time until a death is noticed
)

// picture is what the template draws.
type picture struct {
	Width, Height, Top, Bottom, Middle float64
	Levels                             []tick
	Panels                             []panel
}

type panel struct {
	Left, Right, Middle float64
	Title               string
	Times               []tick
	Marks               []mark
}

type tick struct {
	At   float64
	Text string
}

// mark is a system under a load. An open one has an arrow, since its rate may be lower.
type mark struct {
	X, Y      float64
	Most      float64 // How high the rate may be, with 95 % confidence.
	Kind      string  // starling, keepalived or BFD
	Open      bool
	Label     string
	LabelY    float64 // Its base line; it is in the middle of the mark.
	LabelFrom float64 // Where the line to it ends, 0 none.
}

// plot draws the curve.
func plot(points []curvePoint) ([]byte, error) {
	low, high := span(points)
	y := func(rate float64) float64 {
		return panelTop + panelHead + (panelHeight-panelHead)*(math.Log10(high)-math.Log10(rate))/(math.Log10(high)-math.Log10(low))
	}
	pic := picture{Top: panelTop, Bottom: panelTop + panelHeight, Middle: panelTop + panelHeight/2, Height: panelTop + panelHeight + 64}
	for ten := math.Pow(10, math.Floor(math.Log10(low))); ten < high; ten *= 10 {
		for _, rate := range []float64{ten, 2 * ten, 5 * ten} {
			if rate >= low && rate <= high {
				pic.Levels = append(pic.Levels, tick{y(rate), thousands(rate)})
			}
		}
	}
	left := panelLeft
	for _, l := range loads {
		if !l.busy {
			continue
		}
		pic.Panels = append(pic.Panels, panelOf(points, l, left, high, y))
		left += panelWidth + panelGap
	}
	pic.Width = left
	out := &bytes.Buffer{}
	err := drawing.Execute(out, pic)
	return out.Bytes(), err
}

func panelOf(points []curvePoint, l load, left, high float64, y func(float64) float64) panel {
	x := func(ms float64) float64 {
		return left + panelWidth*(math.Log10(ms)-math.Log10(fromMillisecond))/decades
	}
	p := panel{Left: left, Right: left + panelWidth, Middle: left + panelWidth/2, Title: l.title}
	for i, text := range []string{"10 ms", "100 ms", "1 s", "10 s"} {
		p.Times = append(p.Times, tick{x(fromMillisecond * math.Pow(10, float64(i))), text})
	}
	for _, point := range points {
		e, ok := point.loads[l.name]
		if !ok {
			continue
		}
		rate, open := e.rate()
		kind, label, _ := strings.Cut(point.system, " ")
		p.Marks = append(p.Marks, mark{X: x(float64(point.middle())), Y: y(rate), Most: y(min(e.most(), high)), Kind: kind, Open: open, Label: label})
	}
	placeLabels(p.Marks)
	return p
}

// span reaches from half of the lowest rate of the panels to one and a half of the highest.
func span(points []curvePoint) (low, high float64) {
	low, high = math.Inf(1), 0
	for _, p := range points {
		for _, l := range loads {
			if e, ok := p.loads[l.name]; ok && l.busy {
				rate, _ := e.rate()
				low, high = min(low, rate), max(high, rate)
			}
		}
	}
	return low / 2, 1.5 * high
}

// placeLabels puts each label above its mark, and higher where another label or mark is.
func placeLabels(marks []mark) {
	const line, half, letter = 14.0, 7.0, 6.6
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.X, b.X) })
	for i := range marks {
		m := &marks[i]
		wide := letter*float64(len(m.Label))/2 + 2
		free := func(base float64) bool {
			for j, o := range marks {
				if j < i && math.Abs(o.X-m.X) < wide+letter*float64(len(o.Label))/2+2 && math.Abs(o.LabelY-base) < line {
					return false
				}
				if j != i && math.Abs(o.X-m.X) < wide+half && base-line < o.Y+half && base+3 > o.Y-half {
					return false
				}
			}
			return true
		}
		m.LabelY = m.Y - 11
		for !free(m.LabelY) {
			m.LabelY -= line / 2
		}
		if m.Y-m.LabelY > 16 {
			m.LabelFrom = m.LabelY + 3
		}
	}
}

// Shape is the outline of a mark.
func (m mark) Shape() string {
	switch m.Kind {
	case "starling":
		return fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="5.5"`, m.X, m.Y)
	case "keepalived":
		return fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="10" height="10"`, m.X-5, m.Y-5)
	}
	return fmt.Sprintf(`<path d="M%.1f %.1fl6.5 11h-13z"`, m.X, m.Y-6.5)
}

// Class is that of the style sheet.
func (m mark) Class() string {
	if m.Open {
		return m.Kind + " open"
	}
	return m.Kind
}

// PanelWidth and PanelHeight are the same for all panels.
func (picture) PanelWidth() float64  { return panelWidth }
func (picture) PanelHeight() float64 { return panelHeight }

// Legend are marks that explain themselves.
func (picture) Legend() []mark {
	return []mark{
		{X: panelLeft + 6, Y: 48, Kind: "starling", Label: "starling, --failure-detection"},
		{X: panelLeft + 216, Y: 48, Kind: "keepalived", Label: "keepalived, adverts every"},
		{X: panelLeft + 408, Y: 48, Kind: "BFD", Label: "BFD of GoBGP"},
		{X: panelLeft + 540, Y: 48, Kind: "starling", Open: true, Label: "open: none was seen. It, and the bars: at most, with 95 % confidence"},
	}
}

var drawing = template.Must(template.New("plot").Funcs(template.FuncMap{
	"at": func(x float64) string { return fmt.Sprintf("%.1f", x) }, "add": func(a, b float64) string { return fmt.Sprintf("%.1f", a+b) },
}).Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{at .Width}} {{at .Height}}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-labelledby="t d">
  <title id="t">False moves beside the time to notice a death</title>
  <desc id="d">Three panels, one for each load. Each shows how many false moves a node has in a day under that load, and how soon a dead node is noticed, for presets of starling, keepalived with three intervals of adverts, and BFD of GoBGP. The table of the page has the figures.</desc>
  <style>
    text { fill: #24292f } .dim { fill: #57606a } .head { font-size: 15px; font-weight: 600 } .title { font-weight: 600 }
    .grid { stroke: #d0d7de; stroke-width: 1 } .frame { fill: none; stroke: #57606a } .lead { stroke: #8c959f; stroke-width: 0.8 }
    .starling { fill: #0969da; stroke: #0969da } .keepalived { fill: #bc4c00; stroke: #bc4c00 } .BFD { fill: #1a7f37; stroke: #1a7f37 }
    .open { fill: #ffffff; stroke-width: 2 } .arrow { fill: none; stroke-width: 2 } .bar { fill: none; stroke-width: 1; opacity: 0.6 }
    .name { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round }
  </style>
  <rect width="100%" height="100%" fill="#ffffff"/>
  <text x="{{at (index .Panels 0).Left}}" y="24" class="head">False moves beside the time to notice a death, 3 nodes on 2 cores</text>
{{- range .Legend}}
  {{.Shape}} class="{{.Class}}"/>
{{- if .Open}}
  <path d="M{{at .X}} {{add .Y 6}}v7m-3 -3l3 3l3 -3" class="{{.Kind}} arrow"/>
{{- end}}
  <text x="{{add .X 12}}" y="{{add .Y 4}}">{{.Label}}</text>
{{- end}}
  <text transform="translate(16 {{at .Middle}}) rotate(-90)" text-anchor="middle" class="dim">false moves per node-day</text>
{{- $p := .}}
{{- range .Panels}}{{$panel := .}}
  <text x="{{at .Middle}}" y="{{add $p.Top -12}}" text-anchor="middle" class="title">{{.Title}}</text>
{{- range $p.Levels}}
  <line x1="{{at $panel.Left}}" x2="{{at $panel.Right}}" y1="{{at .At}}" y2="{{at .At}}" class="grid"/>
{{- end}}
{{- range .Times}}
  <line x1="{{at .At}}" x2="{{at .At}}" y1="{{at $p.Top}}" y2="{{at $p.Bottom}}" class="grid"/>
  <text x="{{at .At}}" y="{{add $p.Bottom 18}}" text-anchor="middle" class="dim">{{.Text}}</text>
{{- end}}
  <rect x="{{at .Left}}" y="{{at $p.Top}}" width="{{at $p.PanelWidth}}" height="{{at $p.PanelHeight}}" class="frame"/>
  <text x="{{at .Middle}}" y="{{add $p.Bottom 40}}" text-anchor="middle" class="dim">a death is noticed after (median)</text>
{{- range .Marks}}
{{- if .LabelFrom}}
  <line x1="{{at .X}}" x2="{{at .X}}" y1="{{at .Y}}" y2="{{at .LabelFrom}}" class="lead"/>
{{- end}}
{{- if .Open}}
  <path d="M{{at .X}} {{add .Y 5}}v13m-4 -4l4 4l4 -4" class="{{.Kind}} arrow"/>
{{- else}}
  <path d="M{{at .X}} {{at .Y}}V{{at .Most}}m-3 0h6" class="{{.Kind}} bar"/>
{{- end}}
  {{.Shape}} class="{{.Class}}"/>
{{- end}}
{{- range .Marks}}
  <text x="{{at .X}}" y="{{at .LabelY}}" text-anchor="middle" class="name">{{.Label}}</text>
{{- end}}
{{- end}}
{{- range .Levels}}
  <text x="{{add (index $p.Panels 0).Left -8}}" y="{{add .At 4}}" text-anchor="end" class="dim">{{.Text}}</text>
{{- end}}
</svg>
`))
