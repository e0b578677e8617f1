package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/doctor"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher/apitest"
)

// speakerOf answers as the speaker of a node does: n2 has a blocked gossip port and a line of its
// own to tell.
func speakerOf(node string) http.Handler {
	mux := http.NewServeMux()
	say := func(path string, v any) {
		mux.HandleFunc("GET /api/v1/"+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // the client may be gone
		})
	}
	snap := example()
	snap.Node = node
	say("status", snap)
	raw := []api.Reported{{Condition: health.New(health.NoNetRaw, health.Node("n9"), "missing NET_RAW").Do("let it"), Nodes: []string{"n9"}}}
	places := map[string][]api.Place{"n1": {{Pool: "p", Network: "198.18.0.0/16", Interfaces: []string{"eth7"}}}}
	say("others", api.Others{Node: node, Findings: api.LegacyReports(raw), Places: places, Conditions: raw})
	say("leases", []api.Lease{{Service: "a/b", By: "uid", Holder: "n1", IPs: []api.LeaseItem{{IP: "198.18.64.1", Pool: "p", State: "bound"}}}})
	mux.HandleFunc("GET /api/v1/who", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(api.Who{Node: node, IP: r.URL.Query().Get("ip"), Words: "n1 announces " + r.URL.Query().Get("ip")})
	})
	line := `{"time":"2026-01-02T03:04:05.00%s","level":"info","message":"announcing","vip":"198.18.64.%s"}`
	library := json.RawMessage(`{"time":"2026-01-02T03:04:04.000Z","level":"warn","message":"memberlist","reason":"odd packet"}`)
	say("events", map[string]any{"node": node, "nodes": []string{"n1", "n2"}, "events": []json.RawMessage{library, json.RawMessage(fmt.Sprintf(line, node[1:]+"Z", node[1:]))}})
	checks := []doctor.Check{{Name: "packet-socket", Result: doctor.OK, Words: "fine"}}
	if node == "n2" {
		checks = append(checks, doctor.Check{Name: "gossip-tcp", Result: doctor.Fail, Words: "gossip port of n1 is blocked", Todo: "open it"})
	}
	say("doctor", doctor.Report{Node: node, At: time.Now(), Checks: checks, Pools: []string{"198.18.64.0/30"}, View: "v"})
	return mux
}

// cluster is an API server with a speaker on each of the nodes; it gives the kubeconfig. A node
// "!n3" has a pod that does not answer.
func cluster(t *testing.T, nodes ...string) string {
	t.Helper()
	return clusterWith(t, nil, nodes...)
}

// clusterWith is a cluster whose API server answers some paths so.
func clusterWith(t *testing.T, answers map[string]string, nodes ...string) string {
	t.Helper()
	api := apitest.Start(t)
	mux := http.NewServeMux()
	mux.Handle("/", api)
	for path, body := range answers {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
	}
	for _, n := range nodes {
		name, silent := strings.CutPrefix(n, "!")
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: defaultNamespace, Name: "s-" + name, Labels: map[string]string{"app.kubernetes.io/name": "starling"}}}
		pod.Spec.NodeName = name
		api.Create(pod)
		handler := speakerOf(name)
		if silent {
			handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "dial: no route", http.StatusBadGateway) })
		}
		prefix := "/api/v1/namespaces/" + defaultNamespace + "/pods/s-" + name + ":7928/proxy"
		mux.Handle(prefix+"/", http.StripPrefix(prefix, handler))
	}
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	return kubeconfig(t, front.URL)
}

// called runs a command line and gives its exit code and what it printed.
func called(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestCommands(t *testing.T) {
	file := cluster(t, "n1", "n2")
	server := httptest.NewServer(speakerOf("n1"))
	t.Cleanup(server.Close)
	const who = "n1 announces 198.18.64.1\n\nRANKING AS %s SEES IT\n  NODE  SCORE  ELIGIBLE  ROLE  WHY NOT\n"
	const events = "  TIME                SPEAKER  LEVEL  WHAT        DETAILS\n" +
		"  01-02 03:04:05.001  n1       info   announcing  vip=198.18.64.1\n"
	const second = "  01-02 03:04:05.002  n2       info   announcing  vip=198.18.64.2\n"
	const sound = "  RESULT  CHECK          NODES  FOUND\n" +
		"  ok      speaker        n1     answers\n" +
		"  ok      packet-socket  n1     fine\n"
	tests := []struct {
		name string
		args []string // after the program's name and the way to ask
		code int
		one  string // of one speaker
		all  string // of the cluster, "" the same
	}{
		{"who", []string{"who", "198.18.64.1"}, exitOK, fmt.Sprintf(who, "n1"), ""},
		{"who of a Service", []string{"who", "a/b"}, exitOK, fmt.Sprintf(who, "n1"), ""},
		{"pools", []string{"pools"}, exitOK, "\nPOOLS\n  NAME  FAMILY  USED  FREE  WAITING  RANGES          RULES\n  p     -       1     3     0        198.18.64.0/30  priority 1\n", ""},
		{"leases", []string{"leases"}, exitOK, "  SERVICE  ADDRESS      STATE  POOL  WRITTEN BY  REMARK\n  a/b      198.18.64.1  bound  p     n1          -\n", ""},
		{"events", []string{"events"}, exitOK, events, events + second},
		{
			"those of the library too",
			[]string{"events", "--memberlist", "--grep", "odd"},
			exitOK, strings.Replace(events, "  01-02 03:04:05.001  n1       info   announcing  vip=198.18.64.1", "  01-02 03:04:04.000  n1       warn   memberlist  reason=odd packet", 1),
			strings.Replace(events, "  01-02 03:04:05.001  n1       info   announcing  vip=198.18.64.1", "  01-02 03:04:04.000  n1       warn   memberlist  reason=odd packet\n  01-02 03:04:04.000  n2       warn   memberlist  reason=odd packet", 1),
		},
		{"some events", []string{"events", "--grep", "198.18.64.1"}, exitOK, events, ""},
		{"the last event", []string{"events", "--limit=1"}, exitOK, events, strings.Replace(events, "001  n1       info   announcing  vip=198.18.64.1", "002  n2       info   announcing  vip=198.18.64.2", 1)},
		{
			"doctor",
			[]string{"doctor"},
			exitOK, sound,
			"  RESULT  CHECK          NODES  FOUND\n" +
				"  fail    gossip-tcp     n2     gossip port of n1 is blocked\n" +
				"  ok      speaker        n1 n2  answers\n" +
				"  ok      packet-socket  n1 n2  fine\n" +
				"  ok      clock          -      the clocks of all nodes agree within 2s\n" +
				"  ok      views          -      all speakers name the same announcers\n" +
				"\nTO DO\n  gossip-tcp: gossip port of n1 is blocked\n    open it\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errOut := called(t, append([]string{"starling", tt.args[0], "--server", server.URL}, tt.args[1:]...)...)
			if diff := cmp.Diff(tt.one, out); diff != "" || code != tt.code {
				t.Errorf("one speaker: exit code %d, %s, printed (-want +got):\n%s", code, errOut, diff)
			}
			want, wantCode := tt.all, tt.code
			if want == "" {
				want = tt.one
			}
			if strings.Contains(want, "TO DO") {
				wantCode = exitUnwell
			}
			code, out, errOut = called(t, append(append([]string{"/usr/bin/kubectl-starling"}, tt.args...), "--kubeconfig", file)...)
			if diff := cmp.Diff(want, out); diff != "" || code != wantCode {
				t.Errorf("the cluster: exit code %d, %s, printed (-want +got):\n%s", code, errOut, diff)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	file := cluster(t, "n1")
	unmarshal := map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) }}
	for format, read := range unmarshal {
		_, out, errOut := called(t, "starling", "status", "--kubeconfig", file, "-o", format)
		var got api.Snapshot
		if err := read([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v\n%s%s", format, err, out, errOut)
		}
		if diff := cmp.Diff(example(), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
		if _, short, errOut := called(t, "starling", "status", "--kubeconfig", file, "-o"+format); short != out {
			t.Errorf("-o%s is not as -o %s: %s\n%s", format, format, errOut, short)
		}
		_, out, _ = called(t, "starling", "pools", "--kubeconfig", file, "-o", format)
		var keys map[string]any
		if err := read([]byte(out), &keys); err != nil || len(keys) != 2 || keys["pools"] == nil || keys["waiting"] == nil {
			t.Errorf("pools as %s: %v\n%s", format, err, out)
		}
		_, out, _ = called(t, "starling", "doctor", "--kubeconfig", file, "-o", format)
		var found []doctor.Found
		if err := read([]byte(out), &found); err != nil || len(found) != 2 || found[1].Name != "packet-socket" || found[1].Nodes[0] != "n1" {
			t.Errorf("doctor as %s: %v\n%s", format, err, out)
		}
	}
}

// What other speakers find is asked for, too, and stands beside.
func TestOthers(t *testing.T) {
	file := cluster(t, "n1")
	_, out, errOut := called(t, "starling", "status", "--kubeconfig", file)
	if want := "  error on n9: missing NET_RAW\n    to do: let it\n"; !strings.Contains(out, want) {
		t.Errorf("no %q in\n%s%s", want, out, errOut)
	}
	_, out, errOut = called(t, "starling", "status", "--kubeconfig", file, "-o", "json")
	var got struct {
		Node   string
		Others []api.LegacyReported

		ConditionsOfOthers []api.Reported
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errOut)
	}
	if got.Node != "n1" || len(got.Others) != 1 || got.Others[0].Words != "missing NET_RAW" || got.Others[0].Nodes[0] != "n9" ||
		len(got.ConditionsOfOthers) != 1 || got.ConditionsOfOthers[0].Code != health.NoNetRaw || got.ConditionsOfOthers[0].Nodes[0] != "n9" {
		t.Errorf("as JSON: %+v", got)
	}
}

// A speaker that is silent, as on a node that died, does not keep one waiting for the whole limit.
func TestTheNextIsAskedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		silent := target{name: "n1", get: func(ctx context.Context, _ string) ([]byte, error) {
			asked.Add(1)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}
		well := target{name: "n2", get: func(context.Context, string) ([]byte, error) { return []byte("{}"), nil }}
		for _, tt := range []struct {
			name  string
			list  []target
			from  string
			asked int32
			took  time.Duration
		}{
			{"well", []target{well, silent}, "n2", 0, 0},
			{"the first is silent", []target{silent, well, silent}, "n2", 1, impatience},
			{"two are", []target{silent, silent, well}, "n2", 2, 2 * impatience},
			{"all are", []target{silent, silent}, "", 2, impatience + askLimit},
			{"no more are tried", []target{silent, silent, silent, well}, "", 3, 2*impatience + askLimit},
		} {
			asked.Store(0)
			a := asker{limit: askLimit, targets: func(context.Context) ([]target, error) { return tt.list, nil }}
			begun := time.Now()
			from, _, err := a.anyone(t.Context(), "x")
			if from.name != tt.from || (err == nil) != (tt.from != "") || asked.Load() != tt.asked || time.Since(begun) != tt.took {
				t.Errorf("%s: %q answers, %v, after %v and %d others", tt.name, from.name, err, time.Since(begun), asked.Load())
			}
			synctest.Wait() // for those who were left
		}
	})
}

func TestOneSpeakerIsEnough(t *testing.T) {
	file := cluster(t, "!n1", "n2")
	code, out, errOut := called(t, "starling", "status", "--kubeconfig", file)
	if code != exitOK || !strings.HasPrefix(out, "As n2 sees it") {
		t.Errorf("exit code %d, %q, %s", code, out, errOut)
	}
	code, out, errOut = called(t, "starling", "events", "--kubeconfig", file)
	if code != exitOK || !strings.Contains(errOut, "starling: n1 did not answer: ask pod starling-system/s-n1 on n1: ") || !strings.Contains(out, "  n2  ") {
		t.Errorf("exit code %d, %q, %s", code, out, errOut)
	}
	code, out, _ = called(t, "starling", "doctor", "--kubeconfig", file)
	if code != exitUnwell || !strings.Contains(out, "fail    speaker        n1     the speaker of n1 did not answer: ask pod") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestEventsOfSome: who asks only some of the speakers is told so, and who asks all is not.
func TestEventsOfSome(t *testing.T) {
	server := httptest.NewServer(speakerOf("n1"))
	t.Cleanup(server.Close)
	const remark = "starling: asked 1 of 2 nodes, and not n2; kubectl starling events asks all\n"
	if code, _, errOut := called(t, "starling", "events", "--server", server.URL); code != exitOK || errOut != remark {
		t.Errorf("one speaker: exit code %d, %q, want %q", code, errOut, remark)
	}
	if code, _, errOut := called(t, "starling", "events", "--kubeconfig", cluster(t, "n1", "n2")); code != exitOK || errOut != "" {
		t.Errorf("all: exit code %d, %q", code, errOut)
	}
}

func TestAskMistakes(t *testing.T) {
	file, here := cluster(t, "!n1"), cluster(t, "n1")
	empty := cluster(t)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // begins a line
	}{
		{"no address", []string{"who"}, exitUsage, "starling: name an ADDRESS, a NAMESPACE/SERVICE or a NODE, as in starling who 192.168.1.240"},
		{"a part of an address", []string{"who", "1.2.3", "--server", "http://n1"}, exitUsage, `starling: "1.2.3" is no address, Service or node: give an ADDRESS`},
		{"more than a byte", []string{"who", "192.168.1.256", "--server", "http://n1"}, exitUsage, `starling: "192.168.1.256" is no address, Service or node: give an ADDRESS`},
		{"no address at all", []string{"who", "a/b/c", "--server", "http://n1"}, exitUsage, `starling: "a/b/c" is no address, Service or node: give an ADDRESS`},
		{"no such node", []string{"who", "n0", "--kubeconfig", here}, exitFailed, `starling: n1 knows no node "n0"; did you mean n1?`},
		{"no such node at all", []string{"who", "web", "--kubeconfig", here}, exitFailed, `starling: n1 knows no node "web"; its members are n1`},
		{"no such Service", []string{"who", "a/c", "--kubeconfig", here}, exitFailed, "starling: Service a/c holds no address of starling; `starling leases` lists those that do"},
		{"two addresses", []string{"who", "198.18.64.1", "198.18.64.2"}, exitUsage, `starling: unexpected argument "198.18.64.2"`},
		{"two ways", []string{"pools", "--server", "http://n1", "--node", "n1"}, exitUsage, "starling: --server goes straight to a speaker, --node through the API server: leave one of them out"},
		{"colors", []string{"leases", "--color", "sometimes"}, exitUsage, `starling: --color: "sometimes" is none of auto, always and never`},
		{"interval", []string{"status", "--watch", "--interval", "0s"}, exitUsage, "starling: --interval: 0s is not a time to wait"},
		{"limit", []string{"events", "--limit", "-1"}, exitUsage, "starling: --limit and --since may not be negative"},
		{"DHCP", []string{"doctor", "--dhcp", "198.18.64.9-198.18.64.1"}, exitUsage, `starling: --dhcp: "198.18.64.9-198.18.64.1" is reversed: the first address is above the last one`},
		{"a shell", []string{"completion", "tcsh"}, exitUsage, `starling: "tcsh" is no shell of bash, zsh, fish`},
		{"no kubeconfig", []string{"status", "--kubeconfig", "/nonexistent"}, exitUsage, "starling: --kubeconfig: kubeconfig: "},
		{"a context", []string{"status", "--kubeconfig", file, "--context", "moon"}, exitUsage, `starling: --kubeconfig: kubeconfig: context "moon" does not exist`},
		{"no speaker", []string{"status", "--kubeconfig", empty}, exitFailed, "starling: no speaker runs in namespace starling-system: install starling, or name its namespace with --namespace"},
		{"not on that node", []string{"status", "--kubeconfig", file, "--node", "n9"}, exitFailed, `starling: no speaker runs on node "n9": of 1 pods in namespace starling-system none is there`},
		{"nobody answers", []string{"status", "--kubeconfig", file}, exitFailed, "starling: ask pod starling-system/s-n1 on n1: "},
		{"no node answers doctor", []string{"doctor", "--kubeconfig", file}, exitFailed, "starling: no speaker answers: ask pod starling-system/s-n1 on n1: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errOut := called(t, append([]string{"starling"}, tt.args...)...)
			lines := strings.Split(strings.TrimSpace(errOut), "\n")
			if code != tt.code || out != "" || count(lines, tt.want) != 1 {
				t.Errorf("exit code %d, want %d; printed %q; told\n%s\nwant %s", code, tt.code, out, errOut, tt.want)
			}
		})
	}
}

// Who has not the rights is told which are missing, once for all pods.
func TestForbidden(t *testing.T) {
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"pods is forbidden: no","code":403}`)
	}))
	t.Cleanup(front.Close)
	code, _, errOut := called(t, "starling", "status", "--kubeconfig", kubeconfig(t, front.URL))
	want := "starling: list the pods of speakers in namespace starling-system: pods is forbidden: no\n" +
		"starling: your user needs to list pods and to get pods/proxy in namespace starling-system: see docs/cli.md for a Role\n"
	if code != exitFailed || errOut != want {
		t.Errorf("exit code %d, told\n%s\nwant\n%s", code, errOut, want)
	}
}

func TestUnderstand(t *testing.T) {
	app := newApp(&bytes.Buffer{}, &bytes.Buffer{})
	for _, tt := range []struct{ name, in, want string }{
		{"as the library wants it", "who --node n1 198.18.64.1", "who --node n1 198.18.64.1"},
		{"behind", "who 198.18.64.1 --node n1 -o=json", "who --node n1 -o=json 198.18.64.1"},
		{"a flag without a value", "status x --watch y", "status --watch x y"},
		{"an unknown flag", "who x --moon y", "who --moon x y"},
		{"standard input", "convert - --strict", "convert --strict -"},
		{"after --", "who -- x --node", "who -- x --node"},
		{"the last one lacks its value", "who x --node", "who --node x"},
		{"no command", "", ""},
		{"a subcommand", "key rotate x --timeout 1s", "key rotate --timeout 1s x"},
		{"help of a command", "help who", "help: who"},
		{"help behind", "key rotate -h", "help: key rotate"},
		{"help is an argument", "who help", "who help"},
	} {
		l := understand(app, strings.Fields(tt.in))
		got := strings.Join(l.arguments()[1:], " ")
		if l.help {
			got = "help: " + got
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPlugin(t *testing.T) {
	for program, want := range map[string]bool{"starling": false, "/usr/bin/kubectl-starling": true, "./starling-kubectl": false} {
		if got := plugin(program); got != want {
			t.Errorf("%s: %v", program, got)
		}
	}
	_, out, _ := called(t, "kubectl-starling", "who", "--help")
	if !strings.Contains(out, "kubectl starling who") {
		t.Errorf("its help does not call it kubectl starling:\n%s", out)
	}
}
