package engine_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// speaking is a language model on an engine, with logits as well as tokens.
type speaking struct {
	e    *engine.Engine
	m    *gpt2.Model
	sch  *semantic.Schedule
	prog *engine.Program
}

func newSpeaking(t testing.TB, folder string, opts engine.Options) *speaking {
	t.Helper()
	m, err := gpt2.Load(context.Background(), "../../testdata/gpt2/"+folder, gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	opts.Device = cpu.Open
	e, err := engine.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	srg, err := semantic.Analyze(m.LM.Graph)
	require.NoError(t, err)
	sch, err := semantic.Full().Schedule(srg, semantic.Request{
		Profile: semantic.Profile{Phase: semantic.PhaseDecode},
		Outputs: []lazy.Named{{Name: "next", Tensor: m.LM.Next}, {Name: "logits", Tensor: m.LM.Logits}},
	})
	require.NoError(t, err)
	prog, err := e.Compile(sch.Plan)
	require.NoError(t, err)
	for _, v := range e.Missing(prog) {
		w, err := m.LM.Graph.Weight(v.Hash)
		require.NoError(t, err)
		ww, err := e.PutWeight(prog, v)
		require.NoError(t, err)
		_, err = ww.Write(w.Data)
		require.NoError(t, err)
		require.NoError(t, ww.Commit())
	}
	return &speaking{e, m, sch, prog}
}

// voice is a session that continues its generation, each of its sequences
// separately.
type voice struct {
	*speaking
	s           *engine.Session
	temperature float32
	topK        int
	topP        float32
	tokens      []int // the last of each sequence
	past        int
	said        []byte // all tokens and logits
}

// newVoice is session i: even ones take the most likely token, the others draw.
func (p *speaking) newVoice(i, sequences int) *voice {
	v := &voice{speaking: p, s: p.e.NewSession(), topP: 1}
	if i%2 == 1 {
		v.temperature, v.topK, v.topP = 0.7+0.1*float32(i), []int{0, 5, 40}[i%3], []float32{1, 0.9}[i/2%2]
	}
	for k := range sequences {
		v.tokens = append(v.tokens, 3*i+k)
	}
	return v
}

func (v *voice) say(ctx context.Context) error {
	sizes := make([]int, len(v.prog.Symbols()))
	for i, sym := range v.prog.Symbols() {
		sizes[i] = map[string]int{"past": v.past, "batch": len(v.tokens), "seq": 1}[sym]
	}
	c, err := v.s.NewCall(v.prog, sizes)
	if err != nil {
		return err
	}
	defer c.Release()
	for i, src := range v.sch.Inputs {
		var data []byte
		for k, token := range v.tokens {
			switch src.Tensor.Name() {
			case v.m.LM.Tokens.Name():
				data = binary.LittleEndian.AppendUint32(data, uint32(token))
			case v.m.LM.Positions.Name():
				data = binary.LittleEndian.AppendUint32(data, uint32(v.past))
			case "sampling.temperature":
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v.temperature))
			case "sampling.top_p":
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v.topP))
			case "sampling.top_k":
				data = binary.LittleEndian.AppendUint32(data, uint32(v.topK))
			case "sampling.seed":
				data = binary.LittleEndian.AppendUint64(data, uint64(7*token+k))
			default:
				data = append(data, make([]byte, c.InputSize(i)/len(v.tokens))...)
			}
		}
		if err := c.SetInput(i, data); err != nil {
			return err
		}
	}
	if err := c.Run(ctx); err != nil {
		return err
	}
	next, _ := c.Output(0)
	logits, _ := c.Output(1)
	v.said = append(append(v.said, next.Data...), logits.Data...)
	for k := range v.tokens {
		v.tokens[k] = int(binary.LittleEndian.Uint32(next.Data[4*k:]))
	}
	v.past++
	return nil
}

// chorus runs voices in one batch and returns their errors.
func chorus(p *speaking, voices []*voice, ctx func(i int) context.Context) []error {
	waiting, release := engine.HoldBatches(p.prog)
	errs := make([]error, len(voices))
	var wg sync.WaitGroup
	for i, v := range voices {
		wg.Go(func() { errs[i] = v.say(ctx(i)) })
	}
	for waiting() < len(voices) {
		runtime.Gosched()
	}
	release()
	wg.Wait()
	return errs
}

func background(int) context.Context { return context.Background() }

// TestBatchSameBits lets sessions join and leave at every step, with caches
// of different lengths, different sampling and different numbers of sequences,
// and verifies that each gets the same bits as alone.
func TestBatchSameBits(t *testing.T) {
	for _, c := range []struct {
		folder string
		opts   engine.Options
	}{
		{folder: "basic"},
		{folder: "basic", opts: engine.Options{Device: cpu.Open, Threads: 1}},
		{folder: "basic", opts: engine.Options{Device: cpu.Open, Threads: 5}},
		{folder: "odd"},
		{folder: "gelu"},
		{folder: "untied"},
		{folder: "bf16"},
		{folder: "fp16"},
		{folder: "basic", opts: engine.Options{Device: cpu.Open, Int8Weights: true}},
		{folder: "basic", opts: engine.Options{Device: cpu.Open, Profile: true}},
	} {
		t.Run(fmt.Sprintf("%s/threads=%d/int8=%v/profile=%v", c.folder, c.opts.Threads, c.opts.Int8Weights, c.opts.Profile), func(t *testing.T) {
			alone := c.opts
			alone.MaxBatch, c.opts.MaxBatch = 1, 32
			solo, p := newSpeaking(t, c.folder, alone), newSpeaking(t, c.folder, c.opts)
			for n := 2; n <= 9; n++ {
				var voices, soloists []*voice
				for i := range n {
					sequences := 1 + i/4
					voices, soloists = append(voices, p.newVoice(i, sequences)), append(soloists, solo.newVoice(i, sequences))
				}
				for step := range 9 {
					var now []*voice
					for i, v := range voices {
						if (3*step+5*i)%4 != 0 || i == step%n {
							now = append(now, v)
							require.NoError(t, soloists[i].say(context.Background()))
						}
					}
					before := p.e.Stats()
					require.Equal(t, make([]error, len(now)), chorus(p, now, background))
					if after := p.e.Stats(); len(now) > 1 {
						require.Equal(t, int64(1), after.Batches-before.Batches)
						require.Equal(t, int64(len(now)), after.BatchedRuns-before.BatchedRuns)
					}
				}
				for i := range voices {
					require.True(t, slices.Equal(soloists[i].said, voices[i].said), "session %d of %d", i, n)
					require.Equal(t, soloists[i].tokens, voices[i].tokens)
					voices[i].s.Close()
					soloists[i].s.Close()
				}
			}
			require.Zero(t, solo.e.Stats().BatchedRuns)
			require.Equal(t, solo.e.Stats().Ops, p.e.Stats().Ops)
			require.Zero(t, p.e.Stats().StateBytes)
		})
	}
}

// TestManyRowsRunApart verifies that a call with many rows neither waits for
// batches nor is waited for.
func TestManyRowsRunApart(t *testing.T) {
	p := newSpeaking(t, "basic", engine.Options{Device: cpu.Open, MaxBatch: 6})
	for _, c := range []struct {
		sequences int
		apart     bool
	}{{1, false}, {3, false}, {4, true}, {6, true}, {9, true}} {
		waiting, release := engine.HoldBatches(p.prog)
		v := p.newVoice(0, c.sequences)
		done := make(chan error, 1)
		go func() { done <- v.say(context.Background()) }()
		if !c.apart {
			for waiting() < 1 {
				runtime.Gosched()
			}
			release()
			require.NoError(t, <-done)
			continue
		}
		require.NoError(t, <-done)
		require.Zero(t, waiting())
		release()
	}
}
