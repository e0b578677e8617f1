package main

import (
	"encoding/json"
	"io"
	"slices"
	"sync"

	"github.com/rs/zerolog"
)

// journalSize is how many lines are remembered, some hundred bytes each.
const journalSize = 500

// journal remembers the last lines of the log that are worth somebody's attention: at level info
// they tell the story of the speaker, one line for each change of state. They are shown under
// /api/v1/events.
type journal struct {
	mu    sync.Mutex // guards all following fields
	lines [][]byte   // a ring once it is full
	next  int        // where the next line goes then
}

var _ zerolog.LevelWriter = (*journal)(nil)

// Write is for a line without a level, which is kept too.
func (j *journal) Write(line []byte) (int, error) { return j.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel remembers a line of level info or above.
func (j *journal) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if level < zerolog.InfoLevel {
		return len(line), nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) < journalSize {
		j.lines = append(j.lines, slices.Clone(line))
		return len(line), nil
	}
	j.lines[j.next] = append(j.lines[j.next][:0], line...)
	j.next = (j.next + 1) % journalSize
	return len(line), nil
}

// list gives the lines, the oldest first.
func (j *journal) list() []json.RawMessage {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]json.RawMessage, 0, len(j.lines))
	for _, line := range slices.Concat(j.lines[j.next:], j.lines[:j.next]) {
		out = append(out, slices.Clone(line))
	}
	return out
}

// tee writes a log to w and to the journal.
func (j *journal) tee(w io.Writer) io.Writer { return zerolog.MultiLevelWriter(w, j) }
