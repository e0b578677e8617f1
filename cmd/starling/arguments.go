package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// line is a command line as this program understands it. The library only reads the values: which
// command is meant, where flags may stand, and what is wrong with them is found here, so that
// people may write flags anywhere, as with kubectl, and read about all mistakes at once.
type line struct {
	app   *cli.App
	path  []*cli.Command // the command and its subcommand; empty for the program itself
	flags []string       // with their values
	rest  []string       // arguments; what follows -- stays as it is, with the --
	help  bool           // --help, -h or the command help
}

// understand finds the command, its flags and its arguments in the words behind the program's name.
func understand(app *cli.App, words []string) line {
	l := line{app: app}
	for len(words) > 0 {
		if words[0] == "help" && len(l.commands()) > 0 {
			l.help, words = true, words[1:]
			continue
		}
		i := slices.IndexFunc(l.commands(), func(c *cli.Command) bool { return c.HasName(words[0]) })
		if i < 0 {
			break
		}
		l.path, words = append(l.path, l.commands()[i]), words[1:]
	}
	flags, rest := split(l.known(), words)
	l.rest = rest
	for _, f := range flags {
		if f == "--help" || f == "-help" || f == "-h" {
			l.help = true
			continue
		}
		l.flags = append(l.flags, f)
	}
	return l
}

// commands are those that may come next.
func (l line) commands() []*cli.Command {
	if len(l.path) == 0 {
		return l.app.Commands
	}
	return l.path[len(l.path)-1].Subcommands
}

// known are the flags of the command.
func (l line) known() []cli.Flag {
	if len(l.path) == 0 {
		return l.app.Flags
	}
	return l.path[len(l.path)-1].Flags
}

// name is that of the command with a space behind, "" for the program itself.
func (l line) name() string {
	var name strings.Builder
	for _, c := range l.path {
		name.WriteString(c.Name + " ")
	}
	return name.String()
}

// arguments is the command line in the order that the library wants.
func (l line) arguments() []string {
	return slices.Concat([]string{l.app.Name}, strings.Fields(l.name()), l.flags, l.rest)
}

// check says what is wrong with the command and with the flags, one line for each mistake.
func (l line) check() error {
	var err error
	if commands := l.commands(); len(l.rest) > 0 && len(commands) > 0 && !l.misplaced() { // what its flags are nobody knows
		err = fmt.Errorf("unknown command %q%s", l.name()+l.rest[0], question(l.closest(l.rest[0])))
	} else {
		err = errors.Join(l.checkFlags(), checkVariables(l.known()))
	}
	if err != nil {
		return usageError{command: l.name(), err: err}
	}
	return nil
}

// closest is the command that a word may have been meant for, with those before it, "" none. Where
// no command is close, a subcommand may be.
func (l line) closest(word string) string {
	if name := closest(word, namesOf(l.commands())); name != "" {
		return l.name() + name
	}
	for _, c := range l.commands() {
		if name := closest(word, namesOf(c.Subcommands)); name != "" {
			return l.name() + c.Name + " " + name
		}
	}
	return ""
}

// misplaced reports whether the first argument is a command, before which a flag stands.
func (l line) misplaced() bool {
	return slices.ContainsFunc(l.commands(), func(c *cli.Command) bool { return slices.ContainsFunc(l.rest, c.HasName) })
}

// checkFlags looks at each flag and its value.
func (l line) checkFlags() error {
	var errs []error
	for words := l.flags; len(words) > 0; words = words[1:] {
		name, value, given := strings.Cut(strings.TrimLeft(words[0], "-"), "=")
		f := flagOf(l.known(), name)
		switch {
		case f == nil:
			errs = append(errs, l.noFlag(name))
			continue
		case !given && !needsValue(f):
			continue
		case !given && len(words) == 1:
			errs = append(errs, fmt.Errorf("%s needs a value%s", dashed(name), shape(f, ": ")))
			continue
		case !given:
			words = words[1:]
			value = words[0]
		}
		if !fits(f, value) {
			errs = append(errs, fmt.Errorf("%s: %q is not%s", dashed(name), value, shape(f, " ")))
		}
	}
	return errors.Join(errs...)
}

// noFlag says of an unknown flag what may have been meant.
func (l line) noFlag(name string) error {
	if len(l.path) == 0 {
		for _, c := range l.app.Commands {
			if flagOf(c.Flags, name) != nil {
				return fmt.Errorf("%s belongs behind a command, as in %s %s %s", dashed(name), l.app.Name, c.Name, dashed(name))
			}
		}
	}
	return fmt.Errorf("there is no flag %s%s", dashed(name), didYouMean(dashed(name), append(longNames(l.known()), "--help")))
}

// longNames are the names of flags as they are typed, those of one letter left out.
func longNames(known []cli.Flag) []string {
	var names []string
	for _, f := range known {
		for _, n := range f.Names() {
			if len(n) > 1 {
				names = append(names, dashed(n))
			}
		}
	}
	return names
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
			flags, args = append(flags, detach(known, word)...), args[1:]
		}
	}
	return flags, rest
}

// detach parts a flag of one letter from a value that follows without a space, as in -ojson. What
// is close to a longer flag stays one word, as a mistyped one.
func detach(known []cli.Flag, word string) []string {
	if len(word) < 3 || word[1] == '-' || word[2] == '=' {
		return []string{word}
	}
	name, _, _ := strings.Cut(word[1:], "=")
	f := flagOf(known, word[1:2])
	if f == nil || !needsValue(f) || flagOf(known, name) != nil || closest(dashed(name), longNames(known)) != "" {
		return []string{word}
	}
	return []string{word[:2], word[2:]}
}

// takesValue reports whether the word after a flag is its value.
func takesValue(known []cli.Flag, word string) bool {
	f := flagOf(known, strings.TrimLeft(word, "-"))
	return f != nil && needsValue(f)
}

// flagOf is the flag of a name, nil if there is none.
func flagOf(known []cli.Flag, name string) cli.Flag {
	i := slices.IndexFunc(known, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return known[i]
}

func namesOf(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}
