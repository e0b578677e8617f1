package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command before its arguments, where the library wants them, because kubectl lets
// people write them anywhere. What follows -- stays as it is.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 3 {
		return args
	}
	i := slices.IndexFunc(app.Commands, func(c *cli.Command) bool { return c.HasName(args[1]) })
	if i < 0 || len(app.Commands[i].Subcommands) > 0 {
		return args
	}
	flags, rest := split(app.Commands[i].Flags, args[2:])
	return slices.Concat(args[:2], flags, rest)
}

// split parts the flags with their values from the arguments.
func split(known []cli.Flag, args []string) (flags, rest []string) {
	for len(args) > 0 {
		word := args[0]
		switch {
		case word == "--":
			return flags, slices.Concat(rest, args)
		case !strings.HasPrefix(word, "-") || word == "-":
			rest, args = append(rest, word), args[1:]
		case len(args) > 1 && takesValue(known, word):
			flags, args = append(flags, word, args[1]), args[2:]
		default:
			flags, args = append(flags, word), args[1:]
		}
	}
	return flags, rest
}

// takesValue tells whether the word after a flag is its value.
func takesValue(known []cli.Flag, word string) bool {
	name := strings.TrimLeft(word, "-")
	for _, f := range known {
		if _, is := f.(*cli.BoolFlag); !is && slices.Contains(f.Names(), name) {
			return true
		}
	}
	return false
}
