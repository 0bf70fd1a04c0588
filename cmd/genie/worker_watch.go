package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/admin"
	"github.com/genie-sdk/go/internal/worker/metrics"
)

// watchOptions are the flags for monitoring a worker.
type watchOptions struct {
	metrics   string
	encrypted bool
	pprof     bool
	logFormat string
	logLevel  slog.Level
	verbose   bool
	otlp      string
}

func (o *watchOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.metrics, "metrics", "", "HTTP address of /healthz, /readyz and /metrics, [host]:port; the default host is the loopback interface; empty means none")
	f.BoolVar(&o.encrypted, "metrics-tls", false, "serve --metrics over TLS, with --tls-cert and --tls-key; with --tls-client-ca clients must present a certificate")
	f.BoolVar(&o.pprof, "pprof", false, "serve profiles at /debug/pprof/ of the --metrics address, to this machine only")
	f.StringVar(&o.logFormat, "log-format", "text", "log format on standard error: text or json")
	f.TextVar(&o.logLevel, "log-level", slog.LevelWarn, "minimum log level: debug, info, warn or error")
	f.BoolVar(&o.verbose, "verbose", false, "the same as --log-level debug")
	f.StringVar(&o.otlp, "otlp-endpoint", "", "send traces to this OTLP gRPC endpoint: http://host:port or, with TLS, https://host:port")
}

func (o *watchOptions) check() error {
	if o.logFormat != "text" && o.logFormat != "json" {
		return usagef("--log-format is %q, not text or json", o.logFormat)
	}
	if o.pprof && o.metrics == "" {
		return usagef("--pprof is given without --metrics, which it is served on")
	}
	if o.encrypted && o.metrics == "" {
		return usagef("--metrics-tls is given without --metrics")
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
		return slog.New(slog.NewJSONHandler(plainJSON{a.stderr}, opts))
	}
	return slog.New(slog.NewTextHandler(a.stderr, opts))
}

var errStarting = errors.New("starting")

var errShuttingDown = errors.New("shutting down")

// watch is the HTTP server of a worker. It starts before the worker, so that a
// probe can distinguish a worker that reads its models from one that is gone.
type watch struct {
	url      string // empty for none
	warning  string // about an exposed address
	registry *prometheus.Registry
	server   atomic.Pointer[worker.Server]
	cancel   context.CancelFunc
	done     chan error
}

// startWatch listens on the --metrics address and serves until stop. config is
// the worker's TLS, nil for none.
func (o *watchOptions) startWatch(ctx context.Context, log *slog.Logger, config *tls.Config) (*watch, error) {
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
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("--metrics %s: %w", o.metrics, err)
	}
	w.url = "http://" + l.Addr().String()
	if !o.encrypted {
		config = nil
	} else {
		w.url = "https://" + l.Addr().String()
		config = worker.ServerTLS(config, admin.Protocol)
	}
	w.warning = metricsExposure(w.url, l.Addr(), config)
	// It outlives ctx: the drain is to be monitored too.
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s := admin.New(admin.Options{Ready: w.ready, Alive: w.alive, Gatherer: w.registry, Pprof: o.pprof, Listen: l.Addr(), Host: host, Log: log})
	go func() { w.done <- admin.Serve(ctx, s, l, config) }()
	return w, nil
}

func (w *watch) ready() error {
	s := w.server.Load()
	switch {
	case s == nil:
		return errStarting
	case s.Ready():
		return nil
	}
	if err := s.DeviceReady(); err != nil {
		return err
	}
	return errShuttingDown
}

func (w *watch) alive() error {
	if s := w.server.Load(); s != nil {
		return s.Alive()
	}
	return nil
}

// serves registers the worker.
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

// metricsExposure is the warning about a metrics address that other machines
// can reach. The address is not refused, unlike one of the worker itself:
// probes and scrapers come over the network, mostly without certificates. They
// see how the worker is used, but no tensor and no name.
func metricsExposure(url string, a net.Addr, config *tls.Config) string {
	switch {
	case !exposed(a):
		return ""
	case config == nil:
		return url + " is reachable from other machines, and shows them how the worker is used: there is no encryption and no authentication (--metrics-tls with --tls-client-ca)"
	case config.ClientAuth != tls.RequireAndVerifyClientCert:
		return url + " is reachable from other machines, and shows them how the worker is used: there is no authentication (--tls-client-ca)"
	}
	return ""
}

// announce prints the metrics address.
func (w *watch) announce(a *app, asJSON bool) error {
	if w.url == "" {
		return nil
	}
	if w.warning != "" {
		_, _ = fmt.Fprintln(a.stderr, "genie: warning:", w.warning)
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(map[string]any{"metrics": w.url + "/metrics", "pid": os.Getpid()})
	}
	return a.printf("metrics %s/metrics\n", w.url)
}
