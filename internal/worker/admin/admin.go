// Package admin is the HTTP server of a worker for its operators: liveness,
// readiness, metrics and, on request, profiles. It serves no tensors.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/genie-sdk/go/internal/connlimit"
)

// Options configure [New].
type Options struct {
	// Ready is nil when the worker takes requests, and otherwise says why not.
	Ready func() error
	// Alive is nil unless only a new process helps; nil for always.
	Alive func() error
	// Gatherer provides the metrics.
	Gatherer prometheus.Gatherer
	// Pprof serves /debug/pprof/, only to peers on this machine that use a name
	// of this machine or Host, and the port of Listen.
	Pprof bool
	// Listen is the listening address. If only this machine can reach it,
	// requests for a host other than this machine and Host are refused.
	Listen net.Addr
	// Host is the host of the address as it was configured; empty for none.
	Host string
	// Log reports failed scrapes. Nil discards.
	Log *slog.Logger
}

// Time limits. A profile takes as long as its request says; [profileTime]
// bounds it.
const (
	headerTime  = 5 * time.Second
	requestTime = 10 * time.Second
	profileTime = 2 * time.Minute
	idleTime    = 2 * time.Minute
	scrapes     = 4  // concurrent
	maxConns    = 64 // over all clients
)

// New makes a server; the caller calls Serve and Shutdown.
func New(o Options) *http.Server {
	if o.Alive == nil {
		o.Alive = func() error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	mux, at := http.NewServeMux(), newDoors(o.Listen, o.Host)
	mux.Handle("GET /healthz", within(requestTime, answer(o.Alive)))
	mux.Handle("GET /readyz", within(requestTime, answer(o.Ready)))
	mux.Handle("GET /metrics", within(requestTime, promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn), MaxRequestsInFlight: scrapes, Timeout: requestTime,
	})))
	if o.Pprof {
		profiles := http.NewServeMux()
		profiles.HandleFunc("/debug/pprof/", pprof.Index)
		profiles.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		profiles.HandleFunc("/debug/pprof/profile", pprof.Profile)
		profiles.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		profiles.HandleFunc("/debug/pprof/trace", pprof.Trace)
		mux.Handle("/debug/pprof/", within(profileTime, local(at.exact(profiles))))
	}
	return &http.Server{
		Handler: at.known(mux), ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: profileTime + requestTime,
		IdleTimeout: idleTime, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
}

// within bounds the time to write an answer.
func within(d time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
		h.ServeHTTP(w, r)
	})
}

// answer is 200 and "ok", or 503 and the reason.
func answer(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, err)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
}

// local refuses peers on other machines.
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "profiles are for this machine only", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Protocol is the protocol negotiated in TLS (ALPN).
const Protocol = "http/1.1"

// Serve serves until ctx ends, which is not an error, and closes l. Connections
// are encrypted unless config is nil. When there are too many, the oldest is
// closed.
func Serve(ctx context.Context, s *http.Server, l net.Listener, config *tls.Config) error {
	l = connlimit.New(connlimit.Options{Max: maxConns, Share: maxConns, Ended: ctx.Done()}).Listener(l, false, func(string, error) {})
	if config != nil {
		l = tls.NewListener(l, config)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
