package cudatest_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// TestLacking holds what docs/cuda.md says that the device lacks, and that the
// cost model's description of GPUs fuses the pointwise operators that the device
// has.
func TestLacking(t *testing.T) {
	d, err := target(t)(device.Options{Threads: 1})
	require.NoError(t, err)
	defer d.Close()
	c := d.Capabilities()
	var lacking, unfused []string
	for _, name := range op.Names() {
		for _, attrs := range []plan.Attrs{nil, {plan.BoolAttr("tanh", true)}, {plan.Int("to", int(plan.F32))}, {plan.BoolAttr("fmod", true)}, {plan.Float("max", 1), plan.Float("min", 0)}} {
			o, err := op.New(name, attrs)
			if err != nil {
				continue
			}
			if c.Lacks != nil && c.Lacks(o, nil) {
				lacking = append(lacking, name)
			}
			if o.Traits().Pointwise && !c.Pointwise(o) {
				unfused = append(unfused, name)
			}
		}
	}
	if deviceName() == "cpu" {
		return // another one's kernels
	}
	alone := []string{"cast", "equal", "where"} // not in a product
	require.ElementsMatch(t, slices.DeleteFunc(slices.Clone(unfused), func(name string) bool { return slices.Contains(alone, name) }), lacking)
	require.True(t, c.Lacks(op.Conv2D{}, nil))
	for _, name := range semantic.PublishedGPUs() {
		g, ok := semantic.PublishedNamed(name)
		require.True(t, ok)
		require.ElementsMatch(t, unfused, g.Lacks)
	}
}
