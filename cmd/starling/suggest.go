package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// dashed is a flag as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// needsValue reports whether a flag must have a value.
func needsValue(f cli.Flag) bool {
	_, is := f.(*cli.BoolFlag)
	return !is
}

// fits reports whether the library can read the value of a flag.
func fits(f cli.Flag, value string) bool {
	var err error
	switch f.(type) {
	case *cli.DurationFlag:
		_, err = time.ParseDuration(value)
	case *cli.IntFlag:
		_, err = strconv.ParseInt(value, 0, strconv.IntSize)
	case *cli.BoolFlag:
		_, err = strconv.ParseBool(value)
	}
	return err == nil
}

// shape is what a value of a flag looks like, after a separator; "" where any text will do.
func shape(f cli.Flag, separator string) string {
	switch f.(type) {
	case *cli.DurationFlag:
		return separator + "a time such as 500ms, 30s or 10m"
	case *cli.IntFlag:
		return separator + "a whole number"
	case *cli.BoolFlag:
		return separator + "true or false"
	}
	return ""
}

// checkVariables looks at the values of flags that come from the environment. An empty one is none.
func checkVariables(flags []cli.Flag) error {
	var errs []error
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		for _, name := range d.GetEnvVars() {
			if value := os.Getenv(name); value != "" && !fits(f, value) {
				errs = append(errs, fmt.Errorf("%s: %q is not%s", name, value, shape(f, " ")))
			}
		}
	}
	return errors.Join(errs...)
}

// didYouMean asks for the known word that is closest to one that is not known, "" if none is close.
func didYouMean(word string, known []string) string { return question(closest(word, known)) }

// question asks whether a word was meant, at the end of a sentence; "" for none.
func question(word string) string {
	if word == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", word)
}

// closest is the known word that is closest to one that is not known, "" if none is close.
func closest(word string, known []string) string {
	best, away := "", 1+maxTypos(word)
	for _, k := range known {
		d := typos(word, k)
		if bare := strings.TrimLeft(word, "-"); len(bare) > 1 && strings.HasPrefix(k, word) {
			d = 0 // the beginning of it
		}
		if d < away {
			best, away = k, d
		}
	}
	return best
}

// maxTypos is how far a word may be from a known one to be taken for it.
func maxTypos(word string) int { return max(1, len(strings.TrimLeft(word, "-"))/3) }

// typos is the least number of letters to add, leave out, replace or swap with the next that makes
// b of a (the optimal string alignment distance).
func typos(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
