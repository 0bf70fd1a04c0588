package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPaths(t *testing.T) {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total", Help: "Things."})
	r.MustRegister(c)
	c.Inc()
	busy := errors.New("shutting down")
	for _, tt := range []struct {
		name, method, path, from string
		ready                    error
		pprof                    bool
		code                     int
		says                     string
	}{
		{name: "alive", path: "/healthz", ready: busy, code: 200, says: "ok\n"},
		{name: "ready", path: "/readyz", code: 200, says: "ok\n"},
		{name: "not ready", path: "/readyz", ready: busy, code: 503, says: "shutting down\n"},
		{name: "metrics", path: "/metrics", code: 200, says: "things_total 1\n"},
		{name: "root", path: "/", code: 404},
		{name: "written to", method: http.MethodPost, path: "/metrics", code: 405},
		{name: "no profiles", path: "/debug/pprof/", code: 404},
		{name: "profiles", path: "/debug/pprof/", pprof: true, code: 200, says: "goroutine"},
		{name: "command line", path: "/debug/pprof/cmdline", pprof: true, code: 200},
		{name: "a profile", path: "/debug/pprof/goroutine?debug=1", pprof: true, code: 200, says: "goroutine profile"},
		{name: "profiles from IPv6 loopback", path: "/debug/pprof/", from: "[::1]:5", pprof: true, code: 200},
		{name: "profiles from elsewhere", path: "/debug/pprof/", from: "192.0.2.1:5", pprof: true, code: 403},
		{name: "metrics from elsewhere", path: "/metrics", from: "192.0.2.1:5", code: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := admin.New(admin.Options{Ready: func() error { return tt.ready }, Gatherer: r, Pprof: tt.pprof})
			if tt.method == "" {
				tt.method = http.MethodGet
			}
			if tt.from == "" {
				tt.from = "127.0.0.1:5"
			}
			q := httptest.NewRequest(tt.method, tt.path, http.NoBody)
			q.RemoteAddr = tt.from
			w := httptest.NewRecorder()
			s.Handler.ServeHTTP(w, q)
			require.Equal(t, tt.code, w.Code)
			require.Contains(t, w.Body.String(), tt.says)
		})
	}
}

// TestSlowPeer connects and says half a request: the connection is closed after
// the time for a header, and others are served meanwhile.
func TestSlowPeer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := admin.New(admin.Options{Ready: func() error { return nil }, Gatherer: prometheus.NewRegistry()})
	require.Positive(t, s.ReadHeaderTimeout)
	s.ReadHeaderTimeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- admin.Serve(ctx, s, l, nil) }()
	slow, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer slow.Close()
	_, err = io.WriteString(slow, "GET /healthz HT")
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String() + "/healthz")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.NoError(t, r.Body.Close())
	_, err = io.ReadAll(slow)
	require.NoError(t, err, "the server ends the connection")
	cancel()
	require.NoError(t, <-done)
}
