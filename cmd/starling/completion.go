package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The shells ask the program itself what may follow, so a completion is as current as the program.
const (
	bashCompletion = `# bash completion for starling: source <(starling completion bash)
_starling() {
  local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  [[ "${COMP_WORDS[COMP_CWORD]}" == -* ]] && words+=("${COMP_WORDS[COMP_CWORD]}")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _starling starling kubectl-starling
`
	zshCompletion = `#compdef starling kubectl-starling
# zsh completion for starling: source <(starling completion zsh)
_starling() {
  local -a found
  local last=${words[CURRENT]}
  if [[ "$last" == -* ]]; then
    found=("${(@f)$(${words[1,CURRENT-1]} $last --generate-bash-completion 2>/dev/null)}")
  else
    found=("${(@f)$(${words[1,CURRENT-1]} --generate-bash-completion 2>/dev/null)}")
  fi
  if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _starling starling kubectl-starling
`
)

func completionCommand() *cli.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cli.Command{
		Name: "completion", Usage: "print a script that completes commands and flags in a shell", ArgsUsage: strings.Join(shells, "|"),
		Description: "source <(starling completion bash)          in ~/.bashrc\n" +
			"source <(starling completion zsh)           in ~/.zshrc, after compinit\n" +
			"starling completion fish > ~/.config/fish/completions/starling.fish",
		BashComplete: func(c *cli.Context) { fmt.Fprintln(c.App.Writer, strings.Join(shells, "\n")) },
		Action: func(c *cli.Context) error {
			shell, known := c.Args().First(), strings.Join(shells, ", ")
			switch {
			case c.NArg() == 0:
				return usageError{command: "completion ", err: fmt.Errorf("name one shell: %s", known)}
			case c.NArg() > 1:
				return usageError{command: "completion ", err: fmt.Errorf("unexpected argument %q", c.Args().Get(1))}
			case !slices.Contains(shells, shell):
				return usageError{command: "completion ", err: fmt.Errorf("%q is no shell of %s", shell, known)}
			}
			script := map[string]string{"bash": bashCompletion, "zsh": zshCompletion}[shell]
			if shell == "fish" {
				var err error
				if script, err = c.App.ToFishCompletion(); err != nil {
					return fmt.Errorf("make the completion for fish: %w", err)
				}
			}
			_, err := fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}
