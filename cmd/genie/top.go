package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/genie-sdk/go/transport/wire"
)

type topOptions struct {
	interval time.Duration
	once     bool
	json     bool
	tls      tlsFlags

	directory directoryFlags
}

func (a *app) topCommand() *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top URL",
		Short: "Watch a worker, or all of a fleet: sessions, rates, memory, bytes by cause",
		Long: `top shows the activity of a worker, from its metrics, until q or Ctrl-C. URL is
the worker's --metrics address, https:// with --metrics-tls. Rates are averages
over one interval. On a terminal, top waits for a worker that becomes unreachable.

With the URL of a fleet's directory (nats://host:port, tls://host:port or
file:///folder) it shows all of its workers, one a line, from what they say there.`,
		Example: "  genie top http://127.0.0.1:9090\n  genie top http://127.0.0.1:9090 --once --json\n" +
			"  genie top https://worker.example:9090 --tls-ca ca.pem\n  genie top nats://127.0.0.1:4222",
		Args: oneArg("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.interval < 10*time.Millisecond {
				return usagef("--interval is %v, not at least 10ms", o.interval)
			}
			if directoryURL(args[0]) {
				return a.topFleet(cmd.Context(), args[0], o)
			}
			at, err := metricsURL(args[0], o.tls.given())
			if err != nil {
				return err
			}
			client, err := o.tls.httpClient(at)
			if err != nil {
				return err
			}
			return a.top(cmd.Context(), &scraper{at.String(), client}, o)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.interval, "interval", 2*time.Second, "time between two updates")
	f.BoolVar(&o.once, "once", false, "show one table, for one interval, and exit")
	f.BoolVar(&o.json, "json", false, "print one JSON object per interval instead of a table")
	o.tls.flags(f, "URL")
	o.directory.flags(f)
	return cmd
}

// metricsURL is the URL of the metrics of the worker at text. Without a scheme
// it is HTTP, encrypted or not.
func metricsURL(text string, encrypted bool) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		scheme := "http://"
		if encrypted {
			scheme = "https://"
		}
		text = scheme + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usagef("%q is not http://host:port or https://host:port", text)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/metrics"
	}
	return u, nil
}

// viewer is the output of top.
type viewer interface {
	show(r *topReport) error
	// lost reports a failed update; a returned error ends top.
	lost(err error) error
	// events are signals for the viewer to handle; nil for none.
	events() <-chan os.Signal
	handle(s os.Signal) error
	// left is closed when the user quits; nil for never.
	left() <-chan struct{}
	close()
}

// viewer is a terminal, drawn repeatedly, or a stream.
func (a *app) viewer(at string, o topOptions) viewer {
	at = strings.TrimSuffix(at, "/metrics")
	f, ok := a.stdout.(*os.File)
	switch {
	case o.json:
		return stream{func(r *topReport) error { return a.printJSON(r) }}
	case ok && !o.once && term.IsTerminal(int(f.Fd())):
		in, _ := a.stdin.(*os.File)
		return newScreen(in, f, at)
	}
	return stream{func(r *topReport) error { return a.printf("%s\n", r.table(at)) }}
}

// stream prints one report after another and ends with the first failed update.
type stream struct {
	print func(r *topReport) error
}

func (s stream) show(r *topReport) error { return s.print(r) }

func (stream) lost(err error) error { return err }

func (stream) events() <-chan os.Signal { return nil }

func (stream) handle(os.Signal) error { return nil }

func (stream) left() <-chan struct{} { return nil }

func (stream) close() {}

// top reads the metrics every interval and shows the changes. The end of ctx is
// not an error: it is how a user leaves.
func (a *app) top(ctx context.Context, from *scraper, o topOptions) error {
	before, err := from.scrape(ctx)
	if err != nil {
		return leave(ctx, err)
	}
	v := a.viewer(from.at, o)
	defer v.close()
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-v.left():
			return nil
		case s := <-v.events():
			if err := v.handle(s); err != nil {
				return err
			}
			continue
		case <-tick.C:
		}
		now, err := from.scrape(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if err = v.lost(err); err != nil {
				return err
			}
			continue
		}
		if err := v.show(newTopReport(before, now)); err != nil || o.once {
			return err
		}
		before = now
	}
}

// leave drops an error caused by the end of ctx.
func leave(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// scrapeTime is how long a worker may take to send its metrics.
const scrapeTime = 10 * time.Second

// maxMetrics bounds the metrics of a worker, in bytes.
const maxMetrics = 16 << 20

// scraped is a worker's metrics at one moment: values by name and labels, in
// the form of key. Histograms have _count and _sum.
type scraped struct {
	at     time.Time
	values map[string]float64
	labels map[string][]map[string]string // by name
}

func key(name string, labels map[string]string, names ...string) string {
	var b strings.Builder
	b.WriteString(name)
	for _, n := range names {
		fmt.Fprintf(&b, "{%s=%q}", n, labels[n])
	}
	return b.String()
}

// scraper reads the metrics of a worker.
type scraper struct {
	at     string
	client *http.Client
}

func (from *scraper) scrape(ctx context.Context) (*scraped, error) {
	at := from.at
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	b, err := get(ctx, from.client, at, maxMetrics)
	if err != nil {
		return nil, err
	}
	s := &scraped{at: time.Now(), values: map[string]float64{}, labels: map[string][]map[string]string{}}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			names := make([]string, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = wire.Printable(l.GetValue()) // text from the worker
				names = append(names, l.GetName())
			}
			slices.Sort(names)
			s.labels[name] = append(s.labels[name], labels)
			if h := m.GetHistogram(); h != nil {
				s.values[key(name+"_count", labels, names...)] = float64(h.GetSampleCount())
				s.values[key(name+"_sum", labels, names...)] = h.GetSampleSum()
				continue
			}
			s.values[key(name, labels, names...)] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	if _, ok := s.values[key("genie_worker_ready", nil)]; !ok {
		return nil, fmt.Errorf("%s: there are no metrics of a genie worker", at)
	}
	return s, nil
}
