package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The shells ask the program itself what may follow (see complete), so a completion is as current
// as the program. What it prints ends with a line ":0" where names of files may follow, and ":4"
// where not.
const (
	bashCompletion = `# bash completion for starling: source <(starling completion bash)
_starling() {
  local out line
  local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  # bash splits words at = and :, which values may contain
  local cur="${COMP_LINE:0:COMP_POINT}"
  cur="${cur##*[[:space:]]}"
  if [[ "$cur" == *[=:]* ]]; then
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    words=("${words[@]:1}")
  fi
  out="$("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)"
  while IFS= read -r line; do
    case "$line" in
      :4) ;;
      :*) compopt -o default 2>/dev/null ;;
      *) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done <<<"$out"
  local prefix="${cur%"${cur##*[=:]}"}" # what bash holds for another word
  local i
  for i in "${!COMPREPLY[@]}"; do
    COMPREPLY[i]="${COMPREPLY[i]#"$prefix"}"
    [[ "${COMPREPLY[i]}" == *= ]] && compopt -o nospace 2>/dev/null
  done
}
complete -F _starling starling kubectl-starling
`
	zshCompletion = `#compdef starling kubectl-starling
# zsh completion for starling: source <(starling completion zsh)
_starling() {
  local -a lines found
  local line files=0
  lines=("${(@f)$(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    case "$line" in
      :4) ;;
      :*) files=1 ;;
      *$'\t') found+=("${${line%$'\t'}//:/\\:}") ;;
      *) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  (( $#found )) && _describe starling found
  (( files )) && _files
  return 0
}
compdef _starling starling kubectl-starling
`
	fishCompletion = `# fish completion for starling: starling completion fish > ~/.config/fish/completions/starling.fish
function __starling_complete
    set -l words (commandline -opc)
    set -l lines ($words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null)
    for line in $lines
        switch $line
            case ':4'
            case ':*'
                __fish_complete_path (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c starling -f -k -a '(__starling_complete)'
complete -c kubectl-starling -f -k -a '(__starling_complete)'
`
)

func completionCommand() *cli.Command {
	scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	return &cli.Command{
		Name: "completion", Usage: "print a script for your shell that completes commands, flags and names", ArgsUsage: strings.Join(shells(), "|"),
		Description: "  source <(starling completion bash)          in ~/.bashrc\n" +
			"  source <(starling completion zsh)           in ~/.zshrc, after compinit\n" +
			"  starling completion fish > ~/.config/fish/completions/starling.fish\n\n" +
			"For `kubectl starling`, kubectl looks for a program kubectl_complete-starling; a link is enough:\n\n" +
			"  sudo ln -s starling /usr/local/bin/" + completerName,
		Action: func(c *cli.Context) error {
			shell, known := c.Args().First(), strings.Join(shells(), ", ")
			switch {
			case c.NArg() == 0:
				return usageError{command: "completion ", err: fmt.Errorf("name one shell: %s", known)}
			case c.NArg() > 1:
				return usageError{command: "completion ", err: fmt.Errorf("unexpected argument %q", c.Args().Get(1))}
			case !slices.Contains(shells(), shell):
				return usageError{command: "completion ", err: fmt.Errorf("%q is no shell of %s", shell, known)}
			}
			_, err := fmt.Fprint(c.App.Writer, scripts[shell])
			return err
		},
	}
}

func shells() []string { return []string{"bash", "zsh", "fish"} }
