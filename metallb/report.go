package metallb

import (
	"errors"
	"fmt"
)

// Remark is something that was changed or has no counterpart, and what to do about it.
type Remark struct {
	Where string // document, object and field
	Text  string
}

func (r Remark) String() string {
	if r.Where == "" {
		return r.Text
	}
	return r.Where + ": " + r.Text
}

// mostMistakes is how many mistakes are reported one by one.
const mostMistakes = 50

// report gathers what there is to say about an input.
type report struct {
	remarks  []Remark
	mistakes []error
	more     int // mistakes beyond those
}

func (r *report) remark(where, text string) {
	r.remarks = append(r.remarks, Remark{Where: where, Text: text})
}

func (r *report) fail(where, text string) {
	if len(r.mistakes) == mostMistakes {
		r.more++
		return
	}
	if where != "" {
		text = where + ": " + text
	}
	r.mistakes = append(r.mistakes, errors.New(text))
}

func (r *report) err() error {
	all := errors.Join(r.mistakes...)
	if r.more > 0 {
		all = errors.Join(all, fmt.Errorf("and %d more mistakes", r.more))
	}
	return all
}
