package starling

import "testing"

func TestTotal(t *testing.T) {
	const text = "# HELP a b\na{reason=\"x\"} 3\na{reason=\"y\"} 4\nab 100\nb 5\nc much\ne 4.8275456e+07\nf 0.5\n"
	for name, want := range map[string]int{"a": 7, "b": 5, "e": 48275456} {
		if got, err := Total(text, name); got != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"c", "d", "f"} {
		if got, err := Total(text, name); err == nil {
			t.Errorf("%s: %d without an error", name, got)
		}
	}
}
