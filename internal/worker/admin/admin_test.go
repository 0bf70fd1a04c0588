package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	anywhere = &net.TCPAddr{IP: net.IPv4zero, Port: 9090}
	here     = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9090}
)

// TestHosts asks by other names than those of this machine, like a page whose
// name resolves to it.
func TestHosts(t *testing.T) {
	const refused = http.StatusMisdirectedRequest
	for _, tt := range []struct {
		host              string
		metrics, profiles int // of a server that listens for this machine
	}{
		{"localhost:9090", 200, 200},
		{"LocalHost.:9090", 200, 200},
		{"127.0.0.1:9090", 200, 200},
		{"127.9.9.9:9090", 200, 200},
		{"[::1]:9090", 200, 200},
		{"[::ffff:127.0.0.1]:9090", 200, 200},
		{"Worker.Internal:9090", 200, 200}, // as configured
		{"localhost:8080", 200, refused},   // a tunnel, or another server's page
		{"localhost", 200, refused},        // port 80
		{"127.0.0.1", 200, refused},
		{"evil.example:9090", refused, refused},
		{"evil.example", refused, refused},
		{"localhost.evil.example:9090", refused, refused},
		{"127.0.0.1.evil.example:9090", refused, refused},
		{"127.0.0.1@evil.example:9090", refused, refused},
		{"2130706433:9090", refused, refused},
		{"0.0.0.0:9090", refused, refused},
		{"[::]:9090", refused, refused},
		{"192.0.2.1:9090", refused, refused},
		{"", refused, refused},
		{":9090", refused, refused},
	} {
		for name, listen := range map[string]net.Addr{"here": here, "anywhere": anywhere} {
			s := admin.New(admin.Options{
				Ready: func() error { return nil }, Gatherer: prometheus.NewRegistry(), Pprof: true, Listen: listen, Host: "worker.internal",
			})
			for path, want := range map[string]int{
				"/metrics": tt.metrics, "/healthz": tt.metrics, "/readyz": tt.metrics,
				"/debug/pprof/": tt.profiles, "/debug/pprof/cmdline": tt.profiles, "/debug/pprof/heap": tt.profiles,
			} {
				if listen == anywhere && path[1] != 'd' {
					want = 200 // any client reaches it by any name
				}
				q := httptest.NewRequest(http.MethodGet, path, http.NoBody)
				q.RemoteAddr, q.Host = "127.0.0.1:5", tt.host
				w := httptest.NewRecorder()
				s.Handler.ServeHTTP(w, q)
				require.Equal(t, want, w.Code, "%s of %q, listening %s", path, tt.host, name)
			}
		}
	}
	for _, tt := range []struct {
		host string
		port int
		code int
	}{{"0.0.0.0", 9090, refused}, {"", 9090, refused}, {"", 80, 200}} {
		s := admin.New(admin.Options{Gatherer: prometheus.NewRegistry(), Pprof: true, Host: tt.host, Listen: &net.TCPAddr{IP: net.IPv4zero, Port: tt.port}})
		q := httptest.NewRequest(http.MethodGet, "/debug/pprof/", http.NoBody)
		q.RemoteAddr, q.Host = "127.0.0.1:5", "0.0.0.0:9090"
		if tt.port == 80 {
			q.Host = "localhost"
		}
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, q)
		require.Equal(t, tt.code, w.Code, "%+v", tt)
	}
}

// TestOtherSites asks for profiles as a browser does for the pages of other sites.
func TestOtherSites(t *testing.T) {
	s := admin.New(admin.Options{Gatherer: prometheus.NewRegistry(), Pprof: true, Listen: here})
	for site, code := range map[string]int{"": 200, "none": 200, "same-origin": 200, "same-site": 403, "cross-site": 403} {
		q := httptest.NewRequest(http.MethodGet, "/debug/pprof/", http.NoBody)
		q.RemoteAddr, q.Host = "127.0.0.1:5", "localhost:9090"
		q.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, q)
		require.Equal(t, code, w.Code, site)
	}
}

func TestPaths(t *testing.T) {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total", Help: "Things."})
	r.MustRegister(c)
	c.Inc()
	busy := errors.New("shutting down")
	for _, tt := range []struct {
		name, method, path, from string
		ready, alive             error
		pprof                    bool
		code                     int
		says                     string
	}{
		{name: "alive", path: "/healthz", ready: busy, code: 200, says: "ok\n"},
		{name: "not alive", path: "/healthz", alive: errors.New("the device is gone"), code: 503, says: "the device is gone\n"},
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
			s := admin.New(admin.Options{Ready: func() error { return tt.ready }, Alive: func() error { return tt.alive }, Gatherer: r, Pprof: tt.pprof, Listen: anywhere})
			if tt.method == "" {
				tt.method = http.MethodGet
			}
			if tt.from == "" {
				tt.from = "127.0.0.1:5"
			}
			q := httptest.NewRequest(tt.method, tt.path, http.NoBody)
			q.RemoteAddr, q.Host = tt.from, "localhost:9090"
			w := httptest.NewRecorder()
			s.Handler.ServeHTTP(w, q)
			require.Equal(t, tt.code, w.Code)
			require.Contains(t, w.Body.String(), tt.says)
		})
	}
}

// TestManyPeers has more peers connect than the limit, which say nothing and
// return: others are served.
func TestManyPeers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := admin.New(admin.Options{Ready: func() error { return nil }, Gatherer: prometheus.NewRegistry(), Listen: l.Addr()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- admin.Serve(ctx, s, l, nil) }()
	sent := make(chan struct{}, 1<<16)
	var peers sync.WaitGroup
	for range admin.MaxConns + 16 {
		peers.Go(func() {
			for ctx.Err() == nil {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					return
				}
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				_, _ = c.Read(make([]byte, 1)) // until it is sent away, long before the time for a header
				stop()
				_ = c.Close()
				select {
				case sent <- struct{}{}:
				default:
				}
			}
		})
	}
	<-sent
	transport := &http.Transport{DisableKeepAlives: true}
	for range 3 {
		r, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Get("http://" + l.Addr().String() + "/healthz")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.NoError(t, r.Body.Close())
	}
	cancel()
	require.NoError(t, <-done)
	peers.Wait()
}

// TestTimes holds the times of connections and requests, and the deadline that a
// path sets for its answer.
func TestTimes(t *testing.T) {
	s := admin.New(admin.Options{Ready: func() error { return nil }, Gatherer: prometheus.NewRegistry(), Pprof: true, Listen: here})
	require.Equal(t, admin.HeaderTime, s.ReadHeaderTimeout)
	require.Equal(t, admin.RequestTime, s.ReadTimeout)
	require.Equal(t, admin.IdleTime, s.IdleTimeout)
	require.Equal(t, admin.ProfileTime+admin.RequestTime, s.WriteTimeout)
	for path, limit := range map[string]time.Duration{
		"/healthz": admin.RequestTime, "/readyz": admin.RequestTime, "/metrics": admin.RequestTime, "/debug/pprof/": admin.ProfileTime,
	} {
		q := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		q.RemoteAddr, q.Host = "127.0.0.1:5", "localhost:9090"
		w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
		s.Handler.ServeHTTP(w, q)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.InDelta(t, limit.Seconds(), time.Until(w.until).Seconds(), 5, path)
	}
}

// deadlined notes the deadline of an answer.
type deadlined struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.until = t
	return nil
}

// TestScrapes lets as many scrapes wait as may, and one more.
func TestScrapes(t *testing.T) {
	began, hold := make(chan struct{}, admin.Scrapes+1), make(chan struct{})
	r := prometheus.NewRegistry()
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "slow", Help: "Slow."}, func() float64 {
		began <- struct{}{}
		<-hold
		return 1
	}))
	s := admin.New(admin.Options{Gatherer: r})
	scrape := func() int {
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		return w.Code
	}
	codes := make(chan int, admin.Scrapes)
	for range admin.Scrapes {
		go func() { codes <- scrape() }()
		<-began
	}
	require.Equal(t, http.StatusServiceUnavailable, scrape())
	close(hold)
	for range admin.Scrapes {
		require.Equal(t, http.StatusOK, <-codes)
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
