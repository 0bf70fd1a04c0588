package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
)

// TestRecurrent: long sequences have the states of the reference, and the same bits
// with any number of threads.
func TestRecurrent(t *testing.T) {
	const seq, batch, in, hidden = 40, 3, 70, 128
	for _, c := range []op.Recurrent{
		{Kind: op.CellLSTM, Direction: "forward", Activations: "sigmoid,tanh,tanh"},
		{Kind: op.CellLSTM, Direction: "both", Activations: "sigmoid,tanh,tanh,sigmoid,tanh,tanh"},
		{Kind: op.CellGRU, Direction: "reverse", Activations: "sigmoid,tanh"},
		{Kind: op.CellGRU, Direction: "both", Activations: "sigmoid,tanh,sigmoid,tanh", Coupled: true},
	} {
		r := rand.New(rand.NewPCG(2, 9))
		gates, dirs := 4*hidden, 1
		if c.Kind == op.CellGRU {
			gates = 3 * hidden
		}
		if c.Direction == "both" {
			dirs = 2
		}
		x := []*op.Array{
			image(r, false, seq, batch, in), image(r, false, dirs, gates, in), image(r, false, dirs, gates, hidden),
			image(r, false, dirs, 2*gates), image(r, false, dirs, batch, hidden),
		}
		width := hidden
		if c.Kind == op.CellLSTM {
			x, width = append(x, image(r, false, dirs, batch, hidden)), 2*hidden
		}
		for _, w := range x[1:3] { // of a size at which errors do not grow
			for i := range w.F32() {
				w.F32()[i] /= 8
			}
		}
		name := fmt.Sprintf("%+v", c)
		want := image(r, false, seq+1, dirs, batch, width)
		require.NoError(t, c.Eval(want, x, nil), name)
		var first []float32
		for _, threads := range []int{1, 3} {
			got := image(r, false, want.Shape...)
			s := geometryStep(t, c, threads, got, x...)
			require.NoError(t, runRecurrent(s), name)
			require.InDeltaSlice(t, want.F32(), got.F32(), 1e-5, name)
			if first == nil {
				first = got.F32()
			}
			require.Equal(t, first, got.F32(), "%s: the bits with %d threads", name, threads)
		}
	}
}
