package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median and late are the 50th and the 99th percentile, by the nearest rank.
func median(d []time.Duration) time.Duration { return percentile(d, 50) }
func late(d []time.Duration) time.Duration   { return percentile(d, 99) }

func percentile(d []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// ratio compares medians.
func ratio(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }

// memory says how much of it the speakers hold: resident in all, and of that what is no file's.
func memory(p *step.Printer, c *cluster.Cluster, services int) error {
	p.Say("\n  memory of a speaker with %d Services (resident, of that anonymous)", services)
	for _, n := range c.Nodes {
		pids, err := n.Pids("starling")
		if err != nil {
			return err
		}
		for _, pid := range pids {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				return err
			}
			p.Say("    %s                                  %8.1f MB %8.1f MB", n.Name, field(string(b), "VmRSS:"), field(string(b), "RssAnon:"))
		}
	}
	return nil
}

// field reads kilobytes of /proc/PID/status and returns megabytes.
func field(status, name string) float64 {
	_, rest, _ := strings.Cut(status, name)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(words[0], 64)
	return kb * 1024 / 1e6
}

// writes of the speakers to Services.
type writes struct{ done, refused int }

// writesSince reads them in the API server's record.
func writesSince(c *cluster.Cluster, since time.Time) (w writes, err error) {
	file, err := os.Open(c.AuditLog())
	if err != nil {
		return w, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"username":"system:serviceaccount:`+starling.Namespace) {
			w.add(lines.Bytes(), since)
		}
	}
	return w, lines.Err()
}

func (w *writes) add(line []byte, since time.Time) {
	var e struct {
		RequestReceivedTimestamp time.Time
		ObjectRef                struct{ Namespace string }
		ResponseStatus           struct{ Code int }
	}
	if json.Unmarshal(line, &e) != nil || e.RequestReceivedTimestamp.Before(since) || e.ObjectRef.Namespace != namespace {
		return // The last line may be half written; it is of no Service that was waited for.
	}
	switch code := e.ResponseStatus.Code; {
	case code == 0: // It was only received; another line says how it ended.
	case code < 300:
		w.done++
	default:
		w.refused++
	}
}

// events counts them by reason.
type events struct {
	total  int
	reason map[string]int
}

func (e events) String() string {
	var words []string
	for _, r := range slices.Sorted(maps.Keys(e.reason)) {
		words = append(words, fmt.Sprintf("%s %d", r, e.reason[r]))
	}
	return strings.Join(words, ", ")
}

// eventsOf counts the Events of the Services whose names begin with the prefix, once it does
// not grow any more: events come a little later, and slower.
func eventsOf(ctx context.Context, c *cluster.Cluster, prefix string) (e events, err error) {
	for last := -1; e.total != last; {
		last = e.total
		select {
		case <-ctx.Done():
			return e, ctx.Err()
		case <-time.After(3 * time.Second):
		}
		list, err := c.Kube.CoreV1().Events(namespace).List(ctx, meta.ListOptions{})
		if err != nil {
			return e, err
		}
		e = events{reason: map[string]int{}}
		for _, o := range list.Items {
			if strings.HasPrefix(o.InvolvedObject.Name, prefix+"-") {
				e.total++
				e.reason[o.Reason]++
			}
		}
	}
	return e, nil
}

// known waits until the speaker of the node shows that many addresses and returns when it did.
func known(ctx context.Context, c *cluster.Cluster, n *cluster.Node, count int) (time.Time, error) {
	err := cluster.Until(ctx, time.Minute, "addresses known to "+n.Name, func(ctx context.Context) error {
		text, err := starling.MetricsOf(ctx, c, n) // small, where the status of 10,000 addresses is megabytes
		if err != nil {
			return err
		}
		got, err := starling.Total(text, "starling_addresses")
		if err == nil && got != count {
			err = fmt.Errorf("knows %d", got)
		}
		return err
	})
	return time.Now(), err
}

// successor waits for another process of the speaker and returns when there was certainly none yet.
func successor(ctx context.Context, n *cluster.Node, old []int) (before time.Time, err error) {
	asked := time.Now()
	return before, cluster.Until(ctx, time.Minute, "new speaker on "+n.Name, func(context.Context) error {
		before, asked = asked, time.Now()
		pids, err := n.Pids("starling")
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(pids, func(pid int) bool { return !slices.Contains(old, pid) }) {
			return errors.New("still none")
		}
		return nil
	})
}
