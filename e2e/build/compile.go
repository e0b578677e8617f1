package build

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// compile runs the go tool, and weighs the packages that it names.
func compile(ctx context.Context, root string, flags, targets []string, report Report) error {
	work, err := toCompile(ctx, root, flags, targets, report)
	if err != nil {
		return err
	}
	done, most := 0, 0
	for _, files := range work {
		most += files
	}
	return run(ctx, root, slices.Concat([]string{"build", "-v"}, flags, targets), func(line string) {
		if files := work[line]; files > 0 {
			done += files
			report("compile", done, most)
		}
	})
}

// toCompile counts the files of each package that is not compiled yet. For the first time all
// modules are downloaded for that. Of the flags it needs the one that names another go.mod.
func toCompile(ctx context.Context, root string, flags, targets []string, report Report) (map[string]int, error) {
	modules := 0
	downloaded := func(line string) {
		if strings.HasPrefix(line, "go: downloading ") {
			modules++
			report("download", modules, 0)
		}
	}
	args := []string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}} {{len .GoFiles}}{{end}}"}
	for _, f := range flags {
		if strings.HasPrefix(f, "-modfile=") {
			args = append(args, f)
		}
	}
	out, err := output(ctx, root, append(args, targets...), downloaded)
	if err != nil {
		return nil, err
	}
	work := map[string]int{}
	for line := range strings.Lines(out) {
		var name string
		var files int
		if _, err := fmt.Sscan(line, &name, &files); err == nil {
			work[name] = files
		}
	}
	return work, nil
}

// run runs the go tool, and gives each line of what it says to a function.
func run(ctx context.Context, root string, args []string, said func(line string)) error {
	_, err := output(ctx, root, args, said)
	return err
}

// output is what the go tool prints, while each line of what it says besides goes to a function.
func output(ctx context.Context, root string, args []string, said func(line string)) (string, error) {
	cmd := goTool(ctx, root, args...)
	var printed bytes.Buffer
	cmd.Stdout = &printed
	lines, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	var last []string
	for s := bufio.NewScanner(lines); s.Scan(); {
		last = append(last[max(0, len(last)-linesKept):], s.Text())
		said(s.Text())
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.Join(last, "\n"))
	}
	return printed.String(), nil
}

// linesKept are the last lines of the go tool, for an error.
const linesKept = 40

// goTool runs the go command of this toolchain the way all programs here are built: static.
func goTool(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(Environment(), "CGO_ENABLED=0")
	return cmd
}

// Environment is that of this process, in which compilers collect garbage less often unless GOGC
// says how often. That took a fifth of their processor time away, for a tenth more memory.
func Environment() []string {
	if os.Getenv("GOGC") != "" {
		return os.Environ()
	}
	return append(os.Environ(), "GOGC=400")
}
