package llm

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// Load implements [workloads.Workload].
func (w *Workload) Load(ctx context.Context, dir string) (workloads.Program, error) {
	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
	if err != nil {
		return nil, err
	}
	return &Program{Model: m, work: w}, nil
}

// Program is a workload with its model.
type Program struct {
	Model *gpt2.Model
	work  *Workload
}

// Graph implements [workloads.Program].
func (p *Program) Graph() *lazy.Graph { return p.Model.LM.Graph }

// Close implements [workloads.Program].
func (p *Program) Close() error { return p.Model.Close() }

// Open implements [workloads.Program].
func (p *Program) Open(ctx context.Context, client *genie.Client) (workloads.Runner, error) {
	s, err := client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	for _, phase := range []semantic.Phase{semantic.PhasePrefill, semantic.PhaseDecode} {
		if err := s.Prepare(ctx, semantic.Profile{Phase: phase}, p.Model.LM.Next); err != nil {
			_ = s.Close()
			return nil, err
		}
	}
	return &runner{p: p, s: s}, nil
}

// runner generates repeatedly in one session.
type runner struct {
	p *Program
	s *genie.Session
}

func (r *runner) Close() error { return r.s.Close() }

// Run generates once. The first result is the first token, the others are
// steps. With Check, the results include logits.
func (r *runner) Run(ctx context.Context, o workloads.RunOptions) (*workloads.Run, error) {
	w := r.p.work
	req := genie.GenerateRequest{Prompts: w.Prompts, MaxNew: w.New(), IgnoreEOS: true, IgnoreSettings: true}
	if o.MaxTokens > 0 {
		req.MaxNew = min(req.MaxNew, o.MaxTokens)
	}
	if o.OnFirst != nil {
		first := true
		req.OnToken = func(int, int) error {
			if first {
				first = false
				o.OnFirst()
			}
			return nil
		}
	}
	var logits []float32
	if o.Check {
		req.OnLogits = func(_ int, t transport.Tensor) error {
			logits = appendLastRows(logits, t)
			return nil
		}
	}
	g, err := genie.Generate(ctx, r.s, r.p.Model.LM, req)
	if err != nil {
		return nil, err
	}
	out := &workloads.Run{
		Output: workloads.Output{Tokens: g.Tokens},
		First:  g.TTFT, Steps: g.Steps, Executor: g.Executor,
	}
	if o.Check {
		out.Tensors = map[string][]float32{"logits": logits}
	}
	if out.Items = len(g.Steps) * len(w.Prompts); w.New() == 1 {
		out.Items = len(w.Prompts) * len(w.Prompts[0])
	}
	return out, nil
}

// appendLastRows adds the last row of each sequence of f32 [batch, seq, vocab].
func appendLastRows(dst []float32, t transport.Tensor) []float32 {
	batch, seq, vocab := t.Shape[0], t.Shape[1], t.Shape[2]
	for i := range batch {
		row := t.Data[4*vocab*((i+1)*seq-1):][:4*vocab]
		for j := range vocab {
			dst = append(dst, math.Float32frombits(binary.LittleEndian.Uint32(row[4*j:])))
		}
	}
	return dst
}
