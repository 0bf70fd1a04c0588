package cluster_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

const fuzzMembers = 3

// FuzzSplit divides random plans at random. Each part is a valid plan for one
// device, and the parts together give the bits of the whole: over several runs,
// with planted faults between them, whose effects on carried state are taken back.
func FuzzSplit(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 150 {
		b := make([]byte, 60+r.IntN(250))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b, r.IntN(2) == 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, fitting bool) {
		maker := planmaker.Make
		if fitting {
			maker = planmaker.MakeFitting
		}
		p, weights, d := maker(data)
		if p.Validate() != nil || len(p.Steps) == 0 {
			return
		}
		devices := make([]int, len(p.Steps))
		for i := range devices {
			devices[i] = d.Below(fuzzMembers)
		}
		checkSplit(t, p, devices)
		compareParts(t, p, weights, devices, d)
	})
}

// checkSplit verifies that every step, state and output is in one part, and that
// edges go to higher rounds.
func checkSplit(t *testing.T, p *plan.Plan, devices []int) {
	t.Helper()
	split, err := plan.SplitBy(p, devices, nil)
	require.NoError(t, err)
	steps, states, outputs := make([]int, len(p.Steps)), make([]int, len(p.States)), make([]int, len(p.Outputs))
	for i := range split.Parts {
		part := &split.Parts[i]
		require.NoError(t, part.Plan.Validate())
		require.NoError(t, part.Plan.OneDevice())
		require.Len(t, part.Inputs, len(part.Plan.Inputs))
		require.Len(t, part.Outputs, len(part.Plan.Outputs))
		require.Len(t, part.Symbols, len(part.Plan.Symbols()))
		for _, k := range part.Steps {
			steps[k]++
		}
		for _, k := range part.States {
			states[k]++
		}
		for _, o := range part.Outputs {
			if o.Port >= 0 {
				outputs[o.Port]++
			}
		}
	}
	for _, n := range slices.Concat(steps, states, outputs) {
		require.Equal(t, 1, n)
	}
	for _, e := range split.Edges {
		require.Less(t, split.Parts[e.From].Round, split.Parts[e.To].Round)
	}
}

// compareParts runs a plan whole and in parts.
func compareParts(t *testing.T, p *plan.Plan, weights transport.Weights, devices []int, d *planmaker.Draws) {
	t.Helper()
	alone := smallLocal(t)
	members := make([]cluster.Member, fuzzMembers)
	faults := make([]*faulty, fuzzMembers)
	for i := range members {
		faults[i] = &faulty{Executor: smallLocal(t)}
		members[i].Executor = faults[i]
	}
	parts, err := cluster.New(members, cluster.WithPlacement(func(q *plan.Plan) []int {
		if q != p {
			return nil
		}
		return devices
	}))
	require.NoError(t, err)
	defer func() {
		require.NoError(t, alone.Close())
		require.NoError(t, parts.Close())
	}()
	one, oneRef, err := prepared(t, alone, p, weights)
	two, twoRef, err2 := prepared(t, parts, p, weights)
	if err != nil {
		return // what one executor refuses need not be refused in parts: two steps may only together be too large
	}
	require.NoError(t, err2)
	past := map[string]int{}
	for range 4 {
		call, ok := fuzzedCall(p, d, past)
		if !ok {
			continue
		}
		if !plantFault(t, faults, p, two, twoRef, call, d.Byte()) {
			return
		}
		call.Plan = oneRef
		want, err := one.Run(t.Context(), call)
		call.Plan = twoRef
		got, err2 := two.Run(t.Context(), call)
		if errors.Is(err2, transport.ErrState) && writes(p) { // cut short when another part failed
			return
		}
		if err == nil {
			require.NoError(t, err2)
		} else if err2 == nil { // a limit of one run that two parts stay below
			require.ErrorIs(t, err, transport.ErrLimit)
			return
		} else {
			continue
		}
		compareOutputs(t, one, two, want, got)
		advance(p, call.Bindings, past)
	}
}

// writes reports whether a plan writes to state in place: a fault may lose that.
func writes(p *plan.Plan) bool {
	return slices.ContainsFunc(p.States, func(s plan.State) bool { return s.Mode == plan.StateWrite })
}

// plantFault makes a run fail at a random part. It is false when the state is lost,
// which only states that are written in place may be.
func plantFault(t *testing.T, faults []*faulty, p *plan.Plan, s transport.Session, ref transport.PlanRef, call transport.Call, draw int) bool {
	t.Helper()
	if draw%2 == 0 {
		return true
	}
	var left atomic.Int64
	left.Store(int64(draw / 2 % 5))
	for _, f := range faults {
		f.set(func() error {
			if left.Add(-1) < 0 {
				return errPlanted
			}
			return nil
		})
	}
	call.Plan = ref
	_, err := s.Run(t.Context(), call)
	for _, f := range faults {
		f.set(nil)
	}
	if err == nil { // fewer parts than that: a run that the whole has to make, too
		return false
	}
	var lost *cluster.StateError
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: make([]transport.Input, len(p.Inputs)+1)}) // it fails, but says first what is lost
	require.Error(t, err)
	if errors.As(err, &lost) {
		require.NotEmpty(t, lost.States)
		require.NotEmpty(t, lost.Members)
		require.ErrorIs(t, err, transport.ErrState)
		require.ErrorIs(t, err, transport.ErrSessionLost)
		require.True(t, writes(p), "the state %q can be taken back", lost.States)
		return false
	}
	return true
}

func compareOutputs(t *testing.T, one, two transport.Session, want, got transport.Result) {
	t.Helper()
	require.Len(t, got.Outputs, len(want.Outputs))
	for i := range want.Outputs {
		a, b := want.Outputs[i], got.Outputs[i]
		require.Equal(t, a.Handle.IsZero(), b.Handle.IsZero())
		if !a.Handle.IsZero() {
			var err error
			a.Tensor, err = one.Read(t.Context(), a.Handle)
			require.NoError(t, err)
			b.Tensor, err = two.Read(t.Context(), b.Handle)
			require.NoError(t, err)
		}
		require.Equal(t, a.Tensor.Shape, b.Tensor.Shape)
		require.Equal(t, a.Tensor.Data, b.Tensor.Data, "output %d", i)
	}
}

func smallLocal(t testing.TB) transport.Executor {
	t.Helper()
	ex, err := local.Open(local.WithThreads(1), local.WithMemLimit(256<<20))
	require.NoError(t, err)
	return ex
}

func prepared(t testing.TB, ex transport.Executor, p *plan.Plan, weights transport.Weights) (transport.Session, transport.PlanRef, error) {
	t.Helper()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(context.WithoutCancel(t.Context()), p, weights, nil)
	return s, ref, err
}

// fuzzedCall binds the plan's symbols to small numbers, and states to what they
// have; false for a call that is too large or has no sizes.
func fuzzedCall(p *plan.Plan, d *planmaker.Draws, past map[string]int) (transport.Call, bool) {
	sizes := plan.Bindings{}
	var call transport.Call
	for _, s := range p.Symbols() {
		n, grown := past[s]
		if b := d.Byte(); !grown && len(s) <= 2 {
			n = 1 + b%5
		}
		sizes[s] = n
		call.Bindings = append(call.Bindings, n)
	}
	for _, in := range p.Inputs {
		spec := p.Values[in.Value].Spec
		n, err := spec.Shape.Elements().Eval(sizes)
		if err != nil || n > 1<<16 {
			return call, false
		}
		call.Inputs = append(call.Inputs, transport.Input{Data: planmaker.Elements(spec.DType, n, d.Byte()), Cause: plan.CauseActivation})
	}
	return call, true
}

// advance notes the growth of the states.
func advance(p *plan.Plan, bindings []int, past map[string]int) {
	sizes := plan.Bindings{}
	for i, s := range p.Symbols() {
		sizes[s] = bindings[i]
	}
	for _, s := range p.States {
		if s.Mode != plan.StateAppend {
			continue
		}
		if sym, ok := p.Values[s.In].Spec.Shape[s.Axis].Symbol(); ok {
			if n, err := p.Values[s.Out].Spec.Shape[s.Axis].Eval(sizes); err == nil {
				past[sym] = n
			}
		}
	}
}
