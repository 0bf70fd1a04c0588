package engine_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// FuzzBindings runs a random plan with random bindings, payloads and handles:
// any numbers, in any quantity, content of any bits and length, values of other
// calls and of none. Each call ends with a cause that a peer may be told;
// afterwards the session can be used and closed, and everything that it took is
// released.
func FuzzBindings(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for i := range 150 {
		var bindings []byte
		for range 6 {
			n := uint64(r.IntN(5))
			if i%3 == 0 {
				n = planmaker.Sizes[r.IntN(len(planmaker.Sizes))]
			}
			bindings = binary.LittleEndian.AppendUint64(bindings, n)
		}
		f.Add(random(30+r.IntN(150)), bindings, random(64+i%2))
	}
	f.Fuzz(func(t *testing.T, data, bindings, payload []byte) {
		maker := planmaker.Make
		if len(payload)%2 == 1 {
			maker = planmaker.MakeFitting
		}
		made, weights, _ := maker(data)
		encoded, err := made.Encode()
		if err != nil {
			return
		}
		p, err := plan.Decode(encoded)
		require.NoError(t, err)
		e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2, MaxScratch: 4 << 20, MemLimit: 16 << 20})
		require.NoError(t, err)
		b, ok := prepareFuzzed(t, e, p, weights)
		if ok {
			d := planmaker.Draws(payload)
			var kept []transport.Handle
			for range 4 {
				kept = append(kept, b.wild(t, p, &bindings, &d, kept)...)
			}
			b.s.Reset()
			require.Zero(t, b.close(t))
			require.Zero(t, e.Stats().RetainedBytes)
		}
		e.Memory().Reclaim()
		require.Zero(t, e.Memory().Used())
		require.NoError(t, e.Close())
	})
}

// wild is one random call, with the values that it retains.
func (f *fuzzed) wild(t *testing.T, p *plan.Plan, bindings *[]byte, d *planmaker.Draws, kept []transport.Handle) []transport.Handle {
	n := len(p.Symbols())
	if d.Below(32) == 31 {
		n++
	}
	sizes := make([]int, n)
	for i := range sizes {
		if len(*bindings) >= 8 {
			sizes[i] = int(binary.LittleEndian.Uint64(*bindings))
			*bindings = (*bindings)[8:]
		}
	}
	c, err := f.s.NewCall(f.prog, sizes)
	if err != nil {
		require.NotErrorIs(t, err, transport.ErrInternal)
		return nil
	}
	defer c.Release()
	for i, in := range p.Inputs {
		var err error
		switch n, dt := c.InputSize(i), p.Values[in.Value].Spec.DType; {
		case n > 1<<20 || d.Below(32) == 31:
			err = c.SetInput(i, make([]byte, d.Below(9)))
		case len(kept) > 0 && d.Below(8) == 7:
			err = c.SetHandle(i, kept[d.Below(len(kept))])
		case d.Below(8) == 7:
			err = c.SetHandle(i, transport.Handle{Session: f.s.ID(), ID: uint64(d.Byte()), Epoch: f.e.Epoch(), Generation: uint64(d.Byte())})
		case d.Below(2) == 1:
			err = c.SetInput(i, planmaker.Elements(dt, n/dt.Size(), d.Byte()))
		default: // any bits
			bits := make([]byte, n)
			for k := range bits {
				bits[k] = byte(d.Byte())
			}
			err = c.SetInput(i, bits)
		}
		if err != nil {
			require.NotErrorIs(t, err, transport.ErrInternal)
		}
	}
	if err := c.Run(context.Background()); err != nil {
		require.NotErrorIs(t, err, transport.ErrInternal)
		return nil
	}
	var out []transport.Handle
	for i := range p.Outputs {
		if x, h := c.Output(i); !h.IsZero() {
			out = append(out, h)
		} else {
			require.Len(t, x.Data, x.Elements()*x.DType.Size())
		}
	}
	return out
}

// TestFittingPlans runs plans of groups that an engine fuses, fused and step by
// step: convolutions with their stages, attention, products, draws.
func TestFittingPlans(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	ran := 0
	for range 300 {
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		made, weights, rest := planmaker.MakeFitting(data)
		encoded, err := made.Encode()
		if err != nil {
			continue
		}
		p, err := plan.Decode(encoded)
		require.NoError(t, err)
		compareRuns(t, p, weights, rest)
		ran++
	}
	require.Greater(t, ran, 150)
}

// TestWeightOfAnotherShape has a plan claim a larger size, or another type, for
// a weight that the engine holds by hash: it counts as missing, and nothing
// reads beyond it.
func TestWeightOfAnotherShape(t *testing.T) {
	e, err := engine.New(fuzzOptions())
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	data := make([]byte, 16)
	h := transport.HashWeight(plan.F32, []int{4}, data)
	weights := transport.Weights{h: {Hash: h, Storage: plan.F32, Shape: []int{4}, Data: data}}
	of := func(storage plan.DType, shape ...int) *plan.Plan {
		v := plan.Value{Kind: plan.KindWeight, Name: "w", Hash: h, Storage: storage, Buffer: plan.NoBuffer, Spec: plan.Spec{DType: plan.F32}}
		for _, n := range shape {
			v.Spec.Shape = append(v.Spec.Shape, plan.C(n))
		}
		p := planmaker.New(nil).Plan()
		p.Values = append(p.Values, v)
		p.Outputs = append(p.Outputs, plan.Output{Name: "o", Place: plan.Download, Cause: plan.CauseWeights})
		return p
	}
	right, ok := prepareFuzzed(t, e, of(plan.F32, 4), weights)
	require.True(t, ok)
	out, err := right.run(t, fuzzCall{p: of(plan.F32, 4), sizes: plan.Bindings{}})
	require.NoError(t, err)
	require.Equal(t, data, out[0].Data)
	for _, wrong := range []*plan.Plan{of(plan.F32, 5), of(plan.F32, 4, 1<<20), of(plan.F32), of(plan.BF16, 4)} {
		p, err := e.Compile(wrong)
		require.NoError(t, err)
		require.Len(t, e.Missing(p), 1)
		s := e.NewSession()
		_, err = s.NewCall(p, nil)
		require.ErrorIs(t, err, transport.ErrMissingWeight)
		s.Close()
		w, err := e.PutWeight(p, e.Missing(p)[0])
		require.NoError(t, err)
		_, err = w.Write(data[:min(len(data), int(w.Want()))])
		require.NoError(t, err)
		require.ErrorIs(t, w.Commit(), transport.ErrCorrupt)
	}
	require.Zero(t, right.close(t))
}
