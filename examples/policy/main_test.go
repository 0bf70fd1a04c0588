package main

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
)

const (
	austen           = "../../testdata/models/austen"
	recurrentWeights = 768 // bytes
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// row is a line of the table.
type row struct {
	weights, state              string
	sentWeights, sent, received int64
}

func table(t *testing.T, args ...string) map[string]row {
	t.Helper()
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), append([]string{"-model", austen}, args...), &out, &errs), errs.String())
	rows := map[string]row{}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n")[1:] {
		f := strings.Fields(line)
		require.Len(t, f, 7, line)
		var n [3]int64
		for i := range n {
			var err error
			n[i], err = strconv.ParseInt(f[4+i], 10, 64)
			require.NoError(t, err, line)
		}
		rows[f[0]+" "+f[1]] = row{f[2], f[3], n[0], n[1], n[2]}
	}
	require.Len(t, rows, 6, out.String())
	return rows
}

// TestOnWorker checks that the policy decides as documented, that the decisions
// appear on the wire, and, since the program fails otherwise, that no answer
// depends on them.
func TestOnWorker(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	w := workertest.Start(t, nil)
	full := semantic.Full().Name()
	for _, scheme := range []string{"tcp://" + w.TCP, "grpc://" + w.GRPC} {
		rows := table(t, "-executor", scheme)

		small, most := rows["recurrent frugal"], rows["recurrent "+full]
		require.Equal(t, []string{"false", "false"}, []string{small.weights, small.state})
		require.EqualValues(t, steps*recurrentWeights, small.sentWeights) // with each run
		require.LessOrEqual(t, most.sentWeights, int64(recurrentWeights)) // once, or found
		const state = 64 * 4
		require.Greater(t, small.received-most.received, int64((steps-1)*state))
		require.Greater(t, small.sent-most.sent, int64((steps-1)*(recurrentWeights+state)))

		large := rows["classifier frugal"]
		require.Equal(t, []string{"true", "false"}, []string{large.weights, large.state})
		require.Zero(t, large.sentWeights) // found

		text := rows["text frugal"]
		require.Equal(t, []string{"true", "true"}, []string{text.weights, text.state})
		require.Zero(t, text.sentWeights)
		require.Less(t, text.received, int64(1000)) // tokens, no logits and no caches
	}
}

// TestThreshold lowers the limit: the same program then retains its weights.
func TestThreshold(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	require.Equal(t, "true", table(t, "-small-weights", "767")["recurrent frugal"].weights)
	require.Equal(t, "false", table(t, "-small-weights", "768")["recurrent frugal"].weights)
	require.Equal(t, "false", table(t, "-small-weights", "1000000")["classifier frugal"].weights)
}

// TestPure checks that a request gives the same plan each time.
func TestPure(t *testing.T) {
	srg, err := semantic.Analyze(recurrent().graph)
	require.NoError(t, err)
	var plans [2]string
	for i := range plans {
		sch, err := Frugal{SmallWeights: 1}.Schedule(srg, semantic.Request{})
		require.NoError(t, err)
		hash := sch.Plan.Hash()
		plans[i] = string(hash[:])
	}
	require.Equal(t, plans[0], plans[1])
}

func TestFailures(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, tt := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"no worker", 1, []string{"-model", austen, "-executor", "tcp://127.0.0.1:1"}, "unreachable"},
		{"no model", 1, []string{"-model", t.TempDir()}, "config.json"},
		{"negative", 2, []string{"-small-weights", "-1"}, "-small-weights"},
		{"unknown flag", 2, []string{"-nothing"}, "-nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			require.Equal(t, tt.code, run(t.Context(), tt.args, &out, &errs))
			require.Contains(t, errs.String(), tt.says)
		})
	}
}
