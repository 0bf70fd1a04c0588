package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watched is a running worker with an address for its metrics.
type watched struct {
	*child
	metrics string // http://host:port, or https://
}

func startWatched(t *testing.T, more ...string) *watched {
	t.Helper()
	w := &watched{child: startChild(t, both(), append([]string{"--metrics", ":0"}, more...)...)}
	text, err := w.lines.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^metrics https?://127\.0\.0\.1:[1-9]\d*/metrics\n$`, text, "without a host it is the loopback interface")
	w.metrics = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "metrics "), "/metrics")
	return w
}

// get asks the worker over HTTP; code 0 means no answer.
func (w *watched) get(t *testing.T, path string) (code int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.metrics+path, http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(b)
}

func TestWorkerIsWatched(t *testing.T) {
	w := startWatched(t, "--pprof")
	for _, url := range w.urls {
		r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "3", "--executor", url)
		require.Zero(t, r.code, r.stderr)
	}
	for path, says := range map[string]string{
		"/healthz": "ok\n", "/readyz": "ok\n", "/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/metrics": "\ngenie_worker_sessions_total 2\n",
	} {
		code, body := w.get(t, path)
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, body, says, path)
	}
	_, body := w.get(t, "/metrics")
	for _, name := range []string{"go_goroutines", "process_open_fds", "genie_worker_tokens_total"} {
		require.Contains(t, body, "\n"+name+" ", name)
	}
	for _, url := range append([]string{w.metrics, w.metrics + "/healthz"}, w.urls...) {
		r := cli(t, "health", url)
		require.Zero(t, r.code, "%s: %s", url, r.stderr)
		require.Equal(t, "ok\n", r.stdout)
	}
	code, _ := w.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
	require.Empty(t, w.stderr.String())
	for _, url := range append([]string{w.metrics}, w.urls...) {
		require.Equal(t, 1, cli(t, "health", url, "--timeout", "2s").code, url)
	}
}

func TestPprofIsOff(t *testing.T) {
	w := startWatched(t)
	code, _ := w.get(t, "/debug/pprof/")
	require.Equal(t, http.StatusNotFound, code)
}

func TestWatchFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"pprof without metrics", []string{"worker", "--pprof"}, 2, "--metrics"},
		{"metrics without port", []string{"worker", "--metrics", "localhost"}, 2, "--metrics"},
		{"metrics over TLS without a certificate", []string{"worker", "--metrics", ":0", "--metrics-tls"}, 2, "--tls-cert"},
		{"TLS without metrics", []string{"worker", "--metrics-tls", "--tls-cert", "x", "--tls-key", "x"}, 2, "--metrics"},
		{"metrics on an unknown host", []string{"worker", "--listen", "tcp://127.0.0.1:0", "--metrics", "nowhere.invalid:0"}, 1, "nowhere.invalid"},
		{"log format", []string{"worker", "--log-format", "xml"}, 2, "text or json"},
		{"log level", []string{"worker", "--log-level", "loud"}, 2, "log-level"},
		{"drain", []string{"worker", "--drain-timeout", "-1s"}, 2, "--drain-timeout"},
		{"otlp", []string{"worker", "--otlp-endpoint", "collector:4317"}, 2, "--otlp-endpoint"},
		{"otlp of generate", []string{"generate", "--model", basic, "--tokens", "1", "--otlp-endpoint", "collector"}, 2, "--otlp-endpoint"},
		{"health of nothing", []string{"health"}, 2, "URL"},
		{"health of no URL", []string{"health", "here"}, 2, "http://host:port"},
		{"health of another scheme", []string{"health", "ftp://127.0.0.1:1"}, 2, "http://host:port"},
		{"health without a worker", []string{"health", "tcp://127.0.0.1:1"}, 1, "127.0.0.1:1"},
		{"health in TLS of a URL without", []string{"health", "http://127.0.0.1:1", "--tls-ca", "x"}, 2, "https://127.0.0.1:1"},
		{"health with an unused token", []string{"health", "grpc://127.0.0.1:1", "--token-file", "x"}, 2, "takes no token"},
		{"health with half a certificate", []string{"health", "https://127.0.0.1:1", "--tls-cert", "x"}, 2, "must be given together"},
		{"health without its file", []string{"health", "grpc://127.0.0.1:1", "--tls-ca", "/nowhere/ca.pem"}, 1, "/nowhere/ca.pem"},
		{"top in TLS of a URL without", []string{"top", "http://127.0.0.1:1", "--tls"}, 2, "https://127.0.0.1:1"},
		{"top without its file", []string{"top", "127.0.0.1:1", "--tls-ca", "/nowhere/ca.pem"}, 1, "/nowhere/ca.pem"},
		{"top of nothing", []string{"top"}, 2, "URL"},
		{"top of another scheme", []string{"top", "tcp://127.0.0.1:1"}, 2, "http://host:port"},
		{"top without a worker", []string{"top", "http://127.0.0.1:1"}, 1, "127.0.0.1:1"},
		{"top at once", []string{"top", "http://127.0.0.1:1", "--interval", "0"}, 2, "--interval"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := cli(t, c.args...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.Empty(t, r.stdout)
		})
	}
}

// TestWorkerLogs reads the log of a worker as a program does.
func TestWorkerLogs(t *testing.T) {
	w := startChild(t, anyTCP(), "--log-format", "json", "--log-level", "debug")
	r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "3", "--executor", w.urls[0])
	require.Zero(t, r.code, r.stderr)
	code, _ := w.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
	types := map[any]bool{}
	for d := json.NewDecoder(w.stderr); d.More(); {
		var line map[string]any
		require.NoError(t, d.Decode(&line))
		if line["msg"] == "request" {
			types[line["type"]] = true
			for _, name := range []string{"connection", "peer", "session", "request", "took"} {
				require.Contains(t, line, name)
			}
		}
	}
	for _, typ := range []string{"OpenSession", "Prepare", "Loop", "CloseSession"} {
		require.True(t, types[typ], typ)
	}
}

func TestWorkerLogsInText(t *testing.T) {
	w := startChild(t, anyTCP(), "--log-level", "debug")
	require.Zero(t, cli(t, "health", w.urls[0]).code)
	code, _ := w.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
	require.Regexp(t, `level=DEBUG msg="connection ended" connection=1 peer=127`, w.stderr.String())
}

// TestTop watches a real worker at work.
func TestTop(t *testing.T) {
	w := startWatched(t)
	generate := func() {
		r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "20", "--ignore-eos", "--executor", w.urls[0])
		require.Zero(t, r.code, r.stderr)
	}
	generate()
	report := decode[topReport](t, "top", w.metrics, "--once", "--json", "--interval", "20ms")
	require.True(t, report.Ready)
	require.Positive(t, report.Interval)
	require.Zero(t, report.Tokens, "there was no activity")
	require.Positive(t, report.Memory["weights"])
	require.Positive(t, report.Received["weights"].Total)
	require.EqualValues(t, 20*8, report.Sent["token"].Total, "the runs of a loop, that of the prefill among them")

	r := cli(t, "top", strings.TrimPrefix(w.metrics, "http://"), "--once", "--interval", "20ms")
	require.Zero(t, r.code, r.stderr)
	require.NotContains(t, r.stdout, "\x1b", "it is no terminal")
	for _, says := range []string{w.metrics, "ready", "sessions", "tok/s", "weights", "staging", "activation", "received/s"} {
		require.Contains(t, r.stdout, says)
	}
	require.Equal(t, 1, strings.Count(r.stdout, "tok/s"))

	// Live, until Ctrl-C; activity shows up as a rate.
	cmd := command(t, "top", w.metrics, "--json", "--interval", "10ms")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	var active sync.WaitGroup
	active.Go(generate)
	defer active.Wait() // it is the test's, and ends with it
	for d := json.NewDecoder(out); ; {
		var live topReport
		require.NoError(t, d.Decode(&live))
		if live.Tokens > 0 && live.Requests > 0 {
			break
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_, err = io.Copy(io.Discard, out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Empty(t, stderr.String())
}

// TestFit verifies what becomes of a report on terminals of other sizes.
func TestFit(t *testing.T) {
	lines := []string{"one", "", "three", "", "a line of some length"}
	for _, c := range []struct {
		width, height int
		want          []string
	}{
		{80, 24, lines},
		{22, 5, lines},
		{21, 5, []string{"one", "", "three", "", "a line of some lengt"}},
		{80, 4, []string{"one", "three", "", "a line of some length"}},
		{80, 3, []string{"one", "three", "a line of some length"}},
		{4, 2, []string{"one", "thr"}},
		{1, 1, []string{""}},
	} {
		require.Equal(t, c.want, fit(lines, c.width, c.height), "%d x %d", c.width, c.height)
	}
	require.Equal(t, []string{"\u00e9\u00e9"}, fit([]string{"\u00e9\u00e9\u00e9\u00e9"}, 3, 1), "runes are not cut")
}

// TestTopAfterARestart counts from zero what another life of the worker says.
func TestTopAfterARestart(t *testing.T) {
	look := func(at, start, tokens, waits, waited float64) *scraped {
		return &scraped{at: time.Unix(int64(at), 0), values: map[string]float64{
			startTime: start, "genie_worker_tokens_total": tokens,
			"genie_worker_queue_wait_seconds_count": waits, "genie_worker_queue_wait_seconds_sum": waited,
		}}
	}
	r := newTopReport(look(10, 1, 100, 4, 2), look(20, 1, 150, 6, 3))
	require.InDelta(t, 5, r.Tokens, 0)
	require.InDelta(t, 500, r.QueueWait, 0)
	r = newTopReport(look(10, 1, 100, 4, 2), look(20, 15, 150, 6, 3))
	require.InDelta(t, 15, r.Tokens, 0)
	require.InDelta(t, 500, r.QueueWait, 0)
	r = newTopReport(look(10, 1, 100, 4, 2), look(20, 15, 50, 2, 1))
	require.InDelta(t, 5, r.Tokens, 0)
	require.InDelta(t, 500, r.QueueWait, 0)
}

// TestTopOfAnOldWorker reads the memory of a worker of version 0.1, which calls
// retained outputs kept.
func TestTopOfAnOldWorker(t *testing.T) {
	const metric = "genie_worker_memory_bytes"
	l := map[string]string{"kind": "kept"}
	look := &scraped{
		at:     time.Unix(1, 0),
		values: map[string]float64{key(metric, l, "kind"): 4096},
		labels: map[string][]map[string]string{metric: {l}},
	}
	require.Equal(t, map[string]float64{"retained": 4096}, newTopReport(look, look).Memory)
}

func TestTopIsNoWorker(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := inProcess(ctx, strings.NewReader(""), "top", serveText(t, "up 1\n"), "--once")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "no metrics of a genie worker")
}
