package main

import (
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
)

// TestWatchedSecurely asks a worker of another process for its health and shows
// its metrics, with mutual TLS and a token, and without each of them.
func TestWatchedSecurely(t *testing.T) {
	ca := workertest.NewCA(t)
	server, client := ca.Issue("worker", nil), ca.Issue("client", nil)
	tokens, token := aliceToken(t)
	w := startWatched(t, "--metrics-tls", "--tls-cert", server.Cert, "--tls-key", server.Key, "--tls-client-ca", server.CA, "--tokens", tokens)
	authority, pair := []string{"--tls-ca", client.CA}, []string{"--tls-cert", client.Cert, "--tls-key", client.Key}
	shown := []string{"--token-file", token}
	both := append(append([]string{}, authority...), pair...)
	stranger := workertest.NewCA(t).Issue("stranger", nil)
	tcpURL, grpcURL := w.urls[0], w.urls[1]

	for _, c := range []struct {
		name string
		args []string
		says string // "" when it succeeds
	}{
		{"tcp", join([]string{"health", tcpURL}, both, shown), ""},
		{"tcp without TLS", join([]string{"health", tcpURL}, shown), "speaks TLS"},
		{"tcp without a token", join([]string{"health", tcpURL}, both), "requires a token"},
		{"tcp without a certificate", join([]string{"health", tcpURL}, authority, shown), "requires a client certificate"},
		{"tcp of an authority unknown", join([]string{"health", tcpURL, "--tls"}, pair, shown), "unknown authority"},
		{"grpc", join([]string{"health", grpcURL}, both), ""},
		{"grpc without TLS", []string{"health", grpcURL}, grpcURL},
		{"grpc without a certificate", join([]string{"health", grpcURL}, authority), "certificate required"},
		{"grpc of an authority unknown", join([]string{"health", grpcURL, "--tls"}, pair), "unknown authority"},
		{"grpc of another name", join([]string{"health", grpcURL, "--tls-server-name", "elsewhere.example"}, both), "elsewhere.example"},
		{"https", join([]string{"health", w.metrics}, both), ""},
		{"https by its name", join([]string{"health", w.metrics, "--tls-server-name", "localhost"}, both), ""},
		{"http", []string{"health", "http" + w.metrics[len("https"):]}, "HTTP request to an HTTPS server"},
		{"https without a certificate", join([]string{"health", w.metrics}, authority), "certificate required"},
		{"https with a stranger's certificate", join([]string{"health", w.metrics, "--tls-cert", stranger.Cert, "--tls-key", stranger.Key}, authority), "remote error: tls"},
		{"https of an authority unknown", join([]string{"health", w.metrics}, pair), "unknown authority"},
		{"https of another name", join([]string{"health", w.metrics, "--tls-server-name", "elsewhere.example"}, both), "elsewhere.example"},
		{"top", join([]string{"top", w.metrics, "--once", "--interval", "20ms"}, both), ""},
		{"top without scheme", join([]string{"top", w.metrics[len("https://"):], "--once", "--interval", "20ms"}, both), ""},
		{"top without a certificate", join([]string{"top", w.metrics, "--once"}, authority), "certificate required"},
		{"top of an authority unknown", join([]string{"top", w.metrics, "--once"}, pair), "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := cli(t, c.args...)
			if c.says == "" {
				require.Zero(t, r.code, r.stderr)
				require.Empty(t, r.stderr)
				require.NotEmpty(t, r.stdout)
				return
			}
			require.Equal(t, exitFailure, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.Empty(t, r.stdout)
		})
	}
	code, _ := w.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
}

func join(parts ...[]string) (out []string) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// TestMetricsExposure listens for probes where other machines reach it: what is
// missing is said, and it serves all the same, see docs/threat-model.md.
func TestMetricsExposure(t *testing.T) {
	ca := workertest.NewCA(t)
	server, client := ca.Issue("worker", nil), ca.Issue("client", nil)
	cert := []string{"--tls-cert", server.Cert, "--tls-key", server.Key}
	for _, c := range []struct {
		name    string
		metrics string
		args    []string
		says    []string // of the warning; nil for none
		not     string
		health  []string
	}{
		{"this machine", "127.0.0.1:0", nil, nil, "", nil},
		{"plain", "0.0.0.0:0", nil, []string{"no encryption and no authentication", "--metrics-tls"}, "", nil},
		{"plain beside TLS", "0.0.0.0:0", cert, []string{"no encryption and no authentication"}, "", nil},
		{"TLS", "0.0.0.0:0", join(cert, []string{"--metrics-tls"}), []string{"no authentication"}, "no encryption", []string{"--tls-ca", client.CA}},
		{
			"mutual TLS", "0.0.0.0:0", join(cert, []string{"--metrics-tls", "--tls-client-ca", server.CA}), nil, "",
			[]string{"--tls-ca", client.CA, "--tls-cert", client.Cert, "--tls-key", client.Key},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startChild(t, anyTCP(), join(c.args, []string{"--metrics", c.metrics})...)
			text, err := w.lines.ReadString('\n')
			require.NoError(t, err)
			u, err := url.Parse(strings.TrimPrefix(strings.TrimSpace(text), "metrics "))
			require.NoError(t, err)
			r := cli(t, join([]string{"health", u.Scheme + "://127.0.0.1:" + u.Port()}, c.health)...)
			require.Zero(t, r.code, r.stderr)
			code, _ := w.signal(t, syscall.SIGTERM)
			require.Zero(t, code)
			if c.says == nil {
				require.Empty(t, w.stderr.String())
				return
			}
			require.Contains(t, w.stderr.String(), "warning")
			for _, says := range c.says {
				require.Contains(t, w.stderr.String(), says)
			}
			if c.not != "" {
				require.NotContains(t, w.stderr.String(), c.not)
			}
		})
	}
}
