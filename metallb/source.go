package metallb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// MaxSize is the most that is read of all sources together, in bytes.
const MaxSize = 32 << 20

// Source is a file or what came by standard input.
type Source struct {
	Name string // "" when there is only one and it needs no name
	Data []byte
}

// document is one document of a source, decoded: text, number, bool, nil, []any or map[string]any.
type document struct {
	where string
	value any
}

// documents decodes a source. The error joins one for each document that cannot be decoded.
func (s Source) documents() ([]document, error) {
	var docs []document
	var errs []error
	number := 0
	for _, c := range split(s.Data) {
		values, err := decode(c.text)
		if len(values) == 0 && err == nil {
			continue
		}
		for _, v := range values {
			number++
			docs = append(docs, document{where: s.where(number), value: v})
		}
		if err != nil {
			number++
			errs = append(errs, fmt.Errorf("%s, which begins at line %d: %w", s.where(number), c.line, err))
		}
	}
	return docs, errors.Join(errs...)
}

func (s Source) where(number int) string {
	where := fmt.Sprintf("document %d", number)
	if s.Name != "" {
		where = printable(s.Name) + ": " + where
	}
	return where
}

// chunk is the text between two separators, and the line of the source that it begins at.
type chunk struct {
	text []byte
	line int
}

// split cuts a stream of YAML at its separators: lines of "---", which may have content behind it,
// and of "...".
func split(data []byte) []chunk {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var chunks []chunk
	begin, line, first := 0, 0, 1
	end := func(at int) {
		if !blank(data[begin:at]) {
			chunks = append(chunks, chunk{text: data[begin:at], line: first})
		}
	}
	at := 0
	for l := range bytes.Lines(data) {
		line++
		switch next := at + len(l); {
		case separates(l, "---"):
			end(at)
			begin, first = at+len("---"), line
			at = next
		case separates(l, "..."):
			end(at)
			begin, first = next, line+1
			at = next
		default:
			at = next
		}
	}
	end(len(data))
	return chunks
}

// separates reports whether the line is the separator, alone or with something behind a space.
func separates(line []byte, separator string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(separator))
	return ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// blank reports whether there is nothing but space, comments and directives.
func blank(text []byte) bool {
	for l := range bytes.Lines(text) {
		if l = bytes.TrimSpace(l); len(l) > 0 && l[0] != '#' && l[0] != '%' {
			return false
		}
	}
	return true
}

// decode reads a document of YAML, or one or more values of JSON behind each other.
func decode(text []byte) ([]any, error) {
	if t := bytes.TrimSpace(text); len(t) > 0 && t[0] == '{' {
		if values, ok := decodeJSON(t); ok {
			return values, nil
		}
	}
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, explained(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, explained(err)
	}
	if v == nil {
		return nil, nil
	}
	return []any{v}, nil
}

func decodeJSON(text []byte) (values []any, ok bool) {
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var v any
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return values, true
		case err != nil:
			return nil, false
		}
		values = append(values, v)
	}
}

// explained makes one line of an error of the decoder, with what to do about the most likely
// mistake.
func explained(err error) error {
	text := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "error converting YAML to JSON: ")
	if strings.Contains(text, "already set in map") {
		text += "; put a line of --- between two objects"
	}
	return errors.New(printable(text))
}
