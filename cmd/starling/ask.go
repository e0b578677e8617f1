package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/status"
	"github.com/starling-lb/starling/watcher/kube"
)

const (
	// askLimit is how long one speaker may take to answer.
	askLimit = 5 * time.Second
	// askMost is how many speakers are asked at a time: an answer tells of all
	// members, and in a large cluster it is megabytes.
	askMost = 16
)

// askFlags are those of every command that asks speakers.
func askFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "server", EnvVars: env("SERVER"), Usage: "`URL` of a speaker to ask; repeatable, in the variable separated by ;", DefaultText: defaultServer + " if a speaker runs there; else, and as kubectl starling, all speakers through the API server"},
		&cli.StringFlag{Name: "kubeconfig", EnvVars: env("KUBECONFIG"), Usage: "ask through the API server, with this kubeconfig `FILE`", DefaultText: "as kubectl finds it"},
		&cli.StringFlag{Name: "context", Usage: "ask through the API server, with this `CONTEXT` of the kubeconfig", DefaultText: "the current context"},
		&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, EnvVars: env("NAMESPACE"), Usage: "`NAMESPACE` of the speakers", DefaultText: "that of this Pod, else " + defaultNamespace},
		&cli.StringFlag{Name: "node", Usage: "ask the speaker of this `NODE`, through the API server", DefaultText: "any"},
		&cli.DurationFlag{Name: "timeout", Value: askLimit, Usage: "how long to wait for each speaker's answer"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "`FORMAT`: table, wide, json or yaml"},
		&cli.StringFlag{Name: "color", EnvVars: env("COLOR"), Value: "auto", Usage: "`WHEN` to use colors: auto (on a terminal, unless NO_COLOR is set), always or never"},
	}, more...)
}

// target is one speaker that can be asked.
type target struct {
	name string // for messages
	get  func(ctx context.Context, path string) ([]byte, error)

	user     string // that the API server knows it by, "" where it was not asked
	policies func(context.Context) (list []kube.Policy, known bool, err error)
}

// answer is what a speaker said.
type answer struct {
	name  string
	body  []byte
	begun time.Time
	took  time.Duration
	err   error
}

// asker asks speakers, directly or through the API server.
type asker struct {
	targets func(context.Context) ([]target, error)
	limit   time.Duration
}

// pluginName is what the program is called in its own help when it is a plugin of kubectl.
const pluginName = "kubectl starling"

// plugin reports whether the program was called as a plugin of kubectl, which sets the name.
func plugin(program string) bool {
	name := filepath.Base(program)
	return strings.HasPrefix(name, "kubectl-") || name == completerName
}

// newAsker reads the flags. Nobody is asked yet. The error has one line for each mistake.
func newAsker(c *cli.Context) (asker, error) {
	var errs []error
	a := asker{limit: c.Duration("timeout")}
	if a.limit <= 0 {
		errs = append(errs, fmt.Errorf("--timeout: %s is not a time to wait", a.limit))
	}
	servers := c.StringSlice("server")
	errs = append(errs, checkServers(servers))
	api := c.App.Name == pluginName
	for _, name := range []string{"kubeconfig", "context", "node"} {
		if c.IsSet(name) && len(servers) > 0 {
			errs = append(errs, fmt.Errorf("--server goes straight to a speaker, --%s through the API server: leave one of them out", name))
		}
		api = api || c.IsSet(name)
	}
	switch {
	case len(servers) > 0:
		a.targets = serverTargets(servers)
	case !api:
		a.targets = nearest(defaultServer, c.App.ErrWriter, func() (func(context.Context) ([]target, error), error) { return chosenPods(c) })
	default:
		targets, err := chosenPods(c)
		errs = append(errs, err)
		a.targets = targets
	}
	return a, errors.Join(errs...)
}

// checkServers has a line for each that is no URL.
func checkServers(servers []string) error {
	var errs []error
	for _, s := range servers {
		if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
			errs = append(errs, fmt.Errorf("--server: %q is not a URL like %s", s, defaultServer))
		}
	}
	return errors.Join(errs...)
}

// serverTargets are the speakers at the URLs, without any the one of this node.
func serverTargets(servers []string) func(context.Context) ([]target, error) {
	if len(servers) == 0 {
		servers = []string{defaultServer}
	}
	var list []target
	for _, s := range servers {
		list = append(list, target{name: s, get: func(ctx context.Context, path string) ([]byte, error) {
			body, err := status.Get(ctx, s, path)
			return body, hint(s, err)
		}})
	}
	return func(context.Context) ([]target, error) { return list, nil }
}

// nearest is the speaker of this node. Where nobody listens at its address it is those that a
// kubeconfig leads to, which says so, since whoever calls starling on a laptop means them.
func nearest(local string, notice io.Writer, pods func() (func(context.Context) ([]target, error), error)) func(context.Context) ([]target, error) {
	return func(ctx context.Context) ([]target, error) {
		here := serverTargets([]string{local})
		u, err := url.Parse(local)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", local, err)
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		if err == nil {
			_ = conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return here(ctx)
		}
		there, err := pods()
		if err != nil {
			return here(ctx) // which says what to do
		}
		fmt.Fprintln(notice, "starling: no speaker runs here; asking through the API server")
		return there(ctx)
	}
}

// hint says what to do when nobody listens at the default address.
func hint(server string, err error) error {
	if server == defaultServer && errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w\nno speaker runs here; ask through the API server (kubectl starling, or --kubeconfig FILE), or another speaker with --server http://NODE:7928", err)
	}
	return err
}

// chosenPods are the pods of the speakers that the flags choose.
func chosenPods(c *cli.Context) (func(context.Context) ([]target, error), error) {
	namespace, err := ownNamespace(c.String("namespace"))
	if err != nil {
		return nil, prefixed("--namespace", err)
	}
	client, err := kube.ConnectUser(c.String("kubeconfig"), c.String("context"), "starling/"+version())
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	return podTargets(client, namespace, c.String("node")), nil
}

// podTargets are the pods of the speakers on one node, "" for all, reached through the API server:
// whoever looks after the cluster reaches that, and often not the nodes.
func podTargets(client *kube.Client, namespace, node string) func(context.Context) ([]target, error) {
	return func(ctx context.Context) ([]target, error) {
		pods, err := kube.SpeakerPods(ctx, client, namespace)
		if err != nil {
			return nil, forbidden(err, namespace)
		}
		var list []target
		for _, p := range pods {
			if node == "" || p.Node == node {
				list = append(list, target{name: p.Node, user: p.User, get: func(ctx context.Context, path string) ([]byte, error) {
					body, err := kube.AskPod(ctx, client, p, path)
					return body, forbidden(err, namespace)
				}, policies: func(ctx context.Context) ([]kube.Policy, bool, error) { return kube.Policies(ctx, client) }})
			}
		}
		switch {
		case len(list) == 0 && node != "":
			return nil, fmt.Errorf("no speaker runs on node %q: of %d pods in namespace %s none is there; see kubectl -n %s get pods -o wide", node, len(pods), namespace, namespace)
		case len(list) == 0:
			return nil, fmt.Errorf("no speaker runs in namespace %s: install starling, or name its namespace with --namespace", namespace)
		}
		return list, nil
	}
}

// forbidden says which rights are missing.
func forbidden(err error, namespace string) error {
	if err != nil && kube.Refused(err) {
		return fmt.Errorf("%w\nyour user needs to list pods and to get pods/proxy in namespace %s: see docs/cli.md for a Role", err, namespace)
	}
	return err
}

// one asks the speakers until one answers.
func (a asker) one(ctx context.Context, path string) ([]byte, error) {
	_, body, err := a.anyone(ctx, path)
	return body, err
}

const (
	// impatience is how long one speaker may be silent before the next is asked as well: the first
	// may be on the node that died.
	impatience = time.Second
	// oneOf is how many speakers are tried.
	oneOf = 3
)

// anyone asks the first speaker, and the next each time when one fails or is silent, and returns
// who answered first.
func (a asker) anyone(ctx context.Context, path string) (target, []byte, error) {
	list, err := a.list(ctx)
	if err != nil {
		return target{}, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	list = list[:min(len(list), oneOf)]
	type reply struct {
		from target
		answer
	}
	replies := make(chan reply, len(list))
	var errs []error
	for asked := 0; len(errs) < len(list); {
		if asked < len(list) {
			t := list[asked]
			asked++
			go func() { replies <- reply{t, a.ask(ctx, t, path)} }()
		}
		var silent <-chan time.Time
		if asked < len(list) {
			silent = time.After(impatience)
		}
		select {
		case r := <-replies:
			if r.err == nil {
				return r.from, r.body, nil
			}
			errs = append(errs, r.err)
		case <-silent:
		}
	}
	return target{}, nil, errors.Join(errs...)
}

// all asks all speakers. It is an error only when none answers.
func (a asker) all(ctx context.Context, path string) ([]answer, error) {
	list, err := a.list(ctx)
	if err != nil {
		return nil, err
	}
	return a.each(ctx, list, path)
}

// some is all, but for so many of them at most, others each time.
func (a asker) some(ctx context.Context, path string, most int) ([]answer, error) {
	list, err := a.list(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return a.each(ctx, list[:min(len(list), most)], path)
}

// each asks these, askMost at a time.
func (a asker) each(ctx context.Context, list []target, path string) ([]answer, error) {
	answers := make([]answer, len(list))
	for at := 0; at < len(list); at += askMost {
		var asking sync.WaitGroup
		for i := at; i < min(at+askMost, len(list)); i++ {
			asking.Go(func() { answers[i] = a.ask(ctx, list[i], path) })
		}
		asking.Wait()
	}
	if !slices.ContainsFunc(answers, func(r answer) bool { return r.err == nil }) {
		var errs []error
		for _, r := range answers {
			errs = append(errs, r.err)
		}
		return nil, fmt.Errorf("no speaker answers: %w", errors.Join(errs...))
	}
	return answers, nil
}

func (a asker) list(ctx context.Context) ([]target, error) {
	ctx, cancel := a.within(ctx)
	defer cancel()
	return a.targets(ctx)
}

func (a asker) ask(ctx context.Context, t target, path string) answer {
	ctx, cancel := a.within(ctx)
	defer cancel()
	begun := time.Now()
	body, err := t.get(ctx, path)
	return answer{t.name, body, begun, time.Since(begun), err}
}

func (a asker) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, a.limit, fmt.Errorf("waited %s", a.limit))
}

// read understands an answer.
func read[T any](body []byte) (T, error) {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("understand the answer: %w", err)
	}
	return v, nil
}

// part leaves of a JSON object only some keys.
func part(body []byte, keys ...string) ([]byte, error) {
	all, err := read[map[string]json.RawMessage](body)
	if err != nil {
		return nil, err
	}
	some := map[string]json.RawMessage{}
	for _, k := range keys {
		some[k] = all[k]
	}
	return json.Marshal(some)
}
