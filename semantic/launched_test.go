package semantic

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Launched is what one run launched, and the error that ended it, if any.
type Launched struct {
	Sizes   plan.Bindings
	Kernels []string
	Err     error
}

// Launch runs a program's plan once for each of the given sizes, in order and
// in one session, on an engine that reports the kernels it launches. It stops
// after a run that fails.
func Launch(t testing.TB, s *SRG, weights func(h plan.Hash) transport.Weight, runs ...plan.Bindings) (out []Launched) {
	t.Helper()
	kernels := []string{}
	e, err := tracedEngine(func(kernel string) { kernels = append(kernels, kernel) })
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	session := e.NewSession()
	defer session.Close()
	for _, b := range runs {
		kernels = []string{}
		err := func() error {
			profile, err := s.ProfileOf(b)
			if err != nil {
				return err
			}
			schedule, err := Full().Schedule(s, Request{Profile: profile})
			if err != nil {
				return err
			}
			return runPlan(t, e, session, schedule.Plan, weights, b)
		}()
		if out = append(out, Launched{b, kernels, err}); err != nil {
			break
		}
	}
	return out
}

// Compare describes how the kernels of a run differ from those predicted for d,
// kernel by kernel and in order. For a run that failed it compares the kernels
// before the failure.
func (l Launched) Compare(s *SRG, d Device) error {
	kernels, err := s.KernelsOn(d, l.Sizes)
	if err != nil && l.Err == nil {
		return fmt.Errorf("what ran is not predicted: %w", err)
	}
	want := []string{} // empty for sizes that no run can have
	for _, k := range kernels {
		want = append(want, k.Name)
	}
	if l.Err != nil {
		want = want[:min(len(want), len(l.Kernels))]
	}
	if !slices.Equal(want, l.Kernels) {
		return fmt.Errorf("%s at %v launched\n%q, predicted are\n%q", s.Graph.Name(), l.Sizes, l.Kernels, want) //nolint:err113 // of a test
	}
	return nil
}

// CheckLaunches compares the runs of a program, see [RunsOf], with their
// prediction and returns the error of the last one.
func CheckLaunches(t testing.TB, s *SRG, weights func(h plan.Hash) transport.Weight) (err error) {
	t.Helper()
	for _, l := range Launch(t, s, weights, RunsOf(s)...) {
		require.NoError(t, l.Compare(s, ReferenceDevice()))
		err = l.Err
	}
	return err
}

// tracedEngine is a single-threaded engine that reports each kernel.
func tracedEngine(trace func(kernel string)) (*engine.Engine, error) {
	return engine.New(engine.Options{Threads: 1, Profile: true, Trace: trace, Device: cpu.Open})
}

func runPlan(t testing.TB, e *engine.Engine, session *engine.Session, p *plan.Plan, weights func(h plan.Hash) transport.Weight, b plan.Bindings) error {
	prog, err := e.Compile(p)
	if err != nil {
		return err
	}
	for _, v := range e.Missing(prog) {
		up, err := e.PutWeight(prog, v)
		require.NoError(t, err)
		_, err = up.Write(weights(v.Hash).Data)
		require.NoError(t, err)
		require.NoError(t, up.Commit())
		up.Abort()
	}
	var bindings []int
	for _, s := range prog.Symbols() {
		bindings = append(bindings, b[s])
	}
	c, err := session.NewCall(prog, bindings)
	if err != nil {
		return err
	}
	defer c.Release()
	for i := range p.Inputs {
		if err := c.SetInput(i, make([]byte, c.InputSize(i))); err != nil {
			return err
		}
	}
	return c.Run(t.Context())
}

// RunsOf are the sizes for a run over empty caches and the run after it.
func RunsOf(s *SRG) []plan.Bindings {
	first := plan.Bindings{}
	for _, n := range s.Nodes {
		for _, d := range n.Tensor.Shape() {
			for _, sym := range d.Symbols(nil) {
				first[sym] = 3
			}
		}
	}
	second := plan.Bindings{}
	for _, c := range s.Caches {
		if old, ok := c.Old.Symbol(); ok {
			first[old] = 0
		}
	}
	maps.Copy(second, first)
	if len(s.Caches) == 0 {
		return []plan.Bindings{first, second}
	}
	for _, c := range s.Caches {
		n, err := c.New.Eval(first)
		old, ok := c.Old.Symbol()
		rows, grows := c.New.Symbol()
		if err != nil || !ok {
			return []plan.Bindings{first}
		}
		if second[old] = n; grows {
			second[rows] = 1
		}
	}
	return []plan.Bindings{first, second}
}

// TestLaunchedOfLabelledGraphs compares the kernels predicted for each labelled
// graph, and for mutations of it, with those that a run launches.
func TestLaunchedOfLabelledGraphs(t *testing.T) {
	seed := seedOf(t)
	for name, f := range loadGraphs(t) {
		t.Run(name, func(t *testing.T) {
			for i := range 6 {
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				p, err := f.build(f.sizesFor(rng))
				require.NoError(t, err)
				shuffle := rng
				if i == 0 {
					shuffle = nil
				} else {
					require.NoError(t, p.infer())
					(&mutator{p, rng}).mutate()
				}
				c, err := p.capture(shuffle)
				require.NoError(t, err)
				s, err := Analyze(c.graph)
				require.NoError(t, err)
				weight := func(h plan.Hash) transport.Weight {
					w, err := c.graph.Weight(h)
					require.NoError(t, err)
					return w
				}
				err = CheckLaunches(t, s, weight)
				if errors.Is(err, transport.ErrState) {
					continue // carried from a first run of other sizes: such a loop cannot run
				}
				require.NoError(t, err, "mutation %d of GENIE_SEED=%d", i, seed)
			}
		})
	}
}

// TestLaunchedOfRandomPrograms does the same for random programs.
func TestLaunchedOfRandomPrograms(t *testing.T) {
	seed := seedOf(t)
	whole, fused := 0, 0
	for i := range 1000 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		data := make([]byte, 30+rng.IntN(200))
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		g, weights := madeUp(fmt.Sprintf("%d of GENIE_SEED=%d", i, seed), rng, data)
		s, err := Analyze(g)
		if err != nil {
			continue // not a valid program: its source is corrupted now and then
		}
		if err := CheckLaunches(t, s, func(h plan.Hash) transport.Weight { return weights[h] }); err != nil {
			continue // an index out of range, or a size that an operator cannot have
		}
		whole++
		kernels, err := s.Kernels(RunsOf(s)[0])
		require.NoError(t, err)
		if slices.ContainsFunc(kernels, func(k Kernel) bool { return len(k.Nodes) > 1 }) {
			fused++
		}
	}
	require.Greater(t, whole, 600, "most programs run")
	require.Greater(t, fused, 100, "many have something to fuse")
}

// madeUp is a program of random operators driven by data. It draws products,
// and operators that may follow them, more often than the rest.
func madeUp(name string, rng *rand.Rand, data []byte) (*lazy.Graph, transport.Weights) {
	g := lazy.NewGraph(name)
	p, weights, _ := planmaker.Make(data)
	at := map[int]*lazy.Tensor{}
	floats := []*lazy.Tensor{}
	add := func(t *lazy.Tensor) *lazy.Tensor {
		if t.Err() == nil && t.DType() == lazy.F32 {
			floats = append(floats, t)
		}
		return t
	}
	for i, v := range p.Values {
		dims := make([]any, len(v.Spec.Shape))
		for d := range dims {
			dims[d] = v.Spec.Shape[d]
		}
		switch v.Kind {
		case plan.KindWeight:
			w := weights[v.Hash]
			w.Name = fmt.Sprint("w", i)
			at[i] = add(g.AddWeight(w))
		case plan.KindTemp:
		default:
			at[i] = add(g.Input(fmt.Sprint("v", i), v.Spec.DType, dims...))
		}
	}
	for _, st := range p.Steps {
		o, err := op.New(st.Op, st.Attrs)
		if err != nil || st.Op == "append" || st.Op == "write_rows" {
			continue
		}
		at[st.Out] = add(apply(g, o, st.In, at))
	}
	sizes := func() int { return 1 + rng.IntN(5) }
	x := add(g.Input("first", lazy.F32, "a", 4))
	for i := range 1 + rng.IntN(12) {
		width, _ := x.Dim(-1).Const()
		switch rng.IntN(8) {
		case 0, 1:
			n := sizes()
			x = lazy.MatMul(x, g.Input(fmt.Sprint("m", i), lazy.F32, width, n))
		case 2:
			x = lazy.Bias(x, g.Input(fmt.Sprint("m", i), lazy.F32, width))
		case 3:
			x = lazy.Add(x, g.Input(fmt.Sprint("m", i), lazy.F32, []any{width}...))
		case 4:
			x = lazy.Mul(g.Input(fmt.Sprint("m", i), lazy.F32, "a", width), x)
		case 5:
			x = lazy.Sub(x, g.Input(fmt.Sprint("m", i), lazy.F32, "a", width))
		default:
			all := append(op.Activations(), op.GELU{}, op.GELU{Tanh: true})
			x = lazy.Apply(all[rng.IntN(len(all))], x)
		}
		if rng.IntN(6) == 0 {
			g.Output(fmt.Sprint("part", i), x)
		}
	}
	g.Output("last", x)
	for i, t := range floats {
		if rng.IntN(3) == 0 && t.Kind() == lazy.KindOp {
			g.Output(fmt.Sprint("y", i), t)
		}
	}
	return g, weights
}

// apply adds an operator to the existing values, or to none where one is
// missing.
func apply(g *lazy.Graph, o op.Op, in []int, at map[int]*lazy.Tensor) *lazy.Tensor {
	var args []*lazy.Tensor
	var specs []plan.Spec
	for _, v := range in {
		if at[v] == nil || at[v].Err() != nil {
			return nil
		}
		args, specs = append(args, at[v]), append(specs, at[v].Spec())
	}
	if _, err := o.Infer(specs); err != nil {
		return nil
	}
	return g.Apply(o, args...)
}

// TestCompareNotices plants a device that fuses differently, one operator after
// another, and a run that launches one extra kernel or another order.
func TestCompareNotices(t *testing.T) {
	g := lazy.NewGraph("noticed")
	x := g.Input("x", lazy.F32, "a", 4)
	all := slices.DeleteFunc(append(op.Activations(), op.GELU{}), func(o op.Op) bool { return slices.Contains(ReferenceDevice().Lacks, o.Name()) })
	for i, o := range all {
		x = lazy.Apply(o, lazy.MatMul(x, g.Input(fmt.Sprint("m", i), lazy.F32, 4, 4)))
	}
	g.Output("y", x)
	s, err := Analyze(g)
	require.NoError(t, err)
	l := Launch(t, s, nil, plan.Bindings{"a": 3})[0]
	require.NoError(t, l.Err)
	require.NoError(t, l.Compare(s, ReferenceDevice()))
	require.Len(t, l.Kernels, len(all))
	for _, o := range all {
		d := ReferenceDevice()
		d.Lacks = append(d.Lacks, o.Name())
		require.Error(t, l.Compare(s, d), o.Name())
	}
	more, moved := l, l
	more.Kernels = append(slices.Clone(l.Kernels), l.Kernels[0])
	require.Error(t, more.Compare(s, ReferenceDevice()))
	moved.Kernels = slices.Clone(l.Kernels)
	slices.Reverse(moved.Kernels)
	require.Error(t, moved.Compare(s, ReferenceDevice()))
}

// TestReferenceDeviceLacks checks that the cost model's assumed device lacks
// exactly the kernels that the CPU lacks.
func TestReferenceDeviceLacks(t *testing.T) {
	d, err := cpu.Open(device.Options{Threads: 1})
	require.NoError(t, err)
	defer d.Close()
	var lacks []string
	for _, name := range op.Names() {
		for _, attrs := range []plan.Attrs{nil, {plan.BoolAttr("tanh", true)}, {plan.Int("to", int(plan.F32))}, {plan.BoolAttr("fmod", true)}, {plan.Float("max", 1), plan.Float("min", 0)}} {
			o, err := op.New(name, attrs)
			if err == nil && o.Traits().Pointwise && !d.Capabilities().Pointwise(o) {
				lacks = append(lacks, name)
			}
		}
	}
	require.ElementsMatch(t, ReferenceDevice().Lacks, lacks)
}
