package page

import (
	"fmt"
	"strings"
)

// The drawing has a box for each member and, in it, a mark for each address that it announces;
// those that nobody announces stand in a box of their own, which comes first. A mark is a chip with
// the address as long as no box has more than chips of them, a dot as long as none has more than
// fit, and else the box has one bar. Marks have the address as their identity, so a script can let
// them travel from box to box.
//
// The text of a picture shrinks with it. So there are two, one for wide screens and one for phones,
// and the style sheet shows the one that fits.
const (
	chips   = 8  // of one box, at most, to be drawn with their addresses
	dotRows = 12 // of one box, at most
	boxes   = 60 // drawn; the table has all

	gap                 = 12 // all that follows is in units of the drawing, which are pixels on most screens
	padding             = 12
	boxHead             = 46 // of a box, for its name
	chipTall, chipPitch = 20, 24
	dotPitch            = 12
	barTall             = 10
	charWide            = 7 // of a name
)

// drawing is one picture.
type drawing struct {
	ID            string
	Width, Height int
	Boxes         []box
	Label         string // the picture in words
	Left          int    // members that are not drawn
}

// box is a member, or nobody.
type box struct {
	X, Y, W, H int
	Name, Full string // as it fits, and whole
	Note       string
	Level      string
	Count      string
	Marks      []mark
	Bar        int // how much of the bar is filled, when there are no marks
	Room       int // the whole bar
}

// mark is an address.
type mark struct {
	*row
	ID         string
	X, Y, W, H int
	Round      int    // of the corners
	Label      string // of a chip
}

// layout is how a drawing is divided.
type layout struct {
	id          string
	width       int
	least, most int // columns
}

// TextX and the others say where the words of a box and its bar stand, for the template.
func (b box) TextX() int  { return b.X + padding }
func (b box) CountX() int { return b.X + b.W - padding }
func (b box) NameY() int  { return b.Y + 20 }
func (b box) NoteY() int  { return b.Y + 36 }
func (b box) BarY() int   { return b.Y + boxHead }

func (x *Index) drawings(members []member) []drawing {
	return []drawing{
		x.draw(layout{"broad", 800, 3, 5}, members),
		x.draw(layout{"slim", 350, 2, 2}, members),
	}
}

// draw places boxes in rows; the boxes of one row are equally tall.
func (x *Index) draw(l layout, members []member) drawing {
	d := drawing{ID: l.id, Width: l.width, Label: x.inWords(members)}
	if len(members) > boxes {
		members, d.Left = members[:boxes], len(members)-boxes
	}
	all := x.boxes(members)
	columns := min(max(len(all), l.least), l.most)
	w := (l.width - (columns-1)*gap) / columns
	place := x.placing(all, w)
	y := 0
	for from := 0; from < len(all); from += columns {
		line := all[from:min(from+columns, len(all))]
		tall := 0
		for i := range line {
			b := &line[i]
			b.X, b.Y, b.W = i*(w+gap), y, w
			b.Name = cut(b.Full, (w-2*padding-30)/charWide)
			tall = max(tall, place(l.id, b))
		}
		for i := range line {
			line[i].H = tall
		}
		y += tall + gap
	}
	d.Boxes, d.Height = all, max(1, y-gap)
	return d
}

// boxes are nobody, if it has addresses, and the members, each with its marks not yet placed.
func (x *Index) boxes(members []member) []box {
	var r []box
	at := map[string]int{}
	if n := x.counts[""]; n > 0 {
		r = append(r, box{Full: "nobody", Note: "no answer for clients", Level: fair, Count: thousands(n)})
	}
	for _, m := range members {
		at[m.Name] = len(r)
		b := box{Full: m.Name, Note: m.Health, Level: m.Level, Count: thousands(m.Announces)}
		r = append(r, b)
	}
	for i := range x.rows {
		v := &x.rows[i]
		if b, ok := at[v.Owner]; ok || v.Owner == "" {
			r[b].Marks = append(r[b].Marks, mark{row: v})
		}
	}
	return r
}

// Title is what a mark says when it is pointed at.
func (m mark) Title() string {
	v := m.row
	where := "announced by " + v.Owner
	if v.Owner == "" {
		where = "announced by nobody"
	}
	return fmt.Sprintf("%s %s, %s", v.IP, where, strings.Join(v.Services, ", "))
}

// placing chooses the finest marks that fit in every box of this width; the function it returns
// places them and says how tall the box must be.
func (*Index) placing(all []box, w int) func(id string, b *box) int {
	most := 0
	for _, b := range all {
		most = max(most, len(b.Marks))
	}
	perRow := (w - 2*padding + dotPitch/3) / dotPitch
	switch {
	case most <= chips:
		return chipsIn
	case most <= perRow*dotRows:
		return func(id string, b *box) int { return dotsIn(id, b, perRow) }
	}
	return func(_ string, b *box) int { return barIn(b, most) }
}

func chipsIn(id string, b *box) int {
	for i := range b.Marks {
		m := &b.Marks[i]
		m.X, m.Y, m.W, m.H, m.Round = b.X+padding, b.Y+boxHead+i*chipPitch, b.W-2*padding, chipTall, 5
		m.Label, m.ID = cut(m.IP, (m.W-16)/charWide), id+"-"+m.IP
	}
	return boxHead + max(1, len(b.Marks))*chipPitch + padding - (chipPitch - chipTall)
}

func dotsIn(id string, b *box, perRow int) int {
	for i := range b.Marks {
		m := &b.Marks[i]
		m.X, m.Y, m.W, m.H, m.Round = b.X+padding+i%perRow*dotPitch, b.Y+boxHead+i/perRow*dotPitch, 8, 8, 4
		m.ID = id + "-" + m.IP
	}
	return boxHead + (max(1, len(b.Marks))+perRow-1)/perRow*dotPitch + padding - (dotPitch - 8)
}

func barIn(b *box, most int) int {
	b.Room = b.W - 2*padding
	b.Bar = b.Room * len(b.Marks) / most
	b.Marks = nil
	return boxHead + barTall + padding
}

// inWords is the drawing for who cannot see it.
func (x *Index) inWords(members []member) string {
	var parts []string
	if n := x.counts[""]; n > 0 {
		parts = append(parts, "nobody announces "+plural(n, "address", "addresses"))
	}
	for _, m := range members[:min(len(members), boxes)] {
		parts = append(parts, fmt.Sprintf("%s, %s, announces %s", m.Name, m.Health, thousands(m.Announces)))
	}
	return "Members and what they announce: " + strings.Join(parts, "; ")
}
