package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkerStopsOnSignals(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(s.String(), func(t *testing.T) {
			w := startChild(t, both())
			require.Regexp(t, `^tcp://127\.0\.0\.1:[1-9]\d*$`, w.urls[0])
			require.Regexp(t, `^grpc://127\.0\.0\.1:[1-9]\d*$`, w.urls[1])
			for _, u := range w.urls {
				r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", u)
				require.Zero(t, r.code, r.stderr)
			}
			code, rest := w.signal(t, s)
			require.Zero(t, code, w.stderr)
			require.Empty(t, rest)
			_, err := net.Dial("tcp", strings.TrimPrefix(w.urls[0], "tcp://"))
			require.Error(t, err)
		})
	}
}

func TestWorkerStopsOnEOF(t *testing.T) {
	cmd := command(t, "worker", "--listen", "tcp://127.0.0.1:0", "--stop-on-eof", "--json")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, stdin.Close())
	require.NoError(t, cmd.Wait())
	var line struct {
		Listening string `json:"listening"`
		PID       int    `json:"pid"`
	}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &line))
	require.Contains(t, line.Listening, "tcp://127.0.0.1:")
	require.Equal(t, cmd.Process.Pid, line.PID)
}

func TestWorkerRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := "tcp://" + l.Addr().String()
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"port taken", []string{"--listen", taken}, 1, taken + ": the port is in use"},
		{"second port taken", []string{"--listen", "grpc://127.0.0.1:0", "--listen", taken}, 1, "the port is in use"},
		{"no scheme", []string{"--listen", "127.0.0.1:7070"}, 2, "tcp://host:port"},
		{"other scheme", []string{"--listen", "http://127.0.0.1:7070"}, 2, "http://127.0.0.1:7070"},
		{"no port", []string{"--listen", "tcp://127.0.0.1"}, 2, "tcp://host:port"},
		{"path", []string{"--listen", "tcp://127.0.0.1:1/x"}, 2, "tcp://host:port"},
		{"unknown host", []string{"--listen", "tcp://nowhere.invalid:0"}, 1, "nowhere.invalid"},
		{"no model folder", []string{"--listen", "tcp://127.0.0.1:0", "--models", "/nowhere"}, 1, "/nowhere"},
		{"threads", []string{"--threads", "-1"}, 2, "--threads"},
		{"max batch", []string{"--max-batch", "0"}, 2, "--max-batch"},
		{"lease", []string{"--lease", "0s"}, 2, "--lease"},
		{"shared memory", []string{"--shared-memory", "on"}, 2, "--shared-memory"},
		{"argument", []string{"tcp://127.0.0.1:0"}, 2, "takes no argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := cli(t, append([]string{"worker"}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
			require.Empty(t, r.stdout)
		})
	}
}

// A worker with the checkpoint in its own folder is sent no weights, and a
// second client sends none to any worker.
func TestWorkerFindsWeights(t *testing.T) {
	generate := func(url, policy string) *generateReport {
		r := decode[generateReport](t, "generate", "--model", basic, "--tokens", "1,2", "--max-new", "3", "--executor", url, "--policy", policy, "--json")
		return &r
	}
	const weights = "weights"
	bare := startChild(t, anyTCP())
	require.Positive(t, generate(bare.urls[0], "full").Wire.Sent[weights])
	require.Zero(t, generate(bare.urls[0], "full").Wire.Sent[weights])
	require.Zero(t, generate(bare.urls[0], "resident").Wire.Sent[weights])
	require.Positive(t, generate(bare.urls[0], "blind").Wire.Sent[weights])
	own := startChild(t, anyTCP(), "--models", "../../testdata/gpt2")
	require.Zero(t, generate(own.urls[0], "full").Wire.Sent[weights])
}
