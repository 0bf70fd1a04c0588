package engine_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// typed builds a program whose matrices are stored as t: a table that an
// embedding and a transposed product read, and a matrix of a plain product. All
// have values that bf16 and f16 can represent.
func typed(t *testing.T, storage plan.DType) *network {
	n := &network{g: lazy.NewGraph("typed"), rng: rand.New(rand.NewPCG(7, 8))}
	weight := func(name string, rows, cols int) *lazy.Tensor {
		var data []byte
		for range rows * cols {
			bits := math.Float32bits(float32(n.rng.IntN(255)-127) / 64)
			switch storage {
			case plan.F32:
				data = binary.LittleEndian.AppendUint32(data, bits)
			case plan.BF16:
				data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
			default:
				half := uint16(0)
				if bits<<1 != 0 {
					half = uint16(bits>>16&0x8000) | uint16((bits>>23&0xff)-112)<<10 | uint16(bits>>13&0x3ff)
				}
				data = binary.LittleEndian.AppendUint16(data, half)
			}
		}
		shape := []int{rows, cols}
		return n.g.AddWeight(transport.Weight{Name: name, Storage: storage, Shape: shape, Data: data, Hash: transport.HashWeight(storage, shape, data)})
	}
	table := weight("table", 101, 67)
	h := lazy.Embedding(table, n.g.Input("tokens", lazy.I32, "batch", "seq"))
	h = lazy.Tanh(lazy.MatMul(h, weight("matrix", 67, 67)))
	n.g.Output("h", h)
	n.g.Output("logits", lazy.MatMul(h, table, lazy.TransB))
	require.NoError(t, n.g.Err())
	return n
}

// TestWeightTypes verifies that weights of 16 bits give the same bits as their
// values in 32, and that 8 bits are off by no more than their rounding allows.
func TestWeightTypes(t *testing.T) {
	run := func(storage plan.DType, opts engine.Options) ([][]float32, int64) {
		n := typed(t, storage)
		srg, err := semantic.Analyze(n.g)
		require.NoError(t, err)
		sch, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{}, Outputs: n.g.Outputs()})
		require.NoError(t, err)
		var bytes int64
		out := n.run(t, sch.Plan, 2, func() (*engine.Engine, error) { return engine.New(opts) })
		bytes = n.stats.WeightBytes
		return out, bytes
	}
	want, size := run(plan.F32, engine.Options{Device: cpu.Open})
	for _, storage := range []plan.DType{plan.F16, plan.BF16} {
		got, bytes := run(storage, engine.Options{Device: cpu.Open})
		require.Equal(t, want, got, "%v", storage)
		require.Equal(t, size/2, bytes, "%v", storage)
	}
	for _, storage := range []plan.DType{plan.F32, plan.F16, plan.BF16} {
		got, bytes := run(storage, engine.Options{Device: cpu.Open, Int8Weights: true})
		require.Equal(t, size/4, bytes, "%v", storage)
		require.NotEqual(t, want, got)
		// Magnitudes of tanh are at most 1; each of 67 weights is off by at
		// most (127/64)/254, and so is each input of the product before.
		const off = 127.0 / 64 / 254
		require.InDeltaSlice(t, want[1], got[1], 67*off+67*2*67*(2*off+off*off))
		worst := 0.0
		for i := range want[1] {
			worst = max(worst, math.Abs(float64(want[1][i]-got[1][i])))
		}
		require.Less(t, worst, 2.0, "far below the bound in practice")
	}
}

// TestInt8RefusesInfinities verifies that weights without a valid scale are an
// error.
func TestInt8RefusesInfinities(t *testing.T) {
	n := &network{g: lazy.NewGraph("inf"), rng: rand.New(rand.NewPCG(7, 8))}
	data := n.floats(80*80, 1, 0)
	data[1234] = float32(math.Inf(1))
	n.g.Output("y", lazy.MatMul(n.g.Input("x", lazy.F32, "n", 80), n.g.WeightF32("w", data, 80, 80)))
	srg, err := semantic.Analyze(n.g)
	require.NoError(t, err)
	sch, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{}, Outputs: n.g.Outputs()})
	require.NoError(t, err)
	e, err := engine.New(engine.Options{Device: cpu.Open, Int8Weights: true})
	require.NoError(t, err)
	defer e.Close()
	prog, err := e.Compile(sch.Plan)
	require.NoError(t, err)
	missing := e.Missing(prog)
	require.Len(t, missing, 1)
	w, err := n.g.Weight(missing[0].Hash)
	require.NoError(t, err)
	ww, err := e.PutWeight(prog, missing[0])
	require.NoError(t, err)
	_, err = ww.Write(w.Data)
	require.NoError(t, err)
	require.ErrorIs(t, ww.Commit(), transport.ErrDType)
	require.Len(t, e.Missing(prog), 1)
}
