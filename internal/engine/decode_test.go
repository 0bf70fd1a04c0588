package engine_test

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// decoder runs GPT-2's decode plan directly on an engine.
type decoder struct {
	e       *engine.Engine
	model   *gpt2.Model
	prog    *engine.Program
	sch     *semantic.Schedule
	inputs  [][]byte
	session *engine.Session
}

func newDecoder(t testing.TB, opts engine.Options) *decoder {
	t.Helper()
	m, err := gpt2.Load(context.Background(), "../../testdata/gpt2/basic", gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	e, err := engine.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	d := &decoder{e: e, model: m}
	srg, err := semantic.Analyze(m.LM.Graph)
	require.NoError(t, err)
	d.sch, err = semantic.Full().Schedule(srg, semantic.Request{
		Profile: semantic.Profile{Phase: semantic.PhaseDecode}, Outputs: []lazy.Named{{Name: "next", Tensor: m.LM.Next}},
	})
	require.NoError(t, err)
	d.prog, err = e.Compile(d.sch.Plan)
	require.NoError(t, err)
	for _, v := range e.Missing(d.prog) {
		w, err := m.LM.Graph.Weight(v.Hash)
		require.NoError(t, err)
		ww, err := e.PutWeight(d.prog, v)
		require.NoError(t, err)
		_, err = ww.Write(w.Data)
		require.NoError(t, err)
		require.NoError(t, ww.Commit())
	}
	require.Empty(t, e.Missing(d.prog))
	for _, in := range d.sch.Plan.Inputs {
		n := 4
		if d.sch.Plan.Values[in.Value].Spec.DType == plan.I64 {
			n = 8
		}
		d.inputs = append(d.inputs, make([]byte, n))
	}
	d.session = e.NewSession()
	return d
}

// step decodes one token at position past and returns its kernels' time.
func (d *decoder) step(ctx context.Context, s *engine.Session, inputs [][]byte, token, past int) (next int, kernels, all time.Duration, err error) {
	t0 := time.Now()
	var sizes [3]int
	for i, sym := range d.prog.Symbols() {
		sizes[i] = 1
		if sym == "past" {
			sizes[i] = past
		}
	}
	c, err := s.NewCall(d.prog, sizes[:len(d.prog.Symbols())])
	if err != nil {
		return 0, 0, 0, err
	}
	defer c.Release()
	for i, src := range d.sch.Inputs {
		switch src.Tensor {
		case d.model.LM.Tokens:
			binary.LittleEndian.PutUint32(inputs[i], uint32(token))
		case d.model.LM.Positions:
			binary.LittleEndian.PutUint32(inputs[i], uint32(past))
		default:
			if src.Tensor.Name() == "sampling.top_p" {
				binary.LittleEndian.PutUint32(inputs[i], math.Float32bits(1))
			}
		}
		if err := c.SetInput(i, inputs[i]); err != nil {
			return 0, 0, 0, err
		}
	}
	if err := c.Run(ctx); err != nil {
		return 0, 0, 0, err
	}
	out, _ := c.Output(0)
	return int(binary.LittleEndian.Uint32(out.Data)), c.KernelTime(), time.Since(t0), nil
}

// TestDecodeAllocatesNothing verifies that a steady decode step allocates no
// memory on the Go heap.
func TestDecodeAllocatesNothing(t *testing.T) {
	d := newDecoder(t, engine.Options{Device: cpu.Open, Threads: 2})
	past, token := 0, 1
	step := func() {
		next, _, _, err := d.step(context.Background(), d.session, d.inputs, token, past)
		if err != nil {
			t.Fatal(err)
		}
		token, past = next, past+1
	}
	for range 70 { // past the growth of the caches
		step()
	}
	if n := testing.AllocsPerRun(40, step); n != 0 {
		t.Errorf("a decode step allocates %v times", n)
	}
}

// TestSessionsShareAPlan decodes in several concurrent sessions and compares
// with one alone.
func TestSessionsShareAPlan(t *testing.T) {
	d := newDecoder(t, engine.Options{Device: cpu.Open, Threads: 3})
	decode := func(first int) []int {
		s := d.e.NewSession()
		defer s.Close()
		inputs := make([][]byte, len(d.inputs))
		for i := range inputs {
			inputs[i] = make([]byte, len(d.inputs[i]))
		}
		out := []int{first}
		for past := range 40 {
			next, _, _, err := d.step(context.Background(), s, inputs, out[past], past)
			if err != nil {
				t.Error(err)
				return nil
			}
			out = append(out, next)
		}
		return out
	}
	want := make([][]int, 6)
	for i := range want {
		want[i] = decode(i)
	}
	var wg sync.WaitGroup
	for i := range want {
		wg.Go(func() {
			if got := decode(i); !equal(got, want[i]) {
				t.Errorf("session %d: %v, alone %v", i, got, want[i])
			}
		})
	}
	wg.Wait()
	require.Zero(t, d.e.Stats().Sessions-1)
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestCancelKeepsState stops a run and continues as if it had never been.
func TestCancelKeepsState(t *testing.T) {
	d := newDecoder(t, engine.Options{Device: cpu.Open, Threads: 2})
	ctx, cancel := context.WithCancel(context.Background())
	token := 5
	var err error
	for past := range 10 {
		token, _, _, err = d.step(ctx, d.session, d.inputs, token, past)
		require.NoError(t, err)
	}
	cancel()
	_, _, _, err = d.step(ctx, d.session, d.inputs, token, 10)
	require.ErrorIs(t, err, context.Canceled)
	got, _, _, err := d.step(context.Background(), d.session, d.inputs, token, 10)
	require.NoError(t, err)

	fresh := d.e.NewSession()
	defer fresh.Close()
	want := 5
	for past := range 11 {
		want, _, _, err = d.step(context.Background(), fresh, d.inputs, want, past)
		require.NoError(t, err)
	}
	require.Equal(t, want, got)
	_, _, _, err = d.step(context.Background(), d.session, d.inputs, token, 3)
	require.ErrorIs(t, err, transport.ErrState)
}

// TestTokenOutOfRange: the error names the index and leaves the session
// unchanged.
func TestTokenOutOfRange(t *testing.T) {
	d := newDecoder(t, engine.Options{Device: cpu.Open, Threads: 1})
	_, _, _, err := d.step(context.Background(), d.session, d.inputs, 1<<20, 0)
	require.ErrorIs(t, err, transport.ErrIndexRange)
	require.ErrorContains(t, err, "1048576")
	_, _, _, err = d.step(context.Background(), d.session, d.inputs, 1, 0)
	require.NoError(t, err)
}

// BenchmarkStepOverhead measures the cost of a decode step above the sum of its
// kernels.
func BenchmarkStepOverhead(b *testing.B) {
	d := newDecoder(b, engine.Options{Device: cpu.Open, Profile: true})
	b.Run(benchname.Of("decode-step", "engine"), func(b *testing.B) {
		d.session.Reset()
		var kernels, all time.Duration
		past, token := 0, 1
		for b.Loop() {
			if past == 120 {
				d.session.Reset()
				past = 0
			}
			next, k, a, err := d.step(context.Background(), d.session, d.inputs, token, past)
			if err != nil {
				b.Fatal(err)
			}
			token, past = next, past+1
			kernels, all = kernels+k, all+a
		}
		b.ReportMetric(float64((all-kernels).Nanoseconds())/float64(b.N), "overhead-ns/op")
		b.ReportMetric(float64(len(d.sch.Plan.Steps)), "steps/op")
	})
}
