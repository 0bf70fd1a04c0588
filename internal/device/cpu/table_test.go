package cpu

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// TestChosenKernelsExist: each name that a choice can have is a kernel of this
// device, each kernel has a name, and a pointwise operator has a kernel exactly
// where the choice says so.
func TestChosenKernelsExist(t *testing.T) {
	names := kernelchoice.Names()
	for _, n := range names {
		require.NotNil(t, named[n], "%s is chosen, and no function has that name in table.go", n)
	}
	for n := range named {
		require.True(t, slices.Contains(names, n), "%s is never chosen: package kernelchoice has no line for it", n)
	}
	for _, name := range op.Names() {
		for _, attrs := range []plan.Attrs{nil, {plan.BoolAttr("tanh", true)}, {plan.Int("to", int(plan.F32))}} {
			o, err := op.New(name, attrs)
			if err != nil {
				continue
			}
			_, has := pointwiseKernel(o)
			require.Equal(t, kernelchoice.Pointwise(o), has, name)
		}
	}
}
