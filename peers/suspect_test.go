package peers

import "testing"

func TestBelieved(t *testing.T) {
	for _, tt := range []struct {
		name               string
		own                watchResult
		near               bool
		witnesses, fellows int
		want               bool
	}{
		{"this node alone hears nobody", silent, true, 0, 2, false},
		{"two alone, and it is silent", silent, true, 0, 1, true},
		{"another says so too", silent, true, 1, 2, true},
		{"others say so, this node hears it", present, true, 2, 2, false},
		{"others say so, no word from the wire yet", open, true, 2, 2, false},
		{"elsewhere, one says so", open, false, 1, 3, false},
		{"elsewhere, two say so", open, false, 2, 3, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := New(Config{}).believed(tt.own, tt.near, tt.witnesses, tt.fellows); got != tt.want {
				t.Errorf("dead: %v", got)
			}
		})
	}
}
