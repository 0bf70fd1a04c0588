package cuda_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport/plan"
)

// TestConstantsMove has a large constant whose place in the arena depends on the
// size of a small input: a later run with a smaller input reads it where it is.
func TestConstantsMove(t *testing.T) {
	const rows, width = 500, 3
	m := planmaker.New(nil)
	p := m.Plan()
	p.Name = "lookups in a constant"
	numbers := make([]float32, rows*width)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	p.Values = append(p.Values, plan.Value{
		Kind: plan.KindConst, Spec: plan.Spec{DType: plan.F32, Shape: op.Static([]int{rows, width})},
		Const: op.FromF32(numbers, rows, width).Data, Buffer: plan.NoBuffer,
	})
	table := len(p.Values) - 1
	at := m.Input(plan.Spec{DType: plan.I32, Shape: plan.Shape{plan.Sym("n")}})
	found, ok := m.Apply("embedding", nil, table, at)
	require.True(t, ok)
	p.Outputs = []plan.Output{{Name: "rows", Value: found, Place: plan.Download}}
	m.Assign()
	require.NoError(t, p.Validate())

	e, err := engine.New(engine.Options{Device: emulated(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	prog, err := e.Compile(p)
	require.NoError(t, err)
	s := e.NewSession()
	defer s.Close()
	for _, n := range []int{200, 4, 33, 1000, 1} {
		var index []byte
		var want []float32
		for i := range n {
			k := (i*37 + n) % rows
			index = binary.LittleEndian.AppendUint32(index, uint32(k))
			want = append(want, numbers[k*width:k*width+width]...)
		}
		c, err := s.NewCall(prog, []int{n})
		require.NoError(t, err)
		require.NoError(t, c.SetInput(0, index))
		err = c.Run(context.Background())
		out, _ := c.Output(0)
		got := append([]float32(nil), (&op.Array{Data: out.Data}).F32()...)
		c.Release()
		require.NoError(t, err, "of %d", n)
		require.Equal(t, want, got, "of %d", n)
	}
}
