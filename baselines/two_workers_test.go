package baselines_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/vision"
	"github.com/genie-sdk/go/workloads/vqa"
)

// TestTwoWorkers opens each case of models over two workers, which verifies it
// against the reference, and runs it once.
func TestTwoWorkers(t *testing.T) {
	for _, name := range []string{llm.Decode, vision.Name, vqa.Name} {
		all, err := baselines.Workloads(testdata, name, workloads.Tiny)
		require.NoError(t, err)
		for _, base := range baselines.TwoWorkers() {
			t.Run(name+"/"+base.Name, func(t *testing.T) {
				named, err := baselines.Named(base.Name)
				require.NoError(t, err)
				c, err := baselines.Open(t.Context(), baselines.Spec{Workload: all[0], Baseline: named})
				if errors.Is(err, baselines.ErrUnavailable) {
					t.Skipf("%v; it runs on Linux with two CPUs: go test ./baselines -run TestTwoWorkers", err)
				}
				require.NoError(t, err)
				defer func() { require.NoError(t, c.Close()) }()
				_, err = c.Run(t.Context())
				require.NoError(t, err)
				ops, err := c.Ops(t.Context())
				require.NoError(t, err)
				require.Positive(t, ops)
			})
		}
	}
}
