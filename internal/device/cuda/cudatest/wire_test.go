package cudatest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// TestWire checks that a generation on a worker with the device takes the round
// trips and the bytes of one with the CPU, except for control: times in answers
// have other lengths, and a slow device is asked whether it is alive.
func TestWire(t *testing.T) {
	c := checkpoint{workloads.Tiny, plan.F32}
	m := c.load(t)
	req := genie.GenerateRequest{Prompts: c.prompts(t, 1), MaxNew: 8, IgnoreEOS: true, IgnoreSettings: true}
	second := func(o engine.Options) transport.Snapshot {
		w := workertest.StartEngine(t, o, nil)
		client, err := genie.Open(t.Context(), "tcp://"+w.TCP)
		require.NoError(t, err)
		defer client.Close()
		s, err := client.NewSession(t.Context())
		require.NoError(t, err)
		defer s.Close()
		generated(t, s, m, req) // which brings plans and weights
		return generated(t, s, m, req).Wire
	}
	want, got := second(engine.Options{Device: cpu.Open, Threads: 2}), second(engineOptions(t))
	require.Equal(t, want.RoundTrips, got.RoundTrips)
	for cause := range want.Received {
		if plan.Cause(cause) != plan.CauseControl {
			require.Equal(t, want.Sent[cause], got.Sent[cause], "%v", plan.Cause(cause))
			require.Equal(t, want.Received[cause], got.Received[cause], "%v", plan.Cause(cause))
		}
	}
}
