package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
)

// aliceToken makes a token for alice with the program and gives the files of the
// worker and of the client.
func aliceToken(t *testing.T) (tokens, token string) {
	t.Helper()
	dir := t.TempDir()
	tokens, token = filepath.Join(dir, "tokens"), filepath.Join(dir, "alice.token")
	r := cli(t, "token", "alice", "--tokens", tokens)
	require.Zero(t, r.code, r.stderr)
	require.NoError(t, os.WriteFile(token, []byte(r.stdout), 0o600))
	held, err := os.ReadFile(tokens)
	require.NoError(t, err)
	require.NotContains(t, string(held), strings.TrimSpace(r.stdout))
	info, err := os.Stat(tokens)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)
	return tokens, token
}

// TestWorkerRefusesOpenAddresses listens where other machines reach it.
func TestWorkerRefusesOpenAddresses(t *testing.T) {
	ca := workertest.NewCA(t)
	f := ca.Issue("worker", nil)
	tokens, _ := aliceToken(t)
	tls := []string{"--tls-cert", f.Cert, "--tls-key", f.Key}
	for _, c := range []struct {
		name    string
		args    []string
		missing []string // nil: it listens
	}{
		{"nothing", nil, []string{"no encryption", "no authentication"}},
		{"tokens alone", []string{"--tokens", tokens}, []string{"no encryption"}},
		{"TLS alone", tls, []string{"no authentication"}},
		{"TLS and tokens", append(tls, "--tokens", tokens), nil},
		{"mutual TLS", append(tls, "--tls-client-ca", f.CA), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, scheme := range []string{"tcp", "grpc"} {
				url := scheme + "://0.0.0.0:0"
				if c.missing == nil {
					w := startChild(t, []string{url}, c.args...)
					code, _ := w.signal(t, syscall.SIGTERM)
					require.Zero(t, code)
					require.Empty(t, w.stderr.String())
					continue
				}
				r := cli(t, append([]string{"worker", "--listen", url}, c.args...)...)
				require.Equal(t, exitFailure, r.code, r.stderr)
				require.Empty(t, r.stdout)
				require.Contains(t, r.stderr, "--insecure")
				w := startChild(t, []string{url}, append(c.args, "--insecure")...)
				code, _ := w.signal(t, syscall.SIGTERM)
				require.Zero(t, code)
				require.Contains(t, w.stderr.String(), "warning")
				for _, what := range c.missing {
					require.Contains(t, r.stderr, what)
					require.Contains(t, w.stderr.String(), what)
				}
			}
		})
	}
}

func TestExposed(t *testing.T) {
	for addr, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}:  false,
		&net.TCPAddr{IP: net.IPv4(127, 8, 0, 1)}:  false,
		&net.TCPAddr{IP: net.IPv6loopback}:        false,
		&net.UnixAddr{Name: "/run/genie.sock"}:    false,
		&net.TCPAddr{IP: net.IPv4zero}:            true,
		&net.TCPAddr{IP: net.IPv6unspecified}:     true,
		&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}:   true,
		&net.TCPAddr{IP: net.ParseIP("fe80::1")}:  true,
		&net.TCPAddr{}:                            true,
		&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}:  true,
		&net.TCPAddr{IP: net.ParseIP("::ffff:1")}: true,
	} {
		require.Equal(t, want, exposed(addr), "%v", addr)
	}
}

// TestGenerateSecurely runs a model on a worker of another process, over both
// transports, with mutual TLS and a token, and without each of them.
func TestGenerateSecurely(t *testing.T) {
	ca := workertest.NewCA(t)
	server, client := ca.Issue("worker", nil), ca.Issue("client", nil)
	tokens, token := aliceToken(t)
	w := startChild(t, both(), "--tls-cert", server.Cert, "--tls-key", server.Key, "--tls-client-ca", server.CA, "--tokens", tokens)
	ca1, pair, shown := []string{"--tls-ca", client.CA}, []string{"--tls-cert", client.Cert, "--tls-key", client.Key}, []string{"--token-file", token}
	all := append(append(append([]string{}, ca1...), pair...), shown...)
	for _, url := range w.urls {
		base := []string{"generate", "--model", basic, "--tokens", "1,2", "--max-new", "3", "--executor", url}
		run := func(more ...string) result { return cli(t, append(append([]string{}, base...), more...)...) }
		r := run(all...)
		require.Zero(t, r.code, r.stderr)
		plain := cli(t, "generate", "--model", basic, "--tokens", "1,2", "--max-new", "3")
		require.Equal(t, plain.stdout, r.stdout)
		for says, args := range map[string][]string{
			"speaks TLS":                    shown,
			"unknown authority":             append(append([]string{"--tls"}, pair...), shown...),
			"requires a client certificate": append(append([]string{}, ca1...), shown...),
			"requires a token":              append(append([]string{}, ca1...), pair...),
			"elsewhere.example":             append([]string{"--tls-server-name", "elsewhere.example"}, all...),
			"must be given together":        append(append([]string{}, ca1...), "--tls-cert", client.Cert),
			"no such file":                  append(append([]string{}, ca1...), "--token-file", "/nowhere/token"),
		} {
			r := run(args...)
			require.NotZero(t, r.code, says)
			require.Contains(t, r.stderr, says)
		}
		r = cli(t, append([]string{"doctor", "--executor", url}, all...)...)
		require.Regexp(t, `ok\s+executor`, r.stdout)
	}
}

func TestTokenFromTheEnvironment(t *testing.T) {
	tokens, file := aliceToken(t)
	w := startChild(t, anyTCP(), "--tokens", tokens)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, value := range map[string]string{tokenEnv: strings.TrimSpace(string(text)), tokenFileEnv: file} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", w.urls[0])
			require.Zero(t, r.code, r.stderr)
		})
	}
}

func TestTokenRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"no identity": {"token", "--tokens", "x"}, "no file": {"token", "alice"}, "a subject": {"token", "CN=alice", "--tokens", "x"},
	} {
		require.Equal(t, exitUsage, cli(t, args...).code, name)
	}
}

func TestQuotas(t *testing.T) {
	q, err := parseQuotas([]string{"sessions=8,bytes=2GiB", "alice:calls=1", "CN=bob,O=team:plans=3,bytes=512MiB", "mail:x:sessions=1"})
	require.NoError(t, err)
	for identity, want := range map[string]worker.Quota{
		"carol":         {Sessions: 8, Bytes: 2 << 30},
		"alice":         {Calls: 1},
		"CN=bob,O=team": {Plans: 3, Bytes: 512 << 20},
		"mail:x":        {Sessions: 1},
	} {
		require.Equal(t, want, q.of(identity), identity)
	}
	for _, bad := range []string{"", "sessions", "sessions=", "sessions=0", "sessions=-1", "seats=1", "bytes=2GB", "bytes=9000000TiB", "alice:"} {
		r := cli(t, "worker", "--quota", bad)
		require.Equal(t, exitUsage, r.code, bad)
		require.Contains(t, r.stderr, "--quota")
	}
	for _, args := range [][]string{{"--tls-cert", "x"}, {"--tls-client-ca", "x"}} {
		require.Equal(t, exitUsage, cli(t, append([]string{"worker"}, args...)...).code)
	}
}

// TestWorkerQuota bounds the sessions of every identity.
func TestWorkerQuota(t *testing.T) {
	tokens, file := aliceToken(t)
	w := startChild(t, anyTCP(), "--tokens", tokens, "--quota", "alice:bytes=4KiB")
	r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", w.urls[0], "--token-file", file)
	require.Equal(t, exitFailure, r.code)
	require.Contains(t, r.stderr, "quota exceeded: bytes")
}
