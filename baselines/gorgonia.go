package baselines

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// LocalGorgoniaName is the name of the baseline that runs the captured program
// lowered to Gorgonia's own operators on its TapeMachine. Shapes in Gorgonia
// are numbers, so every length is a program of its own; building and compiling
// it is part of the step, as it would be in a service that uses Gorgonia so.
const LocalGorgoniaName = "local-gorgonia"

// Gorgonia is the local-gorgonia cell of a workload.
type Gorgonia struct {
	work   *llm.Workload
	model  *gpt2.Model
	tokens int
}

// OpenGorgonia loads the model and runs the workload once to verify its
// tokens. A slow cell decodes few tokens; figures are per token.
func OpenGorgonia(ctx context.Context, testdata string, work *llm.Workload) (*Gorgonia, error) {
	dir, err := llm.ModelDir(ctx, testdata, work.Scale, nil)
	if err != nil {
		return nil, err
	}
	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
	if err != nil {
		return nil, err
	}
	g := &Gorgonia{work: work, model: m, tokens: min(len(work.Want), 4)}
	if _, err := g.Run(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return g, nil
}

// Close unmaps the model.
func (g *Gorgonia) Close() error { return g.model.Close() }

// Run generates greedily and verifies the tokens.
func (g *Gorgonia) Run() (*Figures, error) {
	f := &Figures{Prompt: len(g.work.Prompt)}
	carried := map[*lazy.Tensor]transport.Tensor{}
	rows, at := g.work.Prompt, 0
	var tokens []int
	for len(tokens) < g.tokens {
		start := time.Now()
		next, err := g.step(rows, at, carried)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", LocalGorgoniaName, err)
		}
		d := time.Since(start)
		if at == 0 {
			f.TTFT = d
		} else {
			f.Steps = append(f.Steps, d)
		}
		f.Executor = append(f.Executor, d)
		at += len(rows)
		tokens = append(tokens, next)
		rows = []int{next}
	}
	f.Tokens = len(tokens)
	return f, g.work.Verify(tokens)
}

// step runs the program lowered for its sizes and chooses the largest logit.
func (g *Gorgonia) step(rows []int, past int, carried map[*lazy.Tensor]transport.Tensor) (int, error) {
	lm := g.model.LM
	outputs := []*lazy.Tensor{lm.Logits}
	for _, c := range lm.Graph.Carries() {
		outputs = append(outputs, c.Out)
	}
	p, err := lm.Graph.LowerStock(plan.Bindings{"batch": 1, "seq": len(rows), "past": past}, outputs...)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	var tok, pos []byte
	for i, id := range rows {
		tok = binary.LittleEndian.AppendUint32(tok, uint32(id))
		pos = binary.LittleEndian.AppendUint32(pos, uint32(past+i))
	}
	feeds := map[*lazy.Tensor]transport.Tensor{
		lm.Tokens:    {DType: plan.I32, Shape: []int{1, len(rows)}, Data: tok},
		lm.Positions: {DType: plan.I32, Shape: []int{1, len(rows)}, Data: pos},
		lm.Start:     {DType: plan.I32, Shape: []int{1}, Data: make([]byte, 4)},
	}
	for _, c := range lm.Graph.Carries() {
		if past > 0 {
			feeds[c.In] = carried[c.In]
		}
	}
	for t, x := range feeds {
		if err := p.Feed(t, x); err != nil {
			return 0, err
		}
	}
	if err := p.Run(); err != nil {
		return 0, err
	}
	for _, c := range lm.Graph.Carries() {
		if carried[c.In], err = p.Value(c.Out); err != nil {
			return 0, err
		}
	}
	logits, err := p.Value(lm.Logits)
	if err != nil {
		return 0, err
	}
	return argmaxLast(logits), nil
}
