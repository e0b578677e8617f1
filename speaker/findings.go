package speaker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that somebody should look at.
type Finding struct {
	Level string `json:"level"` // "error": it harms or will; "warning": it may
	About string `json:"about"` // "node n2", "198.18.64.1", "pool default"; "" this speaker
	Words string `json:"words"`
	Todo  string `json:"todo"` // what to do about it
}

const (
	harm = "error"
	hint = "warning"
)

// findings gathers what is wrong from all parts of a snapshot, the worst first, so that one look tells whether
// anything is.
func findings(s Snapshot) []Finding {
	var list []Finding
	for _, r := range s.Reasons {
		list = append(list, Finding{harm, "", r, Advice(r)})
	}
	for _, m := range s.Members {
		switch {
		case m.Verdict == "" || slices.Contains(s.Problems, m.Verdict):
		case m.State == "dead":
			list = append(list, Finding{harm, "node " + m.Name, m.Verdict, m.Todo})
		case m.State != "left":
			list = append(list, Finding{hint, "node " + m.Name, m.Verdict, m.Todo})
		}
	}
	for _, p := range s.Problems {
		list = append(list, Finding{hint, "", p, Advice(p)})
	}
	for _, c := range s.Conflicts {
		list = append(list, Finding{harm, c.IP, c.Words, c.Todo})
	}
	list = append(list, queued(s)...)
	list = append(list, unannounced(s)...)
	slices.SortStableFunc(list, func(a, b Finding) int { return strings.Compare(a.Level, b.Level) })
	return list
}

// moreRoom is what helps where a pool is used up.
const moreRoom = "add addresses to the pool, or delete Services that need none; `starling pools` shows its use"

// queued says for each pool that Services wait for it, and for the others each by name.
func queued(s Snapshot) []Finding {
	var list []Finding
	for _, p := range s.Pools {
		var names []string
		why := ""
		for _, w := range s.Waiting {
			if w.Pool == p.Name {
				names, why = append(names, w.Service), w.Reason
			}
		}
		if len(names) > 0 {
			list = append(list, Finding{
				harm, "pool " + p.Name, fmt.Sprintf("%d wait for an address of pool %q (%s): %s", len(names), p.Name, some(names, 3), why),
				moreRoom,
			})
		}
	}
	for _, w := range s.Waiting {
		if w.Pool == "" {
			list = append(list, Finding{harm, w.Service, fmt.Sprintf("%s waits for an address: %s", w.Service, w.Reason), "change what the Service asks for, or the pools"})
		}
	}
	return list
}

// unannounced says which addresses nobody announces, one line for each reason.
func unannounced(s Snapshot) []Finding {
	var reasons []string
	ips := map[string][]string{}
	for _, v := range s.VIPs {
		if v.Owner == "" {
			if ips[v.Reason] == nil {
				reasons = append(reasons, v.Reason)
			}
			ips[v.Reason] = append(ips[v.Reason], v.IP)
		}
	}
	var list []Finding
	for _, why := range reasons {
		list = append(list, Finding{
			hint, ips[why][0], fmt.Sprintf("nobody announces %s: %s", some(ips[why], 3), why),
			cmp.Or(Advice(why), "`starling who "+ips[why][0]+"` says why not for each node"),
		})
	}
	return list
}

// remedies say what to do, by what the words of a problem contain. The rooms that word the problems know what is
// wrong; what to do about it is said here, in one place, for page and command line alike.
func remedies() [][2]string {
	return [][2]string{
		{allExcluded, "let nodes announce: kubectl label nodes NAME node.kubernetes.io/exclude-from-external-load-balancers-, or start the speakers with --ignore-exclude-label"},
		{"a moment to object", "wait a second"},
		{"is blocked; ", "open the gossip port (7927, tcp and udp) between the nodes in both directions; `starling doctor` tests it"},
		{"neither gossip nor the wire reaches", "see whether the node is up, its link, and its speaker: kubectl get nodes; kubectl -n starling-system get pods -o wide"},
		{"uses another gossip key", "compare the keys with `starling key status`: the node there has another --gossip-key-file, or an old copy of the Secret; restart its speaker"},
		{"belongs to another cluster", "give each cluster a gossip port of its own (--gossip-addr), or a network of its own"},
		{"does not answer as a speaker", "see what listens on the gossip port there"},
		{"by tcp but not by udp", "open the gossip port (7927) for udp too"},
		{"two nodes are named", "give each node a name of its own (--node-name)"},
		{"is in use", "end the other program, or give all speakers another port by --gossip-addr"},
		{"missing NET_RAW", "let the container have the capability NET_RAW, and the namespace be privileged (label pod-security.kubernetes.io/enforce)"},
		{"no usable interface", "bring the link up, or name the interface by --interface; `starling doctor` says of each why it is not used"},
		{"no interface matches", "correct --interface; `starling doctor` lists the interfaces there are"},
		{"no interface to announce on", "bring the link up, or name the interface by --interface; `starling doctor` says of each why it is not used"},
		{"the configuration file is not in force", "correct the file (ConfigMap starling); what was in force before goes on until then"},
		{"the gossip keys are not followed", "correct the Secret starling-gossip or the file of --gossip-key-file"},
		{"forbidden by RBAC", "apply manifests/base/rbac.yaml again, and see that the pod uses the ServiceAccount starling"},
		{"unreachable", "see whether the API server runs and this node reaches it; announcing goes on meanwhile"},
		{"our credentials", "see that the pod uses the ServiceAccount starling; restart it if its token was revoked"},
		{"waiting for the Services", "see whether the API server runs and this node reaches it"},
		{"waiting for the mesh", "wait some seconds; if it lasts, open the gossip port (7927, tcp and udp) between the nodes"},
		{calling, "wait a second"},
		{proxyUnasked, "wait a second"},
		{"as others have one", "see why kube-proxy does not run on this node; after a minute it is no longer waited for, and with --kube-proxy-health none never"},
		{"kube-proxy of this node", "see the log of kube-proxy on this node"},
	}
}

// withRoom is what an event says of a lease: of a pool that is used up also what helps. All else says so itself, by the rule that refuses.
func withRoom(message string) string {
	if strings.Contains(message, " has no free IPv") {
		return message + ": " + moreRoom
	}
	return message
}

// withAdvice is a problem and, unless its words do, what to do about it, for those who read nothing else.
func withAdvice(problem string) string {
	if todo := Advice(problem); todo != "" {
		return problem + ": " + todo
	}
	return problem
}

// Advice is what to do about a problem, "" if its words say it themselves.
func Advice(problem string) string {
	for _, r := range remedies() {
		if strings.Contains(problem, r[0]) {
			return r[1]
		}
	}
	return ""
}
