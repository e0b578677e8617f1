package text

import (
	"fmt"
	"io"
	"strings"

	"github.com/starling-lb/starling/doctor"
)

// Doctor prints what was found, and then what to do about what is wrong.
func (p Printer) Doctor(out io.Writer, list []doctor.Found) error {
	return output(out, func(w io.Writer) {
		t := p.table(w, "RESULT", "CHECK", "NODES", "FOUND")
		for _, f := range list {
			nodes := strings.Join(f.Nodes, " ")
			if len(f.Nodes) > 5 && !p.Wide {
				nodes = fmt.Sprintf("%s and %d more", strings.Join(f.Nodes[:4], " "), len(f.Nodes)-4)
			}
			t.row(f.Result, f.Name, nodes, f.Words)
		}
		t.end()
		head := "\nTO DO\n"
		for _, f := range list {
			if f.Result != doctor.OK && f.Todo != "" {
				fmt.Fprintf(w, "%s  %s: %s\n    %s\n", head, p.paint(f.Result, f.Name), clean(f.Words), clean(f.Todo))
				head = ""
			}
		}
	})
}
