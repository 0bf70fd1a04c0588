package cuda_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
)

// prompt is tokens of the small models, of which each has 128.
func prompt(n, seed int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = (seed*37 + i*i*5 + i*11) % 128
	}
	return out
}

// formats are models with weights of each storage format.
var formats = []string{"basic", "bf16", "fp16"}

// TestSameBits computes the logits of a prompt in one call, in several, token by
// token, with other sessions in dynamic batches, and through a worker: each row
// has the same bits.
func TestSameBits(t *testing.T) {
	for i, folder := range formats {
		if i > 0 && raceDetector {
			break // the emulator is ten times slower with it
		}
		t.Run(folder, func(t *testing.T) {
			e, err := engine.New(engine.Options{Device: emulated(t), MaxBatch: 1})
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			const tokens = 9
			all := prompt(tokens, 1)
			logits := func(e *engine.Engine, phase semantic.Phase, all []int, at ...int) []string {
				d := newDecoder(t, folder, phase, e, true)
				s := e.NewSession()
				defer s.Close()
				return d.logits(t, s, all, at...)
			}
			want := logits(e, semantic.PhaseDecode, all, tokens)
			require.Len(t, want, tokens)
			require.NotEqual(t, want[0], want[1])
			same := func(what string, got []string) {
				t.Helper()
				for i := range want {
					if want[i] != got[i] {
						t.Fatalf("%s: row %d differs", what, i)
					}
				}
			}
			same("steps", logits(e, semantic.PhaseDecode, all, 1, 1, 1, 1, 1, 1, 1, 1, 1))
			same("parts", logits(e, semantic.PhaseDecode, all, 2, 1, 5, 1))
			same("prefill", logits(e, semantic.PhasePrefill, all, tokens))
			t.Run("batched", func(t *testing.T) { sameBatched(t, folder, all, want) })
			t.Run("remote", func(t *testing.T) { same("remote", remoteLogits(t, folder, all)) })
		})
	}
}

// sameBatched decodes in concurrent sessions until some have met in a batch. The
// first kernel of a run waits until all have begun: they wait for the next batch.
func sameBatched(t *testing.T, folder string, all []int, want []string) {
	t.Helper()
	const sessions = 3
	var hold atomic.Bool
	var begun atomic.Int64
	e, err := engine.New(engine.Options{MaxBatch: 8, Device: func(o device.Options) (device.Device, error) {
		o.Fault = func(string) {
			for i := 0; hold.Load() && (begun.Load() < sessions || i < 1000); i++ {
				runtime.Gosched()
			}
			hold.Store(false)
		}
		return emulated(t)(o)
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	d := newDecoder(t, folder, semantic.PhaseDecode, e, true)
	for range 50 {
		begun.Store(0)
		hold.Store(true)
		var together sync.WaitGroup
		for i := range sessions {
			together.Go(func() {
				s := e.NewSession()
				defer s.Close()
				mine := all
				if i > 0 { // the others have other tokens
					mine = prompt(len(all), i+1)
				}
				begun.Add(1)
				for k, got := range d.logits(t, s, mine, 3, 1, 1, 1, 1, 1, 1) {
					if i == 0 && got != want[k] {
						t.Errorf("row %d differs in a batch", k)
					}
				}
			})
		}
		together.Wait()
		if e.Stats().Batches > 0 {
			return
		}
	}
	t.Error("no calls met")
}

// remoteLogits are those from a worker over TCP.
func remoteLogits(t *testing.T, folder string, tokens []int) []string {
	t.Helper()
	w := workertest.StartEngine(t, engine.Options{Device: emulated(t)}, nil)
	d := newDecoder(t, folder, semantic.PhaseDecode, w.Engine, true)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	ref, err := s.Prepare(t.Context(), d.sch.Plan, d.model.LM.Graph, nil)
	require.NoError(t, err)
	var out []string
	in := d.inputs(len(tokens))
	for past, n := 0, 4; past < len(tokens); past, n = past+n, 1 {
		sizes, k := d.feed(in, tokens[past:past+n], past)
		call := transport.Call{Plan: ref, Bindings: sizes[:k]}
		for i, p := range d.sch.Plan.Inputs {
			spec := d.sch.Plan.Values[p.Value].Spec
			elems, err := spec.Shape.Elements().Eval(plan.Bindings{"batch": 1, "past": past, "seq": n})
			require.NoError(t, err)
			call.Inputs = append(call.Inputs, transport.Input{Data: in[i][:elems*spec.DType.Size()]})
		}
		res, err := s.Run(t.Context(), call)
		require.NoError(t, err)
		out = append(out, rowsOf(res.Outputs[1].Tensor.Data, n)...)
	}
	return out
}
