package baselines

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

// gorgoniaCase is a language model on Gorgonia's own operators.
type gorgoniaCase struct {
	work    *llm.Workload
	program *llm.Program
	tokens  int
}

func openGorgonia(ctx context.Context, s Spec) (Case, error) {
	w, ok := s.Workload.(*llm.Workload)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: the lowering to Gorgonia's own operators has no convolutions, and is used for language models alone", ErrUnavailable)
	case w.ID().Batch != 1:
		return nil, fmt.Errorf("%w: one sequence at a time", ErrUnavailable)
	case s.shaped():
		return nil, fmt.Errorf("%w: nothing crosses a link", ErrUnavailable)
	}
	dir, err := w.Dir(ctx, nil)
	if err != nil {
		return nil, err
	}
	p, err := w.Load(ctx, dir)
	if err != nil {
		return nil, err
	}
	c := &gorgoniaCase{work: w, program: p.(*llm.Program), tokens: min(w.New(), s.Baseline.MaxTokens)}
	if _, err := c.Run(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return c, nil
}

// Close implements [Case].
func (c *gorgoniaCase) Close() error { return c.program.Close() }

// Ops implements [Case].
func (c *gorgoniaCase) Ops(context.Context) (int64, error) { return 0, nil }

// Facts implements [Case].
func (c *gorgoniaCase) Facts(context.Context) Facts {
	return Facts{PeakRSS: map[string]int64{"client": memory.PeakRSS()}}
}

// Run implements [Case]: it generates greedily and verifies the tokens.
func (c *gorgoniaCase) Run(ctx context.Context) (*Figures, error) {
	f := &Figures{Prompt: promptTokens(c.work)}
	carried := map[*lazy.Tensor]transport.Tensor{}
	rows, at := c.work.Prompts[0], 0
	var tokens []int
	begin := time.Now()
	for len(tokens) < c.tokens {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		next, err := c.step(rows, at, carried)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", LocalGorgonia().Name, err)
		}
		d := time.Since(start)
		if at == 0 {
			f.First = d
		} else {
			f.Steps = append(f.Steps, d)
		}
		f.Executor = append(f.Executor, d)
		at += len(rows)
		tokens = append(tokens, next)
		rows = []int{next}
	}
	f.Total, f.Items, f.Tokens = time.Since(begin), len(tokens), [][]int{tokens}
	_, err := c.work.Verify(workloads.Output{Tokens: f.Tokens})
	return f, err
}

// step runs the program lowered for its sizes and picks the largest logit.
func (c *gorgoniaCase) step(rows []int, past int, carried map[*lazy.Tensor]transport.Tensor) (int, error) {
	lm := c.program.Model.LM
	outputs := []*lazy.Tensor{lm.Logits}
	for _, c := range lm.Graph.Carries() {
		outputs = append(outputs, c.Out)
	}
	p, err := gorgonia.LowerStock(lm.Graph, plan.Bindings{"batch": 1, "seq": len(rows), "past": past}, outputs...)
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
