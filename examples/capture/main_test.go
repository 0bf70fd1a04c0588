package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call runs the program and returns its output.
func call(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	require.Equal(t, want, run(t.Context(), args, &out, &errs), "%v\n%s", args, &errs)
	return out.String(), errs.String()
}

// TestRuns runs it in this process and on a worker, over both transports. The
// first run on the worker sends the weights, the others find them there; the
// state never moves; the forecasts are the same text everywhere.
func TestRuns(t *testing.T) {
	w := workertest.Start(t, nil)
	here, _ := call(t, 0, "-sensors", "7", "-steps", "30")
	require.Equal(t, 31, strings.Count(here, "\n"))
	forecasts, _, _ := strings.Cut(here, "210 forecasts")
	for i, executor := range []string{"tcp://" + w.TCP, "grpc://" + w.GRPC} {
		there, _ := call(t, 0, "-sensors", "7", "-steps", "30", "-executor", executor)
		require.Contains(t, there, forecasts)
		sent := []string{"sent 4100 bytes of weights and 0 of state", "sent 0 bytes of weights and 0 of state"}[i]
		require.Contains(t, there, sent)
	}
}

// TestWeights saves and loads weights through a file, and refuses a file that
// does not fit.
func TestWeights(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gru.json")
	first, _ := call(t, 0, "-seed", "7", "-save", file)
	again, _ := call(t, 0, "-weights", file)
	require.Equal(t, first, again)
	other, _ := call(t, 0, "-seed", "8")
	require.NotEqual(t, first, other)

	require.NoError(t, os.WriteFile(file, []byte(`{"input": [1, 2]}`), 0o600))
	_, errs := call(t, 1, "-weights", file)
	require.Contains(t, errs, "input has 2 numbers, want 144")
}

// TestDisagreement checks that the check can fail: it detects a network with
// one weight that differs from the plain one's.
func TestDisagreement(t *testing.T) {
	w := randomWeights(1)
	m, err := w.capture()
	require.NoError(t, err)
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	session, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer session.Close()
	x := measure(0, 1)
	out, err := session.Run(t.Context(), genie.Feed{"x": genie.Float32s(x, 1, inputs)}, m.forecast)
	require.NoError(t, err)
	got, err := out[0].Float32s(t.Context())
	require.NoError(t, err)
	require.InDelta(t, new(state).step(w, x), got[0], tolerance)
	w.InputBias[2*hidden]++ // of the candidate for the first number of the state
	require.Greater(t, math.Abs(new(state).step(w, x)-float64(got[0])), 10*tolerance)
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"no worker", 1, []string{"-executor", "tcp://127.0.0.1:1"}, "unreachable"},
		{"no URL", 1, []string{"-executor", "here"}, "bad executor URL"},
		{"no file", 1, []string{"-weights", filepath.Join(t.TempDir(), "none")}, "none"},
		{"no sensors", 2, []string{"-sensors", "0"}, "-sensors"},
		{"unknown flag", 2, []string{"-nothing"}, "-nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, errs := call(t, tt.code, tt.args...)
			require.Contains(t, errs, tt.says)
			require.Empty(t, out)
		})
	}
	call(t, 0, "-help")
}
