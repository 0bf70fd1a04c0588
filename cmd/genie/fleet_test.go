package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/natskv"
)

// startDirectory starts a directory's process. It ends with the test if not before.
func startDirectory(t *testing.T, listen string, more ...string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = command(t, append([]string{"fleet", "--listen", listen}, more...)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	text, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url, ok := strings.CutPrefix(strings.TrimSpace(text), "listening ")
	require.True(t, ok, text)
	return cmd, url
}

// startMember starts a worker that joins a fleet.
func startMember(t *testing.T, directory string, more ...string) *child {
	t.Helper()
	return startChild(t, anyTCP(), append([]string{"--join", directory, "--threads", "1", "--join-lease", "2s"}, more...)...)
}

// followed is a test's own view of a fleet.
func followed(t *testing.T, url string) *fleet.Follower {
	t.Helper()
	dir, err := natskv.Open(url)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f, err := fleet.Follow(ctx, dir, fleet.FollowOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = f.Close(), dir.Close() })
	return f
}

// has waits until a fleet has workers.
func has(t *testing.T, f *fleet.Follower, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(f.Workers()) == n }, 30*time.Second, 5*time.Millisecond, "%d workers", n)
}

func TestFleet(t *testing.T) {
	directory, url := startDirectory(t, "nats://127.0.0.1:0")
	a := startMember(t, url, "--zone", "east")
	startMember(t, url)
	f := followed(t, url)
	has(t, f, 2)

	want := decode[map[string]any](t, "generate", "--model", basic, "--tokens", "1,2", "--max-new", "5", "--json")
	got := decode[map[string]any](t, "generate", "--model", basic, "--tokens", "1,2", "--max-new", "5", "--json", "--executor", url)
	require.Equal(t, want["tokens"], got["tokens"])

	r := decode[fleetReport](t, "fleet", "status", url, "--json")
	require.Len(t, r.Workers, 2)
	require.False(t, r.Lost)
	var zones []string
	for _, w := range r.Workers {
		require.Equal(t, "ready", w.State)
		require.NotEmpty(t, w.Kernels)
		require.Positive(t, w.FLOPS)
		require.Positive(t, w.Read)
		require.True(t, w.Filter)
		zones = append(zones, w.Zone)
	}
	require.ElementsMatch(t, []string{"east", ""}, zones)
	text := cli(t, "fleet", "status", url)
	require.Zero(t, text.code, text.stderr)
	require.Contains(t, text.stdout, a.urls[0])
	require.Contains(t, text.stdout, "2 workers")
	top := decode[fleetReport](t, "top", url, "--once", "--json", "--interval", "50ms")
	require.Len(t, top.Workers, 2)
	require.Contains(t, cli(t, "top", url, "--once", "--interval", "50ms").stdout, a.urls[0])

	code, _ := a.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
	has(t, f, 1)
	require.NoError(t, directory.Process.Signal(syscall.SIGTERM))
	require.NoError(t, directory.Wait())
	require.Equal(t, 1, cli(t, "fleet", "status", url, "--timeout", "300ms").code)
}

// TestFleetFolderOfFiles does without a server.
func TestFleetFolderOfFiles(t *testing.T) {
	url := "file://" + filepath.Join(t.TempDir(), "fleet")
	w := startMember(t, url)
	require.Eventually(t, func() bool {
		r := cli(t, "fleet", "status", url, "--json")
		return r.code == 0 && strings.Contains(r.stdout, w.urls[0])
	}, 30*time.Second, 10*time.Millisecond)
	r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "3", "--executor", url)
	require.Zero(t, r.code, r.stderr)
	code, _ := w.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
	require.Empty(t, decode[fleetReport](t, "fleet", "status", url, "--json").Workers)
}

func TestFleetFlags(t *testing.T) {
	for _, args := range [][]string{
		{"fleet", "--listen", "tcp://127.0.0.1:0"},
		{"fleet", "--listen", "nats://127.0.0.1"},
		{"fleet", "--memory", "1KiB"},
		{"fleet", "--tls-cert", "x"},
		{"fleet", "--tls-client-ca", "x"},
		{"fleet", "stat"},
		{"fleet", "status", "tcp://127.0.0.1:1"},
		{"fleet", "status"},
		{"worker", "--join", "tcp://127.0.0.1:1"},
		{"worker", "--advertise", "tcp://h:1"},
		{"worker", "--zone", "x"},
		{"worker", "--join", "nats://127.0.0.1:1", "--advertise", "tcp://0.0.0.0:1"},
		{"worker", "--join", "nats://127.0.0.1:1", "--advertise", "http://h:1"},
		{"worker", "--join", "nats://127.0.0.1:1", "--join-lease", "1ms"},
		{"worker", "--join", "nats://127.0.0.1:1", "--directory-tls-cert", "x", "--listen", "tcp://127.0.0.1:0"},
		{"worker", "--join", "nats://127.0.0.1:1", "--listen", "tcp://0.0.0.0:0", "--insecure"},
	} {
		r := inProcess(t.Context(), strings.NewReader(""), args...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.stderr)
	}
	exposed := inProcess(t.Context(), strings.NewReader(""), "fleet", "--listen", "nats://0.0.0.0:0")
	require.Equal(t, 1, exposed.code)
	require.Contains(t, exposed.stderr, "reachable from other machines")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, 1, inProcess(t.Context(), strings.NewReader(""), "fleet", "--listen", "nats://"+l.Addr().String()).code)
}

// TestFleetToken has a directory that wants a token, and one of a worker that has a
// wrong one.
func TestFleetToken(t *testing.T) {
	dir := t.TempDir()
	right, wrong := filepath.Join(dir, "right"), filepath.Join(dir, "wrong")
	require.NoError(t, os.WriteFile(right, []byte("right-token"), 0o600))
	require.NoError(t, os.WriteFile(wrong, []byte("wrong-token"), 0o600))
	_, url := startDirectory(t, "nats://127.0.0.1:0", "--token-file", right)
	startMember(t, url, "--directory-token-file", wrong)
	w := startMember(t, url, "--directory-token-file", right)
	require.Eventually(t, func() bool {
		r := cli(t, "fleet", "status", url, "--json", "--directory-token-file", right)
		return r.code == 0 && strings.Contains(r.stdout, w.urls[0])
	}, 30*time.Second, 10*time.Millisecond)
	require.Len(t, decode[fleetReport](t, "fleet", "status", url, "--json", "--directory-token-file", right).Workers, 1)
	refused := cli(t, "fleet", "status", url, "--json", "--timeout", "500ms")
	require.Equal(t, 1, refused.code)
	require.NotContains(t, refused.stdout+refused.stderr, "right-token")
}

// TestFleetListening prints what a program reads.
func TestFleetListening(t *testing.T) {
	cmd := command(t, "fleet", "--listen", "nats://127.0.0.1:0", "--json")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	var line struct {
		Listening string `json:"listening"`
		PID       int    `json:"pid"`
	}
	require.NoError(t, json.NewDecoder(io.LimitReader(stdout, 1<<10)).Decode(&line))
	require.Equal(t, cmd.Process.Pid, line.PID)
	require.Contains(t, line.Listening, "nats://127.0.0.1:")
	require.NotContains(t, fmt.Sprint(line), ":0 ")
}
