// Package alerts evaluates the alerts of a PrometheusRule with the engine of Prometheus, without a
// Prometheus.
package alerts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"sigs.k8s.io/yaml"
)

// PromQL parses expressions as Prometheus does at its defaults.
func PromQL() parser.Parser { return parser.NewParser(parser.Options{}) }

// Read takes the groups of a PrometheusRule, which are those of a rule file, as Prometheus reads
// them.
func Read(object []byte) ([]rulefmt.RuleGroup, error) {
	var rule struct{ Spec map[string]any }
	if err := yaml.Unmarshal(object, &rule); err != nil {
		return nil, fmt.Errorf("read PrometheusRule: %w", err)
	}
	text, err := yaml.Marshal(rule.Spec)
	if err != nil {
		return nil, fmt.Errorf("read PrometheusRule: %w", err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, PromQL(), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, fmt.Errorf("read PrometheusRule: %w", errors.Join(errs...))
	}
	return groups.Groups, nil
}

// New makes the rule ready to be evaluated.
func New(r rulefmt.Rule) (*rules.AlertingRule, error) {
	expr, err := PromQL().ParseExpr(r.Expr)
	if err != nil {
		return nil, fmt.Errorf("alert %s: %w", r.Alert, err)
	}
	return rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), 0, labels.FromMap(r.Labels), labels.FromMap(r.Annotations),
		labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler)), nil
}

// Firing evaluates a rule at a moment, after which its alerts of the state firing are returned,
// sorted by their summaries.
func Firing(ctx context.Context, r *rules.AlertingRule, at time.Time, query rules.QueryFunc) ([]*rules.Alert, error) {
	if _, err := r.Eval(ctx, 0, at, query, &url.URL{}, 0); err != nil {
		return nil, fmt.Errorf("alert %s: %w", r.Name(), err)
	}
	all := slices.DeleteFunc(r.ActiveAlerts(), func(a *rules.Alert) bool { return a.State != rules.StateFiring })
	slices.SortFunc(all, func(a, b *rules.Alert) int { return labels.Compare(a.Annotations, b.Annotations) })
	return all, nil
}

// Scrape is what a target answered, and the labels that a scrape adds.
type Scrape struct {
	Labels  map[string]string
	Metrics []byte // in the text format
}

// Query answers queries from scrapes of that moment, kept in a folder until the closer is called.
func Query(ctx context.Context, folder string, at time.Time, scrapes ...Scrape) (rules.QueryFunc, io.Closer, error) {
	db, err := tsdb.Open(folder, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("keep scrapes in %q: %w", folder, err)
	}
	for _, s := range scrapes {
		app := db.Appender(ctx)
		if err := errors.Join(s.append(app, at), app.Commit()); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("scrape of %v: %w", s.Labels, err), db.Close())
		}
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: PromQL(),
	})
	return rules.EngineQueryFunc(engine, db), db, nil
}

// append writes every series of a scrape.
func (s Scrape) append(app storage.Appender, at time.Time) error {
	decoder := expfmt.SampleDecoder{
		Dec:  expfmt.NewDecoder(bytes.NewReader(s.Metrics), expfmt.NewFormat(expfmt.TypeTextPlain)),
		Opts: &expfmt.DecodeOptions{Timestamp: model.TimeFromUnixNano(at.UnixNano())},
	}
	for {
		var samples model.Vector
		if err := decoder.Decode(&samples); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for _, x := range samples {
			b := labels.NewBuilder(labels.FromMap(s.Labels))
			for name, value := range x.Metric {
				b.Set(string(name), string(value))
			}
			if _, err := app.Append(0, b.Labels(), int64(x.Timestamp), float64(x.Value)); err != nil {
				return err
			}
		}
	}
}
