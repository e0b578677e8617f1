package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/rotate"
	"github.com/starling-lb/starling/watcher/kube"
)

func keyCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "kubeconfig", EnvVars: env("KUBECONFIG"), Usage: "kubeconfig `FILE` for the API server", DefaultText: "as kubectl finds it, else in-cluster"},
		&cli.StringFlag{Name: "context", Usage: "use this `CONTEXT` of the kubeconfig", DefaultText: "the current context"},
		&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, EnvVars: env("NAMESPACE"), Usage: "`NAMESPACE` of the speakers and of the Secret starling-gossip", DefaultText: "that of this Pod, else " + defaultNamespace},
		&cli.StringSliceFlag{Name: "server", EnvVars: env("SERVER"), Usage: "`URL` of a speaker to ask; repeatable, in the variable separated by ;", DefaultText: "all, through the API server"},
	}
	return &cli.Command{
		Name:  "key",
		Usage: "show or replace the key that encrypts the gossip",
		Subcommands: []*cli.Command{{
			Name:  "status",
			Usage: "show the keys in the Secret and the keys each member holds",
			Description: "Keys are shown by their fingerprints, which are not secret.\n\n" +
				"Your user needs the rights that rotate needs, except to update the Secret.",
			Flags:  flags,
			Action: func(c *cli.Context) error { return withKeys(c, "key status ", 0, showKeys) },
		}, {
			Name:  "rotate",
			Usage: "replace the key in the Secret, each step confirmed by all members",
			Description: "Adds a new key and waits until every member holds it. Then lets it encrypt and waits until every member " +
				"uses it. Then removes the old keys. You may interrupt it at any time; run it again and it goes on from there.\n\n" +
				"Your user needs, in the namespace of the speakers, to get and update Secrets and, without --server, to " +
				"list pods and get pods/proxy. It does not reach speakers with a --gossip-key-file.\n\n" +
				"Exit codes: 0 replaced, 1 a step was not confirmed in time or failed, 2 a wrong command line.",
			Flags:  append(slices.Clone(flags), &cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "how long each step may take"}),
			Action: func(c *cli.Context) error { return withKeys(c, "key rotate ", c.Duration("timeout"), rotateKey) },
		}},
	}
}

// withKeys checks the command line, connects, and runs a command.
func withKeys(c *cli.Context, command string, limit time.Duration, do func(context.Context, *rotation) error) error {
	var errs []error
	if c.Args().Present() {
		errs = append(errs, fmt.Errorf("unexpected argument %q", c.Args().First()))
	}
	namespace, err := ownNamespace(c.String("namespace"))
	if err != nil {
		errs = append(errs, prefixed("--namespace", err))
	}
	if c.IsSet("timeout") && limit <= 0 {
		errs = append(errs, fmt.Errorf("--timeout: %s is not a time to wait", limit))
	}
	servers := c.StringSlice("server")
	errs = append(errs, checkServers(servers))
	client, err := kube.ConnectUser(c.String("kubeconfig"), c.String("context"), "starling/"+version())
	if err != nil {
		errs = append(errs, fmt.Errorf("--kubeconfig: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return usageError{command: command, err: err}
	}
	speakers := asker{targets: podTargets(client, namespace, ""), limit: askLimit}
	if len(servers) > 0 {
		speakers.targets = serverTargets(servers)
	}
	return do(c.Context, &rotation{
		read: func(ctx context.Context) (kube.KeySecret, error) {
			return kube.ReadKeySecret(ctx, client, namespace)
		},
		write:    func(ctx context.Context, s kube.KeySecret) error { return kube.WriteKeySecret(ctx, client, s) },
		ask:      speakers.hear,
		generate: mesh.GenerateKey,
		out:      c.App.Writer,
		limit:    limit,
		pause:    time.Second,
	})
}

func rotateKey(ctx context.Context, r *rotation) error { return r.run(ctx) }

// hear asks askMost of the speakers, since whoever knows somebody knows who else is there. It is an
// error only when nobody answers.
func (a asker) hear(ctx context.Context) (hearing, error) {
	answers, err := a.some(ctx, "api/v1/status", askMost)
	if err != nil {
		return hearing{}, err
	}
	var h hearing
	for _, r := range answers {
		s, err := api.Snapshot{}, r.err
		if err == nil {
			s, err = read[api.Snapshot](r.body)
		}
		if err != nil {
			h.silent = append(h.silent, fmt.Sprintf("%s: %s", r.name, oneLine(err)))
			continue
		}
		h.views = append(h.views, viewOf(s))
	}
	if len(h.views) == 0 {
		return h, fmt.Errorf("no speaker answers: %s", strings.Join(h.silent, "; "))
	}
	return h, nil
}

func viewOf(s api.Snapshot) rotate.View {
	v := rotate.View{Node: s.Node}
	for _, m := range s.Members {
		v.Members = append(v.Members, rotate.Seen{Name: m.Name, State: m.State, Keys: m.Keys})
	}
	return v
}

// showKeys prints who holds what.
func showKeys(ctx context.Context, r *rotation) error {
	ctx, cancel := context.WithTimeout(ctx, 2*askLimit)
	defer cancel()
	s, err := r.state(ctx)
	if err != nil {
		return err
	}
	heard, err := r.ask(ctx)
	if err != nil {
		return err
	}
	return printKeys(r.out, s, heard)
}

func printKeys(out io.Writer, s secretKeyring, heard hearing) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SECRET\tUSE")
	for i, key := range s.keyring.Keys {
		use := "decrypts"
		if i == 0 {
			use = "encrypts and decrypts"
		}
		if key == s.keyring.Mark {
			use += ", new: a rotation is under way"
		}
		fmt.Fprintf(w, "%s\t%s\n", key, use)
	}
	members := rotate.Members(heard.views)
	fmt.Fprintln(w, "\nMEMBER\tKEYS")
	for _, m := range members {
		keys := strings.Join(m.Keys, " ")
		if m.Unknown != "" {
			keys = m.Unknown
		}
		fmt.Fprintf(w, "%s\t%s\n", m.Name, keys)
	}
	for _, name := range rotate.Dead(heard.views) {
		fmt.Fprintf(w, "%s\tis dead\n", name)
	}
	fmt.Fprintln(w)
	if s.keyring.Next() != rotate.Add {
		fmt.Fprintln(w, "A rotation was begun: `starling key rotate` goes on with it.")
	}
	for _, why := range s.keyring.Lacking(members) {
		fmt.Fprintln(w, why)
	}
	for _, who := range heard.silent {
		fmt.Fprintln(w, "did not answer:", who)
	}
	return w.Flush()
}
