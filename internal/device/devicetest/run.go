// Package devicetest is the suite that every device passes: each operator at
// odd sizes against its reference, weights in all storage formats, carried
// state in one piece and in pages, shared state, stopped runs, refused memory,
// panics, concurrent sessions, and dynamic batches.
//
// A test of a device is one call:
//
//	func TestDevice(t *testing.T) {
//		devicetest.Run(t, mydevice.Open, devicetest.Options{Tolerance: 1e-5})
//	}
//
// The suite uses a device through an engine, as every user does, and compares
// with an independent interpreter of plans.
package devicetest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/program"
)

// Options describe a device.
type Options struct {
	// Tolerance is the allowed difference from the references' results,
	// relative to the largest number of a value; 0 for none.
	Tolerance float64
	// Half is the same for plans with weights of 16 bits, on a device that rounds
	// the left operand of their products to that type; 0 for no difference.
	Half float64
	// Slow means that the device computes many times more slowly than a
	// processor: computations that only take time are smaller.
	Slow bool
	// Int8 means that the device can round weights to 8 bits. A device that
	// cannot must report so when it is opened.
	Int8 bool
	// Zeros means that the device computes nothing: all numbers are zeros.
	Zeros bool
	// Copies means that the device takes memory for copies as it runs, in
	// addition to the engine's reservation for a call: a run that is refused
	// for this leaves states that have grown for it.
	Copies bool
	// Kernels predicts the kernel of each group of a program at its sizes; nil for
	// no prediction. Every run of the suite is compared with it.
	Kernels func(p *program.Program, b *program.Bound) []string
	// Plans is the number of random plans; 0 means 150.
	Plans int
}

// Run runs the suite.
func Run(t *testing.T, open device.Open, opts Options) {
	if opts.Plans == 0 {
		opts.Plans = 300
	}
	tests := []struct {
		name string
		run  func(f *fixture)
	}{
		{"Operators", testOperators},
		{"Fused", testFused},
		{"Plans", testPlans},
		{"Branches", testBranches},
		{"WeightLayouts", testWeightLayouts},
		{"Int8Weights", testInt8},
		{"Appended", testAppended},
		{"Pages", testPages},
		{"Grouped", testGrouped},
		{"CopyOnWrite", testCopyOnWrite},
		{"WrittenAndReplaced", testWrittenAndReplaced},
		{"Retained", testRetained},
		{"ReleasedInUse", testReleasedInUse},
		{"CancelWithinAStep", testCancelWithinAStep},
		{"CancelInTheQueue", testCancelInTheQueue},
		{"BudgetRefused", testBudgetRefused},
		{"AllocRefused", testAllocRefused},
		{"Reserved", testReserved},
		{"KernelPanics", testKernelPanics},
		{"WeightGivenUp", testWeightGivenUp},
		{"ManySessions", testManySessions},
		{"Batches", testBatches},
		{"BatchesPart", testBatchesPart},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			defer goleak.VerifyNone(t, before)
			f := &fixture{T: t, open: open, opts: opts}
			defer f.end()
			tt.run(f)
		})
	}
}

// fixture is the environment of one test.
type fixture struct {
	*testing.T
	open    device.Open
	opts    Options
	engines []*engine.Engine
}

// engine opens an engine on the device. It ends with the test, and must then
// hold no memory. change may be nil.
func (f *fixture) engine(change func(*engine.Options)) *engine.Engine {
	f.Helper()
	o := engine.Options{Device: f.open, Threads: 2}
	if change != nil {
		change(&o)
	}
	e, err := engine.New(o)
	require.NoError(f, err)
	f.engines = append(f.engines, e)
	return e
}

func (f *fixture) end() {
	for _, e := range f.engines {
		require.NoError(f, e.Close())
		require.Zero(f, e.Memory().Used(), "%v", e.Memory().Held())
	}
}
