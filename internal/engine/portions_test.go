package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// TestPortionsSameBits prefills in portions of many sizes, and verifies that
// tokens and caches have the bits of a whole prefill.
func TestPortionsSameBits(t *testing.T) {
	for _, folder := range []string{"basic", "odd", "untied", "bf16", "scaled"} {
		for _, device := range []string{"cpu", "opaque"} {
			t.Run(folder+"/"+device, func(t *testing.T) {
				opts := engine.Options{Device: cpu.Open, Threads: 2}
				if device == "opaque" {
					opts.Device = opaque.Open
				}
				whole, p := newPrompter(t, folder, opts), newPrompter(t, folder, opts)
				require.True(t, engine.Divides(p.prefill))
				content := func(s *engine.Session) []byte {
					if device == "opaque" {
						return nil // the steps after the prefill read it
					}
					return engine.StateContent(s)
				}
				for _, sequences := range []int{1, 3} {
					for _, length := range []int{2, 17, 50} {
						text := prompts(sequences, length)
						s := whole.e.NewSession()
						want, err := whole.tokens(s, text, 6)
						require.NoError(t, err)
						state := content(s)
						s.Close()
						for _, rows := range []int{1, 4, 7, 24, 49 * sequences} {
							engine.AlwaysPortions(p.prefill, rows)
							before := engine.Portions(p.e)
							s := p.e.NewSession()
							got, err := p.tokens(s, text, 6)
							require.NoError(t, err)
							require.Equal(t, want, got, "%d sequences of %d in portions of %d", sequences, length, rows)
							require.True(t, bytes.Equal(state, content(s)), "%d sequences of %d in portions of %d", sequences, length, rows)
							if each := max(rows/sequences, 1); sequences*length > 8 {
								require.Equal(t, (length+each-1)/each, engine.Portions(p.e)-before)
							}
							s.Close()
						}
					}
				}
			})
		}
	}
}

// tokens is generate without the state.
func (p *prompter) tokens(s *engine.Session, prompts [][]int, steps int) ([]byte, error) {
	next, err := p.run(context.Background(), s, p.prefill, prompts, 0)
	said := slices.Clone(next)
	for k := 0; k < steps && err == nil; k++ {
		tokens := make([][]int, len(prompts))
		for i := range tokens {
			tokens[i] = []int{int(binary.LittleEndian.Uint32(next[4*i:]))}
		}
		next, err = p.run(context.Background(), s, p.decode, tokens, len(prompts[0])+k)
		said = append(said, next...)
	}
	return said, err
}

// TestPortionsRide lets sessions decode while others prefill, and verifies that
// all get what they get alone, and that portions and steps have shared batches.
func TestPortionsRide(t *testing.T) {
	p := newPrompter(t, "basic", engine.Options{Device: cpu.Open, Threads: 2})
	solo := newPrompter(t, "basic", engine.Options{Device: cpu.Open, Threads: 1, MaxBatch: 1})
	type result struct{ said, state []byte }
	const decoders, prefills, steps, length = 3, 2, 60, 40
	var want, got [decoders + prefills]result
	text := func(i int) ([][]int, int) {
		if i < decoders {
			return prompts(1+i%2, 3+i), steps
		}
		return prompts(1, length+i), 2
	}
	for i := range want {
		s := solo.e.NewSession()
		list, n := text(i)
		said, state, err := solo.generate(t.Context(), s, list, n)
		require.NoError(t, err)
		want[i] = result{said, state}
		s.Close()
	}
	engine.AlwaysPortions(p.prefill, 5)
	var wg sync.WaitGroup
	for i := range got {
		s := p.e.NewSession()
		defer s.Close()
		list, n := text(i)
		wg.Go(func() {
			for range 4 {
				s.Reset()
				said, state, err := p.generate(t.Context(), s, list, n)
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = result{said, state}
			}
		})
	}
	wg.Wait()
	for i := range got {
		require.Equal(t, want[i].said, got[i].said, i)
		require.True(t, bytes.Equal(want[i].state, got[i].state), i)
	}
	require.Positive(t, engine.Portions(p.e))
	st := p.e.Stats()
	require.Greater(t, st.BatchedRuns, st.Batches)
}

// TestPortionsFail ends a prefill in the middle of its portions: by its context,
// by a refused turn, and by a kernel that panics. The carried state is as it was
// before, and the session is usable.
func TestPortionsFail(t *testing.T) {
	gone := errors.New("gone")
	joint, groups := 0, 0
	for _, how := range []string{"context", "turn", "kernel"} {
		for _, at := range []int{0, 1, 3} {
			t.Run(fmt.Sprintf("%s/portion=%d", how, at), func(t *testing.T) {
				p := newPrompter(t, "basic", engine.Options{Device: cpu.Open, Threads: 2})
				list, n := engine.Joint(p.prefill)
				joint, groups = list[1], n
				require.Less(t, joint, groups)
				engine.AlwaysPortions(p.prefill, 6)
				s := p.e.NewSession()
				defer s.Close()
				_, err := p.run(t.Context(), s, p.prefill, prompts(1, 20), 0)
				require.NoError(t, err)
				before := engine.StateContent(s)
				held := p.e.Stats()

				ctx, cancel := context.WithCancelCause(t.Context())
				c, err := p.call(s, p.prefill, prompts(1, 30), 20)
				require.NoError(t, err)
				turns := 0
				mend := func() {}
				err = c.RunInTurns(ctx, func(ctx context.Context, batched bool, run func(ctx context.Context) error) error {
					require.True(t, batched)
					if turns++; turns == at+1 {
						switch how {
						case "context":
							cancel(gone)
						case "turn":
							return gone
						case "kernel":
							mend = engine.BreakGroup(s, p.prefill, joint)
						}
					}
					return run(ctx)
				})
				mend()
				c.Release()
				require.Error(t, err)
				require.Equal(t, at+1, turns)
				if how != "kernel" {
					require.ErrorIs(t, err, gone)
				}
				require.True(t, bytes.Equal(before, engine.StateContent(s)), "the run has added nothing")
				require.Equal(t, held.RetainedBytes, p.e.Stats().RetainedBytes)

				said, err := p.run(t.Context(), s, p.prefill, prompts(1, 30), 20)
				require.NoError(t, err)
				fresh := p.e.NewSession()
				defer fresh.Close()
				engine.AlwaysPortions(p.prefill, 0)
				_, err = p.run(t.Context(), fresh, p.prefill, prompts(1, 20), 0)
				require.NoError(t, err)
				want, err := p.run(t.Context(), fresh, p.prefill, prompts(1, 30), 20)
				require.NoError(t, err)
				require.Equal(t, want, said)
				require.True(t, bytes.Equal(engine.StateContent(fresh), engine.StateContent(s)))
			})
		}
	}
}

// TestPortionsWaitAndLeave cancels a portion that waits for a batch: it leaves at
// once, and the batch's calls run without it.
func TestPortionsWaitAndLeave(t *testing.T) {
	p := newPrompter(t, "basic", engine.Options{Device: cpu.Open, Threads: 1})
	engine.AlwaysPortions(p.prefill, 4)
	_, release := engine.HoldBatches(p.decode)
	s, other := p.e.NewSession(), p.e.NewSession()
	defer s.Close()
	defer other.Close()
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() {
		_, err := p.run(ctx, s, p.prefill, prompts(1, 12), 0)
		errs <- err
	}()
	for engine.Riding(p.prefill) < 1 {
		runtime.Gosched()
	}
	cancel()
	require.ErrorIs(t, <-errs, context.Canceled)
	require.Zero(t, engine.Riding(p.prefill))
	release()
	_, err := p.run(t.Context(), other, p.decode, prompts(1, 1), 0)
	require.NoError(t, err)
}

// TestPortionsOnlyBesideOthers verifies that a run is whole where nobody decodes.
func TestPortionsOnlyBesideOthers(t *testing.T) {
	p := newPrompter(t, "basic", engine.Options{Device: cpu.Open, Threads: 1})
	s := p.e.NewSession()
	defer s.Close()
	_, err := p.run(t.Context(), s, p.prefill, prompts(1, 40), 0)
	require.NoError(t, err)
	require.Zero(t, engine.Portions(p.e))
}

// TestPaddingIsNotDivided verifies that a run with rows of padding is whole, since
// they attend to all keys of the run, and one after them is divided.
func TestPaddingIsNotDivided(t *testing.T) {
	p := newPrompter(t, "basic", engine.Options{Device: cpu.Open, Threads: 1})
	p.pads = true
	engine.AlwaysPortions(p.prefill, 6)
	s := p.e.NewSession()
	defer s.Close()
	_, err := p.run(t.Context(), s, p.prefill, prompts(2, 20), 0)
	require.NoError(t, err)
	require.Zero(t, engine.Portions(p.e))
	_, err = p.run(t.Context(), s, p.prefill, prompts(2, 18), 20)
	require.NoError(t, err)
	require.Equal(t, 6, engine.Portions(p.e))
}

// TestDivision lists what can be divided, and what cannot.
func TestDivision(t *testing.T) {
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1, Portions: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	size := llamaSize{layers: 2, width: 16, heads: 4, kv: 2, dim: 8, ffn: 24}
	last := func(l *llama, p *plan.Plan) { cut(l, p, 1, 0) }
	for name, c := range map[string]struct {
		llama   llama
		output  func(l *llama, p *plan.Plan)
		divides bool
	}{
		"the last row":     {llama{}, last, true},
		"a window":         {llama{window: 4}, last, true},
		"all rows":         {llama{}, func(*llama, *plan.Plan) {}, false},
		"a mask":           {llama{masked: true}, last, false},
		"turned caches":    {llama{turned: true}, last, false},
		"the row before":   {llama{}, func(l *llama, p *plan.Plan) { cut(l, p, 2, 1) }, false},
		"the last two":     {llama{}, func(l *llama, p *plan.Plan) { cut(l, p, 2, 0) }, false},
		"a mean over rows": {llama{}, mean, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := &c.llama
			l.llamaSize = size
			p := l.build()
			c.output(l, p)
			l.Assign()
			prog, err := e.Compile(p)
			require.NoError(t, err)
			require.Equal(t, c.divides, engine.Divides(prog))
		})
	}
}

// cut makes the output the rows from seq-first to seq-stop.
func cut(l *llama, p *plan.Plan, first, stop int) {
	seq := plan.Sym("seq")
	at := op.Slice{Axis: 1, Start: seq.Sub(plan.C(first)), Stop: seq.Sub(plan.C(stop))}
	p.Outputs[0].Value = l.step("slice", at.Attrs(), p.Outputs[0].Value)
}

// mean makes the output the mean of its rows.
func mean(l *llama, p *plan.Plan) {
	x := l.step("transpose", op.Transpose{Perm: []int{0, 2, 1}}.Attrs(), p.Outputs[0].Value)
	p.Outputs[0].Value = l.step("softmax", op.Softmax{}.Attrs(), x)
}

// TestAlikeProgramsShareCode verifies that plans which differ in their labels
// only run in one batch, and outlive each other.
func TestAlikeProgramsShareCode(t *testing.T) {
	p := newPrompter(t, "basic", engine.Options{Device: cpu.Open, Threads: 1, MaxPlans: 1})
	require.NotEqual(t, p.prefill.Hash(), p.decode.Hash())
	require.Equal(t, p.prefill.Batch(), p.decode.Batch())
	require.Equal(t, semantic.PhasePrefill.String(), p.prefill.Plan().Phase)
	require.Equal(t, semantic.PhaseDecode.String(), p.decode.Plan().Phase)
	s := p.e.NewSession()
	_, err := p.run(t.Context(), s, p.prefill, prompts(1, 5), 0)
	require.NoError(t, err)
	_, err = p.run(t.Context(), s, p.decode, prompts(1, 1), 5)
	require.NoError(t, err)
	s.Close()
}

// TestRide simulates batches whose time is that of reading weights or of
// computing rows, whichever is longer: portions lengthen them by about a third,
// and some batches have none.
func TestRide(t *testing.T) {
	for _, c := range []struct{ reading, row time.Duration }{
		{20 * time.Millisecond, 2 * time.Millisecond},
		{time.Millisecond, 10 * time.Microsecond},
		{5 * time.Millisecond, 4 * time.Millisecond},
	} {
		for _, short := range []int{1, 4} {
			took := func(short, long int) time.Duration {
				return max(c.reading, c.row*time.Duration(short+long)) + c.row*time.Duration(long)/8
			}
			rows, rests := engine.Ride(600, short, took)
			require.Positive(t, rests)
			require.Less(t, rests, 600/20)
			for _, n := range rows {
				if n == 0 {
					continue
				}
				require.LessOrEqual(t, took(short, n), max(took(short, 0)*14/10, took(short, 1)), "%v: %d rows beside %d", c, n, short)
				if n > 1 {
					require.GreaterOrEqual(t, took(short, n+n/4+2), took(short, 0)*12/10, "%v: %d rows beside %d are few", c, n, short)
				}
			}
		}
	}
}
