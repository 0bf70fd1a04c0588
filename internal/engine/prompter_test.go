package engine_test

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// prompter prefills prompts of a language model on an engine, and decodes after
// them.
type prompter struct {
	e               *engine.Engine
	m               *gpt2.Model
	pads            bool // sequence k begins with k rows of padding
	prefill, decode *engine.Program
	sch             *semantic.Schedule // of both: they have the same inputs
}

func newPrompter(t testing.TB, folder string, opts engine.Options) *prompter {
	t.Helper()
	m, err := gpt2.Load(t.Context(), "../../testdata/gpt2/"+folder, gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	opts.Portions = true
	e, err := engine.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	p := &prompter{e: e, m: m}
	srg, err := semantic.Analyze(m.LM.Graph)
	require.NoError(t, err)
	for phase, prog := range map[semantic.Phase]**engine.Program{semantic.PhasePrefill: &p.prefill, semantic.PhaseDecode: &p.decode} {
		p.sch, err = semantic.Full().Schedule(srg, semantic.Request{
			Profile: semantic.Profile{Phase: phase}, Outputs: []lazy.Named{{Name: "next", Tensor: m.LM.Next}},
		})
		require.NoError(t, err)
		*prog, err = e.Compile(p.sch.Plan)
		require.NoError(t, err)
		for _, v := range e.Missing(*prog) {
			w, err := m.LM.Graph.Weight(v.Hash)
			require.NoError(t, err)
			ww, err := e.PutWeight(*prog, v)
			require.NoError(t, err)
			_, err = ww.Write(w.Data)
			require.NoError(t, err)
			require.NoError(t, ww.Commit())
		}
	}
	return p
}

// padding is the number of rows of padding of a sequence.
func (p *prompter) padding(k int) int {
	if p.pads {
		return k
	}
	return 0
}

// call binds a run over new tokens of each sequence, after those before.
func (p *prompter) call(s *engine.Session, prog *engine.Program, tokens [][]int, past int) (*engine.Call, error) {
	sizes := make([]int, len(prog.Symbols()))
	for i, sym := range prog.Symbols() {
		sizes[i] = map[string]int{"past": past, "batch": len(tokens), "seq": len(tokens[0])}[sym]
	}
	c, err := s.NewCall(prog, sizes)
	if err != nil {
		return nil, err
	}
	for i, src := range p.sch.Inputs {
		data := make([]byte, 0, c.InputSize(i))
		for k, list := range tokens {
			switch src.Tensor.Name() {
			case p.m.LM.Tokens.Name():
				for _, token := range list {
					data = binary.LittleEndian.AppendUint32(data, uint32(token))
				}
			case p.m.LM.Positions.Name():
				for j := range list {
					data = binary.LittleEndian.AppendUint32(data, uint32(max(past+j-p.padding(k), 0)))
				}
			case p.m.LM.Start.Name():
				data = binary.LittleEndian.AppendUint32(data, uint32(p.padding(k)))
			case "sampling.seed":
				data = binary.LittleEndian.AppendUint64(data, uint64(11*k+1))
			case "sampling.temperature", "sampling.top_p":
				data = append(data, 0, 0, 128, 63) // one
			default:
				data = append(data, make([]byte, c.InputSize(i)/len(tokens))...)
			}
		}
		if err := c.SetInput(i, data); err != nil {
			c.Release()
			return nil, err
		}
	}
	return c, nil
}

// run is call and its tokens.
func (p *prompter) run(ctx context.Context, s *engine.Session, prog *engine.Program, tokens [][]int, past int) ([]byte, error) {
	c, err := p.call(s, prog, tokens, past)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := c.Run(ctx); err != nil {
		return nil, err
	}
	out, _ := c.Output(0)
	return slices.Clone(out.Data), nil
}

// generate prefills and decodes a few tokens. It returns all tokens, and the
// carried state after the prefill.
func (p *prompter) generate(ctx context.Context, s *engine.Session, prompts [][]int, steps int) (said, state []byte, err error) {
	next, err := p.run(ctx, s, p.prefill, prompts, 0)
	if err != nil {
		return nil, nil, err
	}
	state = engine.StateContent(s)
	said = next
	for k := range steps {
		tokens := make([][]int, len(prompts))
		for i := range tokens {
			tokens[i] = []int{int(binary.LittleEndian.Uint32(next[4*i:]))}
		}
		if next, err = p.run(ctx, s, p.decode, tokens, len(prompts[0])+k); err != nil {
			return nil, nil, err
		}
		said = append(said, next...)
	}
	return said, state, nil
}

func prompts(sequences, length int) [][]int {
	out := make([][]int, sequences)
	for i := range out {
		for j := range length {
			out[i] = append(out[i], (5*i+7*j+3)%60)
		}
	}
	return out
}
