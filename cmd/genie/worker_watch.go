package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/admin"
	"github.com/genie-sdk/go/internal/worker/metrics"
)

// watchOptions are the flags by which a worker is watched.
type watchOptions struct {
	metrics   string
	pprof     bool
	logFormat string
	logLevel  slog.Level
	verbose   bool
	otlp      string
}

func (o *watchOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.metrics, "metrics", "", "address of /healthz, /readyz and /metrics over HTTP, [host]:port; without a host the loopback interface; none when empty")
	f.BoolVar(&o.pprof, "pprof", false, "serve profiles at /debug/pprof/ of --metrics, to this machine only")
	f.StringVar(&o.logFormat, "log-format", "text", "form of the log on standard error: text or json")
	f.TextVar(&o.logLevel, "log-level", slog.LevelWarn, "least level that is logged: debug, info, warn or error")
	f.BoolVar(&o.verbose, "verbose", false, "the same as --log-level debug")
	f.StringVar(&o.otlp, "otlp-endpoint", "", "send traces there by OTLP over gRPC, http://host:port or, with TLS, https://host:port")
}

func (o *watchOptions) check() error {
	if o.logFormat != "text" && o.logFormat != "json" {
		return usagef("--log-format is %q, not text or json", o.logFormat)
	}
	if o.pprof && o.metrics == "" {
		return usagef("--pprof is given without --metrics, which it is served on")
	}
	if o.metrics != "" {
		if _, _, err := net.SplitHostPort(o.metrics); err != nil {
			return usagef("--metrics %q is not host:port or :port", o.metrics)
		}
	}
	return checkOTLP(o.otlp)
}

// logger writes to standard error.
func (o *watchOptions) logger(a *app) *slog.Logger {
	opts := &slog.HandlerOptions{Level: o.logLevel}
	if o.verbose {
		opts.Level = slog.LevelDebug
	}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(a.stderr, opts))
}

var errStarting = errors.New("starting")

var errShuttingDown = errors.New("shutting down")

// watch is the HTTP side of a worker. It is there before the worker is, so that
// a probe can tell one that reads its models from one that is gone.
type watch struct {
	url      string // empty when there is none
	registry *prometheus.Registry
	server   atomic.Pointer[worker.Server]
	cancel   context.CancelFunc
	done     chan error
}

// startWatch listens where --metrics says and serves until stop.
func (o *watchOptions) startWatch(ctx context.Context, log *slog.Logger) (*watch, error) {
	w := &watch{registry: prometheus.NewRegistry(), done: make(chan error, 1), cancel: func() {}}
	if o.metrics == "" {
		w.done <- nil
		return w, nil
	}
	w.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	host, port, err := net.SplitHostPort(o.metrics)
	if err != nil {
		return nil, usagef("--metrics %q is not host:port or :port", o.metrics)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("--metrics %s: %w", o.metrics, err)
	}
	w.url = "http://" + l.Addr().String()
	// It outlives ctx: the drain is to be watched too.
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s := admin.New(admin.Options{Ready: w.ready, Gatherer: w.registry, Pprof: o.pprof, Log: log})
	go func() { w.done <- admin.Serve(ctx, s, l) }()
	return w, nil
}

func (w *watch) ready() error {
	s := w.server.Load()
	switch {
	case s == nil:
		return errStarting
	case !s.Ready():
		return errShuttingDown
	}
	return nil
}

// serves says that the worker is there.
func (w *watch) serves(s *worker.Server) error {
	if err := w.registry.Register(metrics.New(s, currentVersion().Version)); err != nil {
		return err
	}
	w.server.Store(s)
	return nil
}

func (w *watch) stop() error {
	w.cancel()
	return <-w.done
}

// announce prints where the worker is watched.
func (w *watch) announce(a *app, asJSON bool) error {
	if w.url == "" {
		return nil
	}
	if u, err := url.Parse(w.url); err == nil && !net.ParseIP(u.Hostname()).IsLoopback() {
		_, _ = fmt.Fprintf(a.stderr, "genie: warning: %s is reachable from other machines, and shows them how the worker is used\n", w.url)
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(map[string]any{"metrics": w.url + "/metrics", "pid": os.Getpid()})
	}
	return a.printf("metrics %s/metrics\n", w.url)
}
