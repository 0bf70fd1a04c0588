package engine

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// chainPlan is steps cumulative sums one after the other, each a group, with the
// given number of bytes of a constant beside them.
func chainPlan(name string, steps, content int) *plan.Plan {
	one := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(1)}}
	p := &plan.Plan{Version: plan.Version, Name: name, Buffers: 2}
	p.Values = append(p.Values, plan.Value{Kind: plan.KindInput, Name: "x", Spec: one, Buffer: plan.NoBuffer})
	p.Inputs = []plan.Port{{Name: "x", Value: 0}}
	last := 0
	for i := range steps {
		p.Values = append(p.Values, plan.Value{Kind: plan.KindTemp, Spec: one, Buffer: i % 2})
		p.Steps = append(p.Steps, plan.Step{Op: "cumsum", Attrs: op.CumSum{}.Attrs(), In: []int{last}, Out: len(p.Values) - 1})
		last = len(p.Values) - 1
	}
	p.Outputs = []plan.Output{{Name: "y", Value: last, Place: plan.Download, Cause: plan.CauseActivation}}
	if content > 0 {
		p.Values = append(p.Values, plan.Value{
			Kind: plan.KindConst, Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(content / 4)}}, Buffer: plan.NoBuffer, Const: make([]byte, content),
		})
		p.Outputs = append(p.Outputs, plan.Output{Name: "c", Value: len(p.Values) - 1, Place: plan.Download, Cause: plan.CauseActivation})
	}
	return p
}

// wide is reductions and slices over symbols, with attributes and dimensions of
// several terms.
func wide(steps int) *plan.Plan {
	dims := plan.Shape{plan.Sym("batch").Scale(3).Add(plan.Sym("past")).Add(plan.Sym("seq")), plan.Sym("seq"), plan.C(8)}
	p := &plan.Plan{Version: plan.Version, Name: "wide", Buffers: steps}
	p.Values = append(p.Values, plan.Value{Kind: plan.KindInput, Name: "x", Spec: plan.Spec{DType: plan.F32, Shape: dims}, Buffer: plan.NoBuffer})
	p.Inputs = []plan.Port{{Name: "x", Value: 0}}
	for i := range steps {
		p.Values = append(p.Values, plan.Value{Kind: plan.KindTemp, Spec: plan.Spec{DType: plan.F32, Shape: dims[:2]}, Buffer: i})
		p.Steps = append(p.Steps, plan.Step{
			Op: "reduce", Attrs: plan.Attrs{plan.Ints("axes", []int{2}), plan.BoolAttr("keep", false), plan.Str("kind", "sum")},
			In: []int{0}, Out: len(p.Values) - 1,
		})
		p.Outputs = append(p.Outputs, plan.Output{Name: fmt.Sprint("y", i), Value: len(p.Values) - 1, Place: plan.Download, Cause: plan.CauseActivation})
	}
	return p
}

// manyWeights is a plan of many weights, added up.
func manyWeights(weights int) *plan.Plan {
	one := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(1)}}
	p := &plan.Plan{Version: plan.Version, Name: "many", Buffers: 2}
	p.Values = append(p.Values, plan.Value{Kind: plan.KindInput, Name: "x", Spec: one, Buffer: plan.NoBuffer})
	p.Inputs = []plan.Port{{Name: "x", Value: 0}}
	last := 0
	for i := range weights {
		p.Values = append(p.Values,
			plan.Value{Kind: plan.KindWeight, Name: fmt.Sprint("layer.weight.", i), Spec: one, Buffer: plan.NoBuffer, Hash: plan.Hash{byte(i), byte(i >> 8), 1}, Storage: plan.F32},
			plan.Value{Kind: plan.KindTemp, Spec: one, Buffer: i % 2})
		p.Steps = append(p.Steps, plan.Step{Op: "add", In: []int{last, len(p.Values) - 2}, Out: len(p.Values) - 1})
		last = len(p.Values) - 1
	}
	p.Outputs = []plan.Output{{Name: "y", Value: last, Place: plan.Download, Cause: plan.CauseActivation}}
	return p
}

// grown is the growth of the heap by the value that build returns.
func grown(t *testing.T, build func() any) int64 {
	t.Helper()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	held := build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(held)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestSizes compares the counted sizes of plans and bindings with the heap:
// never much less than the real ones, and not several times as much.
func TestSizes(t *testing.T) {
	e, err := New(Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	for name, p := range map[string]*plan.Plan{
		"steps": chainPlan("steps", 20000, 0), "content": chainPlan("content", 2, 5<<20+1234*4), "wide": wide(4000), "weights": manyWeights(10000),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, func() error { _, err := op.Resolve(p); return err }())
			encoded, err := p.Encode()
			require.NoError(t, err)
			var prog *Program
			took := grown(t, func() any {
				decoded, err := plan.Decode(encoded)
				require.NoError(t, err)
				prog, err = e.compile(e.current.Load(), decoded, op.NewWork(nil))
				require.NoError(t, err)
				return prog
			})
			prog.measure()
			var b *binding
			bound := grown(t, func() any { b = newBinding(prog); return b })
			t.Logf("program: %d counted, %d taken; binding: %d counted, %d taken; work %d", prog.size, took, prog.bound, bound, PlanWork(encoded))
			require.Greater(t, float64(prog.size), 0.97*float64(took))
			require.Less(t, prog.size, 2*took+64<<10)
			require.Greater(t, PlanWork(encoded), 2*took, "what is made on the way among it")
			require.Greater(t, float64(prog.bound), 0.97*float64(bound))
			require.Less(t, prog.bound, 2*bound+64<<10)
		})
	}
}
