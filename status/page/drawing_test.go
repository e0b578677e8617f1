package page

import (
	"strings"
	"testing"

	"github.com/starling-lb/starling/api"
)

func TestDrawing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		addresses    int
		nodes        int
		marks, chips int // that each picture must have
	}{
		{"nothing", 0, 0, 0, 0},
		{"nobody has an address", 0, 3, 0, 0},
		{"few", 9, 3, 9, 9},
		{"as many as can be named", 3 * chips, 3, 3 * chips, 3 * chips},
		{"one more", 3*chips + 1, 3, 3*chips + 1, 0},
		{"very many", 10000, 50, 0, 0},
		{"more nodes than are drawn", 0, boxes + 9, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := many(tt.addresses, max(tt.nodes, 1))
			s.Snapshot.Members = s.Snapshot.Members[:tt.nodes]
			x := NewIndex(s)
			ids := map[string]bool{}
			for _, d := range x.drawings(x.members()) {
				marks, named := 0, 0
				for _, b := range d.Boxes {
					for _, m := range b.Marks {
						marks++
						if m.Label != "" {
							named++
						}
						if ids[m.ID] {
							t.Errorf("%s is there twice", m.ID)
						}
						ids[m.ID] = true
					}
				}
				if marks != tt.marks || named != tt.chips {
					t.Errorf("%s: %d marks, %d named, want %d and %d", d.ID, marks, named, tt.marks, tt.chips)
				}
				if len(d.Boxes)+d.Left != tt.nodes {
					t.Errorf("%s: %d boxes and %d left, want %d", d.ID, len(d.Boxes), d.Left, tt.nodes)
				}
				inside(t, d)
			}
		})
	}
}

// inside wants everything to be within the picture, each mark within its box, and nothing on
// something else.
func inside(t *testing.T, d drawing) {
	t.Helper()
	for i, b := range d.Boxes {
		if b.X < 0 || b.Y < 0 || b.X+b.W > d.Width || b.Y+b.H > d.Height {
			t.Errorf("%s: box %+v is not within %d x %d", d.ID, b, d.Width, d.Height)
		}
		for _, o := range d.Boxes[:i] {
			if overlap(b.X, b.Y, b.W, b.H, o.X, o.Y, o.W, o.H) {
				t.Errorf("%s: %s lies on %s", d.ID, b.Name, o.Name)
			}
		}
		for j, m := range b.Marks {
			if m.X < b.X || m.Y < b.Y+boxHead || m.X+m.W > b.X+b.W || m.Y+m.H > b.Y+b.H {
				t.Errorf("%s: mark %s is not within its box", d.ID, m.ID)
			}
			for _, o := range b.Marks[:j] {
				if overlap(m.X, m.Y, m.W, m.H, o.X, o.Y, o.W, o.H) {
					t.Errorf("%s: %s lies on %s", d.ID, m.ID, o.ID)
				}
			}
		}
		if b.Bar > b.Room || b.Room > b.W {
			t.Errorf("%s: the bar %d of %d is not within its box", d.ID, b.Bar, b.Room)
		}
	}
}

func overlap(x1, y1, w1, h1, x2, y2, w2, h2 int) bool {
	return x1 < x2+w2 && x2 < x1+w1 && y1 < y2+h2 && y2 < y1+h1
}

// What nobody announces stands in the first box, and what an unknown member announces is in no box.
func TestDrawingOfNobody(t *testing.T) {
	t.Parallel()
	x := NewIndex(Scene{At: noon, Snapshot: api.Snapshot{
		Members: []api.Member{{Name: "n1", State: "alive", Ready: true, Health: "ready"}},
		VIPs:    []api.VIP{{IP: "198.18.64.1", Services: []string{"a/b"}, Since: noon}, {IP: "198.18.64.2", Owner: "n1"}, {IP: "198.18.64.3", Owner: "n9"}},
	}})
	d := x.drawings(x.members())[0]
	if len(d.Boxes) != 2 || d.Boxes[0].Full != "nobody" || len(d.Boxes[0].Marks) != 1 || len(d.Boxes[1].Marks) != 1 {
		t.Fatalf("boxes %+v", d.Boxes)
	}
	if m := d.Boxes[0].Marks[0]; !m.Fresh || m.Level != fair || m.Title() != "198.18.64.1 announced by nobody, a/b" {
		t.Errorf("mark of %+v, %q", *m.row, m.Title())
	}
	if want := "Members and what they announce: nobody announces 1 address; n1, ready, announces 0"; d.Label != want {
		t.Errorf("in words: %q, want %q", d.Label, want)
	}
}

// A bar is as long as what it stands for, and its box has a number in any case.
func TestBars(t *testing.T) {
	t.Parallel()
	s := many(4000, 2)
	for i := range s.Snapshot.VIPs {
		s.Snapshot.VIPs[i].Owner = map[bool]string{true: "n0", false: "n1"}[i < 3000]
	}
	s.Snapshot.Members[0].Announces, s.Snapshot.Members[1].Announces = 3000, 1000
	x := NewIndex(s)
	for _, d := range x.drawings(x.members()) {
		full, part := d.Boxes[0], d.Boxes[1]
		if full.Bar != full.Room || part.Bar != part.Room/3 {
			t.Errorf("%s: bars %d and %d of %d", d.ID, full.Bar, part.Bar, part.Room)
		}
		if part.Count != "1\u202f000" {
			t.Errorf("%s: count %q", d.ID, part.Count)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "n1": "n1", "2001:db8::1": "2001:db8::1", "ip-10-0-0-1.example": "ip-10…ample", strings.Repeat("ä", 12): strings.Repeat("ä", 5) + "…" + strings.Repeat("ä", 5)} {
		if got := cut(in, 11); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
