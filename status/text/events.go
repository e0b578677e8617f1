package text

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Event is one line of a speaker's log.
type Event struct {
	Time    time.Time
	Speaker string // node of the speaker that tells it
	Level   string
	Message string
	Fields  string          // the other ones, "key=value", sorted
	Raw     json.RawMessage // the line, with the key "speaker" added
}

// ParseEvent understands a line.
func ParseEvent(node string, line []byte) (Event, error) {
	fields := map[string]any{}
	if err := json.Unmarshal(line, &fields); err != nil {
		return Event{}, fmt.Errorf("understand the event %.80q: %w", line, err)
	}
	fields["speaker"] = node
	e := Event{Speaker: node, Level: word(fields["level"]), Message: word(fields["message"])}
	e.Time, _ = time.Parse(time.RFC3339, word(fields["time"])) // one without a time comes first
	var err error
	if e.Raw, err = json.Marshal(fields); err != nil {
		return Event{}, fmt.Errorf("write the event %.80q: %w", line, err)
	}
	for _, k := range []string{"time", "level", "message", "speaker", "room"} {
		delete(fields, k)
	}
	var rest []string
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if v := word(fields[k]); v != "" {
			rest = append(rest, k+"="+v)
		}
	}
	e.Fields = strings.Join(rest, " ")
	return e, nil
}

// word is a value of a log line as text.
func word(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// Events prints lines as they are sorted.
func (p Printer) Events(out io.Writer, list []Event) error {
	return output(out, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "nothing happened, as far as the speakers remember")
			return
		}
		t := p.table(w, "TIME", "SPEAKER", "LEVEL", "WHAT", "DETAILS")
		for _, e := range list {
			at := ""
			if !e.Time.IsZero() {
				at = e.Time.Format("01-02 15:04:05.000")
			}
			t.row(at, e.Speaker, e.Level, e.Message, e.Fields)
		}
		t.end()
	})
}
