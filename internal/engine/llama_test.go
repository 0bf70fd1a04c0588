package engine_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// llamaSize is the size of a decoder with rotated positions and heads that share
// keys.
type llamaSize struct{ layers, width, heads, kv, dim, ffn, vocab int }

// llama is such a decoder, as a plan of fused operators.
type llama struct {
	llamaSize
	*planmaker.Maker
	rng     *rand.Rand
	weights transport.Weights
	window  int
	masked  bool
}

func (l *llama) step(name string, attrs plan.Attrs, in ...int) int {
	p := l.Plan()
	o, err := op.New(name, attrs)
	if err != nil {
		panic(err)
	}
	var specs []plan.Spec
	for _, v := range in {
		specs = append(specs, p.Values[v].Spec)
	}
	spec, err := o.Infer(specs)
	if err != nil {
		panic(err)
	}
	out := l.leaf(plan.Value{Kind: plan.KindTemp, Spec: spec})
	p.Steps = append(p.Steps, plan.Step{Op: name, Attrs: o.Attrs(), In: in, Out: out})
	return out
}

func (l *llama) leaf(v plan.Value) int {
	p := l.Plan()
	v.Buffer, v.Name = plan.NoBuffer, fmt.Sprintf("v%d", len(p.Values))
	p.Values = append(p.Values, v)
	return len(p.Values) - 1
}

func (l *llama) weight(dims ...int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	scale := 1 / math.Sqrt(float64(dims[0]))
	data := make([]byte, 0, 4*n)
	for range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32((l.rng.Float64()-0.5)*3*scale)))
	}
	h := transport.HashWeight(plan.F32, dims, data)
	l.weights[h] = transport.Weight{Hash: h, Storage: plan.F32, Shape: dims, Data: data}
	return l.leaf(plan.Value{Kind: plan.KindWeight, Spec: plan.Spec{DType: plan.F32, Shape: op.Static(dims)}, Hash: h, Storage: plan.F32})
}

func (l *llama) norm(x int) int {
	return l.step("rms_norm", op.RMSNorm{Eps: 1e-6}.Attrs(), x, l.weight(l.width))
}

func (l *llama) product(x, k, n int) int {
	return l.step("matmul", op.MatMul{}.Attrs(), x, l.weight(k, n))
}

// split makes heads of a product, [batch, heads, seq, dim].
func (l *llama) split(x, heads int) int {
	s := l.Plan().Values[x].Spec.Shape
	x = l.step("reshape", op.Reshape{Shape: plan.Shape{s[0], s[1], plan.C(heads), plan.C(l.dim)}}.Attrs(), x)
	return l.step("transpose", op.Transpose{Perm: []int{0, 2, 1, 3}}.Attrs(), x)
}

func (l *llama) cache(rows int) int {
	s := l.Plan().Values[rows].Spec.Shape
	in := l.leaf(plan.Value{Kind: plan.KindState, Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{s[0], s[1], plan.Sym("past"), s[3]}}})
	out := l.step("append", op.Append{Axis: 2}.Attrs(), in, rows)
	l.Plan().States = append(l.Plan().States, plan.State{Name: fmt.Sprint("s", len(l.Plan().States)), Mode: plan.StateAppend, In: in, Out: out, Axis: 2})
	return out
}

// build is the plan: it outputs the last hidden states or, with a vocabulary, the
// logits.
func (l *llama) build() *plan.Plan {
	l.Maker, l.rng, l.weights = planmaker.New(nil), rand.New(rand.NewPCG(1, 2)), transport.Weights{}
	b, s := plan.Sym("batch"), plan.Sym("seq")
	f32 := func(dims ...plan.Dim) int { return l.Input(plan.Spec{DType: plan.F32, Shape: dims}) }
	x := f32(b, s, plan.C(l.width))
	cos, sin := f32(s, plan.C(l.dim/2)), f32(s, plan.C(l.dim/2))
	a := op.Attention{Scale: float32(1 / math.Sqrt(float64(l.dim))), Causal: true, Window: l.window, Mask: op.MaskNone}
	var mask []int
	if l.masked {
		a.Mask = op.MaskAdd
		mask = []int{f32(b, plan.C(1), plan.C(1), plan.Sym("past").Add(s))}
	}
	turn := func(x int) int { return l.step("rope", op.RoPE{}.Attrs(), x, cos, sin) }
	for range l.layers {
		h := l.norm(x)
		q := turn(l.split(l.product(h, l.width, l.heads*l.dim), l.heads))
		k := l.cache(turn(l.split(l.product(h, l.width, l.kv*l.dim), l.kv)))
		v := l.cache(l.split(l.product(h, l.width, l.kv*l.dim), l.kv))
		y := l.step("attention", a.Attrs(), append([]int{q, k, v}, mask...)...)
		y = l.step("transpose", op.Transpose{Perm: []int{0, 2, 1, 3}}.Attrs(), y)
		y = l.step("reshape", op.Reshape{Shape: plan.Shape{b, s, plan.C(l.heads * l.dim)}}.Attrs(), y)
		x = l.step("add", nil, l.product(y, l.heads*l.dim, l.width), x)
		h = l.norm(x)
		gate := l.step("silu", nil, l.product(h, l.width, l.ffn))
		up := l.step("mul", nil, l.product(h, l.width, l.ffn), gate)
		x = l.step("add", nil, l.product(up, l.ffn, l.width), x)
	}
	x = l.norm(x)
	if l.vocab > 0 {
		x = l.product(x, l.width, l.vocab)
	}
	p := l.Plan()
	p.Outputs = append(p.Outputs, plan.Output{Name: "y", Value: x, Place: plan.Download, Cause: plan.CauseActivation})
	l.Assign()
	return p
}

// open compiles the plan and loads its weights.
func (l *llama) open(t testing.TB, e *engine.Engine) *engine.Program {
	t.Helper()
	encoded, err := l.build().Encode()
	require.NoError(t, err)
	p, err := plan.Decode(encoded)
	require.NoError(t, err)
	prog, err := e.Compile(p)
	require.NoError(t, err)
	for _, v := range e.Missing(prog) {
		w, err := e.PutWeight(prog, v)
		require.NoError(t, err)
		_, err = w.Write(l.weights[v.Hash].Data)
		require.NoError(t, err)
		require.NoError(t, w.Commit())
	}
	return prog
}

// speaker is a session that continues with numbers that follow from its seed and
// its positions.
type speaker struct {
	l           *llama
	prog        *engine.Program
	s           *engine.Session
	past, batch int
	seed        uint64
	said        []float32
	inputs      [][]byte
}

func (s *speaker) say(n int) error {
	sizes := map[string]int{"past": s.past, "batch": s.batch, "seq": n}
	var at [3]int
	for i, sym := range s.prog.Symbols() {
		at[i] = sizes[sym]
	}
	c, err := s.s.NewCall(s.prog, at[:len(s.prog.Symbols())])
	if err != nil {
		return err
	}
	defer c.Release()
	for i := range s.prog.Plan().Inputs {
		if err := c.SetInput(i, s.input(i, c.InputSize(i), n)); err != nil {
			return err
		}
	}
	if err := c.Run(context.Background()); err != nil {
		return err
	}
	out, _ := c.Output(0)
	s.said = append(s.said, (&op.Array{Data: out.Data}).F32()...)
	s.past += n
	return nil
}

// input is x, the cosines, the sines or the mask.
func (s *speaker) input(i, size, n int) []byte {
	for len(s.inputs) <= i {
		s.inputs = append(s.inputs, nil)
	}
	if cap(s.inputs[i]) < size {
		s.inputs[i] = make([]byte, size)
	}
	b := s.inputs[i][:size]
	for k := range size / 4 {
		var v float64
		switch i {
		case 0:
			row := k / s.l.width
			at := uint64(s.past+row%n)<<32 | uint64(row/n)<<24 | uint64(k%s.l.width)
			v = float64(int64(op.Uniform(s.seed, at)*2000)-1000) / 500
		case 1, 2:
			angle := float64(s.past+k/(s.l.dim/2)) / math.Pow(1e4, float64(k%(s.l.dim/2))/float64(s.l.dim/2))
			v = [...]func(float64) float64{math.Cos, math.Sin}[i-1](angle)
		default: // the first keys of each sequence are padding
			if k%(s.past+n) < k/(s.past+n)%3 {
				v = -math.MaxFloat32
			}
		}
		binary.LittleEndian.PutUint32(b[4*k:], math.Float32bits(float32(v)))
	}
	return b
}

var smallLlama = llamaSize{layers: 2, width: 48, heads: 6, kv: 2, dim: 8, ffn: 80, vocab: 29}

func llamas() map[string]*llama {
	return map[string]*llama{
		"plain": {llamaSize: smallLlama}, "window": {llamaSize: smallLlama, window: 100}, "masked": {llamaSize: smallLlama, masked: true},
		"one head of keys": {llamaSize: llamaSize{layers: 1, width: 33, heads: 9, kv: 1, dim: 6, ffn: 40, vocab: 7}},
	}
}

// TestGroupedAttention decodes with caches in pages and in one piece, in portions of
// any size, fused and step by step: the bits are the same, near those of the
// references.
func TestGroupedAttention(t *testing.T) {
	portions := []int{3, 1, 1, 5, 1, 250, 1, 1, 13, 1, 300, 1}
	for name, l := range llamas() {
		t.Run(name, func(t *testing.T) {
			run := func(e *engine.Engine, err error) *speaker {
				require.NoError(t, err)
				defer e.Close()
				prog := l.open(t, e)
				s := &speaker{l: l, prog: prog, s: e.NewSession(), batch: 2, seed: 5}
				defer s.s.Close()
				for _, n := range portions {
					require.NoError(t, s.say(n))
				}
				pages, _ := engine.StatePages(s.s, 0)
				if prog.Paged[0] {
					require.Greater(t, pages, 1)
				}
				return s
			}
			options := engine.Options{Device: cpu.Open, Threads: 3}
			fused, alone := run(engine.New(options)), run(engine.NewReference(options, false))
			require.True(t, fused.prog.Paged[0] && fused.prog.Paged[1])
			require.Contains(t, fused.prog.Labels, "attention+reshape")
			require.Equal(t, alone.said, fused.said)
			plain := run(engine.NewReference(options, true))
			require.InDeltaSlice(t, plain.said, fused.said, 1e-4)
			// A portion in pieces: each row has the same bits.
			e, err := engine.New(options)
			require.NoError(t, err)
			defer e.Close()
			one := &speaker{l: l, prog: l.open(t, e), s: e.NewSession(), batch: 1, seed: 5}
			two := &speaker{l: l, prog: one.prog, s: e.NewSession(), batch: 1, seed: 5}
			require.NoError(t, one.say(40))
			for range 40 {
				require.NoError(t, two.say(1))
			}
			require.Equal(t, one.said, two.said)
		})
	}
}

// TestGroupedAttentionBatches lets sessions with caches of different lengths run
// as dynamic batches: each has the bits that it has alone.
func TestGroupedAttentionBatches(t *testing.T) {
	for name, l := range llamas() {
		t.Run(name, func(t *testing.T) {
			open := func(most int) (*engine.Engine, []*speaker) {
				e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2, MaxBatch: most})
				require.NoError(t, err)
				prog := l.open(t, e)
				var all []*speaker
				for i := range 4 {
					all = append(all, &speaker{l: l, prog: prog, s: e.NewSession(), batch: 1 + i/3, seed: uint64(i)})
					require.NoError(t, all[i].say(1+100*i))
				}
				return e, all
			}
			e, together := open(32)
			solo, alone := open(1)
			for range 5 {
				waiting, release := engine.HoldBatches(together[0].prog)
				errs := make([]error, len(together))
				var wg sync.WaitGroup
				for i, s := range together {
					wg.Go(func() { errs[i] = s.say(1) })
				}
				for waiting() < len(together) {
					runtime.Gosched()
				}
				release()
				wg.Wait()
				require.Equal(t, make([]error, len(together)), errs)
				for _, s := range alone {
					require.NoError(t, s.say(1))
				}
			}
			require.Positive(t, e.Stats().BatchedRuns)
			require.Zero(t, solo.Stats().BatchedRuns)
			for i := range together {
				require.Equal(t, alone[i].said, together[i].said, "session %d", i)
				together[i].s.Close()
				alone[i].s.Close()
			}
			require.NoError(t, e.Close())
			require.NoError(t, solo.Close())
		})
	}
}

// TestGroupedAttentionAllocatesNothing verifies that a steady step takes no memory
// of the Go heap, but for what the test collects.
func TestGroupedAttentionAllocatesNothing(t *testing.T) {
	l := llamas()["plain"]
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer e.Close()
	s := &speaker{l: l, prog: l.open(t, e), s: e.NewSession(), batch: 1}
	defer s.s.Close()
	step := func() {
		s.said = s.said[:0]
		if err := s.say(1); err != nil {
			t.Fatal(err)
		}
	}
	for range 70 {
		step()
	}
	// The map of sizes is the test's own.
	if n := testing.AllocsPerRun(40, step); n > 2 {
		t.Errorf("a step allocates %v times", n)
	}
}

// BenchmarkGroupedDecode measures a step at 3,500 past rows against the time that
// the same threads take to read as many bytes as its weights and caches have, step
// by step in turn: the best of each counts.
func BenchmarkGroupedDecode(b *testing.B) {
	l := &llama{llamaSize: llamaSize{layers: 8, width: 1024, heads: 16, kv: 4, dim: 64, ffn: 2816}}
	const past = 3500
	e, err := engine.New(engine.Options{Device: cpu.Open, MaxScratch: 4 << 30})
	require.NoError(b, err)
	defer e.Close()
	prog := l.open(b, e)
	bytes := 4 * 2 * l.layers * l.kv * l.dim * past
	for _, w := range l.weights {
		bytes += len(w.Data)
	}
	memory := make([]float32, bytes/4)
	for i := range memory {
		memory[i] = 1
	}
	b.Run(benchname.Of("grouped-decode", fmt.Sprint("past=", past)), func(b *testing.B) {
		s := &speaker{l: l, prog: prog, s: e.NewSession(), batch: 1}
		defer s.s.Close()
		require.NoError(b, s.say(past))
		step, read := time.Hour, time.Hour
		for b.Loop() {
			s.said = s.said[:0]
			began := time.Now()
			require.NoError(b, s.say(1))
			step = min(step, time.Since(began))
			read = min(read, timeToRead(memory, runtime.GOMAXPROCS(0)))
		}
		b.ReportMetric(float64(step.Nanoseconds()), "best-ns/op")
		b.ReportMetric(float64(bytes)/step.Seconds()/1e9, "GB/s")
		b.ReportMetric(float64(bytes)/read.Seconds()/1e9, "probe-GB/s")
		b.ReportMetric(read.Seconds()/step.Seconds(), "bw-frac")
	})
}

// timeToRead is how long so many threads take to read memory.
func timeToRead(memory []float32, threads int) time.Duration {
	began := time.Now()
	const piece = 1 << 20
	var next atomic.Int64
	var wg sync.WaitGroup
	for range threads {
		wg.Go(func() {
			for i := int(next.Add(piece)) - piece; i < len(memory); i = int(next.Add(piece)) - piece {
				kernels.ProbeRead(memory[i:min(i+piece, len(memory))])
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
