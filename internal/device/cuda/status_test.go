package cuda_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestErrorOfData has kernels that find an index out of range, and a position,
// behind which others are queued: the error names the step, no state is
// overwritten, and the session continues.
func TestErrorOfData(t *testing.T) {
	const rows, width, slots = 5, 3, 4
	m := planmaker.New(nil)
	p := m.Plan()
	p.Name = "lookups into a ring"
	spec := func(d plan.DType, dims ...int) plan.Spec { return plan.Spec{DType: d, Shape: op.Static(dims)} }
	table := m.Input(spec(plan.F32, rows, width))
	at, position := m.Input(spec(plan.I64, 1)), m.Input(spec(plan.I32, 1))
	p.Values = append(p.Values, plan.Value{Kind: plan.KindState, Name: "ring", Spec: spec(plan.F32, slots, width), Buffer: plan.NoBuffer})
	ring := len(p.Values) - 1
	step := func(name string, attrs plan.Attrs, in ...int) int {
		v, ok := m.Apply(name, attrs, in...)
		require.True(t, ok, name)
		return v
	}
	found := step("relu", nil, step("embedding", nil, table, at))
	written := step("write_rows", plan.Attrs{plan.Int("axis", 0)}, ring, found, position)
	p.States = []plan.State{{Name: "ring", Mode: plan.StateWrite, In: ring, Out: written}}
	p.Outputs = []plan.Output{{Name: "ring", Value: step("add", nil, written, written), Place: plan.Download}}
	m.Assign()
	require.NoError(t, p.Validate())

	e, err := engine.New(engine.Options{Device: emulated(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	prog, err := e.Compile(p)
	require.NoError(t, err)
	s := e.NewSession()
	defer s.Close()
	numbers := make([]float32, rows*width)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	run := func(at int64, position int32) ([]float32, error) {
		c, err := s.NewCall(prog, nil)
		require.NoError(t, err)
		defer c.Release()
		require.NoError(t, c.SetInput(0, op.FromF32(numbers, rows, width).Data))
		require.NoError(t, c.SetInput(1, binary.LittleEndian.AppendUint64(nil, uint64(at))))
		require.NoError(t, c.SetInput(2, binary.LittleEndian.AppendUint32(nil, uint32(position))))
		if err := c.Run(context.Background()); err != nil {
			return nil, err
		}
		out, _ := c.Output(0)
		return append([]float32(nil), (&op.Array{Data: out.Data}).F32()...), nil
	}
	ringOf, err := run(2, 1)
	require.NoError(t, err)
	require.Equal(t, []float32{0, 0, 0, 12, 14, 16, 0, 0, 0, 0, 0, 0}, ringOf)
	for range 3 {
		_, err = run(1<<40, 2)
		require.ErrorIs(t, err, transport.ErrIndexRange)
		require.ErrorContains(t, err, "(embedding)")
		require.ErrorContains(t, err, "index 1099511627776 of 5 rows")
		_, err = run(-1, 2)
		require.ErrorContains(t, err, "index -1 of 5 rows")
	}
	ringOf, err = run(4, 0)
	require.NoError(t, err)
	require.Equal(t, []float32{24, 26, 28, 12, 14, 16, 0, 0, 0, 0, 0, 0}, ringOf)
	_, err = run(0, slots)
	require.ErrorIs(t, err, transport.ErrShape)
	require.ErrorContains(t, err, "(write_rows)")
}
