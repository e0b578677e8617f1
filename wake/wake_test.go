package wake

import (
	"testing"
	"time"
)

func TestEarlier(t *testing.T) {
	never := time.Time{}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for name, tc := range map[string]struct{ a, b, want time.Time }{
		"both":    {at(1), at(2), at(1)},
		"swapped": {at(2), at(1), at(1)},
		"first":   {at(1), never, at(1)},
		"second":  {never, at(1), at(1)},
		"never":   {never, never, never},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Earlier(tc.a, tc.b); !got.Equal(tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
