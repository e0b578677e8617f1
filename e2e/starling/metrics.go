package starling

import (
	"bufio"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Total sums up all series of a metric in the text of MetricsOf. It is an error if there is none,
// or one that is no whole number.
func Total(text, name string) (sum int, err error) {
	found := false
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if metric, _, _ := strings.Cut(series, "{"); metric != name {
			continue
		}
		v, err := strconv.ParseFloat(value, 64) // large ones have exponents
		if err == nil && v != math.Trunc(v) {
			err = fmt.Errorf("%s is no whole number", value)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		found, sum = true, sum+int(v)
	}
	if !found {
		return 0, fmt.Errorf("there is no %s", name)
	}
	return sum, nil
}
