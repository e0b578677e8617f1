package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Values of flags that cannot be read, in the words of the library: the value, and the flag or the variable it came from.
var (
	badFlag     = regexp.MustCompile(`^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^ :]+): `)
	badVariable = regexp.MustCompile(`^could not parse "(.*)" as .* value from environment variable "([^"]+)" for flag ([^ :]+): `)
)

// mistake says of a wrong flag what is wrong and what would be right, where the library says how it noticed.
func mistake(flags []cli.Flag, err error) error {
	words := err.Error()
	if name, ok := strings.CutPrefix(words, "flag provided but not defined: -"); ok {
		return fmt.Errorf("there is no flag %s", dashed(name))
	}
	if name, ok := strings.CutPrefix(words, "flag needs an argument: -"); ok {
		return fmt.Errorf("%s needs a value%s", dashed(name), suggestion(flags, name, ": "))
	}
	if m := badFlag.FindStringSubmatch(words); m != nil {
		return fmt.Errorf("%s: %q is not%s", dashed(m[2]), m[1], suggestion(flags, m[2], " "))
	}
	if m := badVariable.FindStringSubmatch(words); m != nil {
		return fmt.Errorf("%s: %q is not%s", m[2], m[1], suggestion(flags, m[3], " "))
	}
	return err
}

// dashed is a flag as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// suggestion is what a value of a flag looks like, after a separator.
func suggestion(flags []cli.Flag, name, separator string) string {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return ""
	}
	switch flags[i].(type) {
	case *cli.DurationFlag:
		return separator + "a time such as 500ms, 30s or 10m"
	case *cli.IntFlag:
		return separator + "a whole number"
	case *cli.BoolFlag:
		return separator + "true or false"
	}
	return ""
}
