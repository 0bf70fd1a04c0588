package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// fuzzOptions keep a fuzzer's runs small: larger ones are refused with
// [transport.ErrLimit].
func fuzzOptions() engine.Options {
	return engine.Options{Device: cpu.Open, Threads: 1, MaxScratch: 16 << 20}
}

// FuzzPlan runs random plans. What validates compiles or is
// [transport.ErrInvalidPlan]; what compiles runs or fails with a cause; and
// what runs gives the same bits fused and step by step.
func FuzzPlan(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := make([]byte, 30+r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, weights, rest := planmaker.Make(data)
		encoded, err := p.Encode()
		if err != nil {
			require.ErrorIs(t, err, transport.ErrInvalidPlan)
			return
		}
		decoded, err := plan.Decode(encoded)
		require.NoError(t, err, "what was encoded")
		compareRuns(t, decoded, weights, rest)
	})
}

// FuzzEncodedPlan takes bytes as a peer would send them.
func FuzzEncodedPlan(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for seeds := 0; seeds < 60; {
		b := make([]byte, 30+r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		p, _, _ := planmaker.Make(b)
		if encoded, err := p.Encode(); err == nil && len(encoded) < 3000 {
			f.Add(encoded, []byte{1, 2, 3})
			seeds++
		}
	}
	f.Fuzz(func(t *testing.T, encoded, sizes []byte) {
		p, err := plan.Decode(encoded)
		if err != nil {
			require.ErrorIs(t, err, transport.ErrInvalidPlan)
			return
		}
		for _, v := range p.Values { // weights of given content cannot be made up
			if v.Kind == plan.KindWeight {
				return
			}
		}
		d := planmaker.Draws(sizes)
		compareRuns(t, p, nil, &d)
	})
}

// compareRuns compiles and runs a plan twice, fused and step by step.
func compareRuns(t *testing.T, p *plan.Plan, weights transport.Weights, d *planmaker.Draws) {
	fused, err := engine.New(fuzzOptions())
	require.NoError(t, err)
	defer func() { require.NoError(t, fused.Close()) }()
	alone, err := engine.NewReference(fuzzOptions(), false)
	require.NoError(t, err)
	defer func() { require.NoError(t, alone.Close()) }()
	one, ok := prepareFuzzed(t, fused, p, weights)
	two, again := prepareFuzzed(t, alone, p, weights)
	require.Equal(t, ok, again, "compiled by one of two")
	if !ok {
		return
	}
	past := map[string]int{}
	for range 3 { // the later ones in used memory, with states that have grown
		call := makeCall(p, d, past)
		left, leftErr := one.run(t, call)
		right, rightErr := two.run(t, call)
		require.Equal(t, leftErr == nil, rightErr == nil, "fused: %v, step by step: %v", leftErr, rightErr)
		if leftErr != nil {
			require.Equal(t, transport.Code(leftErr), transport.Code(rightErr), "fused: %v, step by step: %v", leftErr, rightErr)
			continue
		}
		for i := range left {
			require.Equal(t, left[i].Shape, right[i].Shape)
			if !folds(p) {
				require.Equal(t, bitsOf(left[i]), bitsOf(right[i]), "output %d: %v of %v", i, p.Outputs[i], p.Values[p.Outputs[i].Value])
			}
		}
		call.advance(past)
	}
	require.Zero(t, one.close(t))
	require.Zero(t, two.close(t))
}

// folds reports whether a convolution may fold a normalisation into its
// filters, which rounds differently.
func folds(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Op == "batch_norm" })
}

var errTooLarge = fmt.Errorf("%w: an input too large for a fuzzer", transport.ErrLimit)

// fuzzed is a plan in a session of an engine.
type fuzzed struct {
	e    *engine.Engine
	s    *engine.Session
	prog *engine.Program
}

func prepareFuzzed(t *testing.T, e *engine.Engine, p *plan.Plan, weights transport.Weights) (*fuzzed, bool) {
	prog, err := e.Compile(p)
	if err != nil {
		require.ErrorIs(t, err, transport.ErrInvalidPlan)
		return nil, false
	}
	for _, v := range e.Missing(prog) {
		w, ok := weights[v.Hash]
		require.True(t, ok, "a weight that the plan does not have")
		out, err := e.PutWeight(prog, v)
		require.NoError(t, err)
		if _, err = out.Write(w.Data); err == nil {
			err = out.Commit()
		}
		out.Abort()
		if err != nil { // the plan was corrupted: it gives a content another shape
			require.ErrorIs(t, err, transport.ErrCorrupt)
			shape, evalErr := v.Spec.Shape.Eval(nil)
			require.NoError(t, evalErr)
			require.False(t, slices.Equal(shape, w.Shape) && v.Storage == w.Storage, "%v", err)
			return nil, false
		}
	}
	require.Empty(t, e.Missing(prog))
	return &fuzzed{e, e.NewSession(), prog}, true
}

// close returns what is left of the session's memory.
func (f *fuzzed) close(*testing.T) int64 {
	f.s.Close()
	return f.e.Stats().StateBytes + f.e.Stats().Sessions
}

// fuzzCall is one call.
type fuzzCall struct {
	p        *plan.Plan
	bindings []int
	sizes    plan.Bindings
	seed     int
}

// makeCall binds the plan's symbols: states to what they have, the others to
// small numbers and sometimes to a hostile one.
func makeCall(p *plan.Plan, d *planmaker.Draws, past map[string]int) fuzzCall {
	c := fuzzCall{p: p, sizes: plan.Bindings{}, seed: d.Byte()}
	for _, s := range p.Symbols() {
		n, grown := past[s]
		if b := d.Byte(); !grown && len(s) <= 2 {
			if n = 1 + b%5; b >= 250 {
				n = []int{0, -1, 1 << 20, 1 << 40, math.MaxInt, 1 << 33}[b-250]
			}
		}
		c.sizes[s] = n
		c.bindings = append(c.bindings, n)
	}
	return c
}

// advance records the growth of the states.
func (c fuzzCall) advance(past map[string]int) {
	for _, s := range c.p.States {
		if s.Mode != plan.StateAppend || s.Axis >= len(c.p.Values[s.In].Spec.Shape) {
			continue
		}
		if sym, ok := c.p.Values[s.In].Spec.Shape[s.Axis].Symbol(); ok {
			if n, err := c.p.Values[s.Out].Spec.Shape[s.Axis].Eval(c.sizes); err == nil {
				past[sym] = n
			}
		}
	}
}

// run is one call; an error must have a cause that a peer can be told.
func (f *fuzzed) run(t *testing.T, call fuzzCall) ([]transport.Tensor, error) {
	c, err := f.s.NewCall(f.prog, call.bindings)
	if err == nil {
		defer c.Release()
		for i, in := range call.p.Inputs {
			n := c.InputSize(i)
			if n > 1<<20 { // the caller's memory, which the engine does not bound
				return nil, errTooLarge
			}
			dt := call.p.Values[in.Value].Spec.DType
			if err = c.SetInput(i, planmaker.Elements(dt, n/dt.Size(), call.seed+i)); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = c.Run(context.Background())
	}
	if err != nil {
		require.NotEqual(t, transport.Code(transport.ErrInternal), transport.Code(err), "%v", err)
		return nil, err
	}
	var out []transport.Tensor
	for i, o := range call.p.Outputs {
		x, h := c.Output(i)
		if o.Place == plan.Retain {
			if x, err = f.s.Read(h); err != nil {
				return nil, errors.Join(errors.New("a value that was just retained"), err)
			}
			f.s.Release(h)
		}
		want, err := call.p.Values[o.Value].Spec.Shape.Eval(call.sizes)
		require.NoError(t, err)
		require.Equal(t, want, x.Shape)
		require.Len(t, x.Data, x.Elements()*x.DType.Size())
		x.Data = append([]byte(nil), x.Data...)
		out = append(out, x)
	}
	return out, nil
}

// bitsOf are the elements, with one representation for all NaNs.
func bitsOf(x transport.Tensor) []byte {
	if x.DType != plan.F32 {
		return x.Data
	}
	out := append([]byte(nil), x.Data...)
	for i := 0; i+4 <= len(out); i += 4 {
		if f := math.Float32frombits(binary.LittleEndian.Uint32(out[i:])); f != f {
			binary.LittleEndian.PutUint32(out[i:], 0x7fc00000)
		}
	}
	return out
}
