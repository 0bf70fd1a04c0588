package systems

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Load selects the language model that a reference system opens, and its form.
type Load struct {
	Dir     string `json:"dir"`     // checkpoint in the layout of Hugging Face
	DType   string `json:"dtype"`   // of weights: f32, and of bf16, f16, q8_0 those that the program supports
	Compile bool   `json:"compile"` // PyTorch only: torch.compile
}

// LLM is a reference system with an open language model.
type LLM struct {
	*System
	Threads int // as reported by the program
}

// OpenLLM starts a program and lets it load a model. A feature that a program
// lacks is [ErrUnavailable].
func OpenLLM(ctx context.Context, program string, o Options, l Load) (*LLM, error) {
	p, err := Start(ctx, program, o)
	if err != nil {
		return nil, err
	}
	var loaded struct {
		Threads int `json:"threads"`
	}
	if _, err := p.Call(ctx, "load", l, nil, &loaded); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &LLM{System: p, Threads: loaded.Threads}, nil
}

// Generate is a request to an [LLM] to generate, greedily and ignoring any
// end-of-text token.
type Generate struct {
	Prompts [][]int `json:"prompts"` // of one length
	New     int     `json:"new"`     // tokens per prompt; 1 is only a prompt pass
	// Force, of the form [prompt][new], is fed instead of the sampled tokens.
	Force [][]int `json:"force,omitempty"`
	// Logits requests the logits of every sampled token.
	Logits bool `json:"logits,omitempty"`
}

// Generation is the output of an [LLM] and its time by the clock of its own
// process, from having token ids to having the next ones.
type Generation struct {
	Tokens [][]int // [prompt][new]
	TTFT   time.Duration
	Steps  []time.Duration // of each token after the first
	Logits []float32       // [new, prompt, vocab] if requested
	Vocab  int             // with Logits
	Calls  int             // to a worker, if there is one and its program counts calls
}

// Generate generates once.
func (m *LLM) Generate(ctx context.Context, g Generate) (*Generation, error) {
	return generate(ctx, m.System, g)
}

func generate(ctx context.Context, p *System, g Generate) (*Generation, error) {
	var r struct {
		Tokens [][]int `json:"tokens"`
		TTFT   int64   `json:"ttft_ns"`
		Steps  []int64 `json:"step_ns"`
		Calls  int     `json:"remote_calls"`
	}
	tensors, err := p.Call(ctx, "generate", g, nil, &r)
	if err != nil {
		return nil, err
	}
	out := &Generation{Tokens: r.Tokens, TTFT: time.Duration(r.TTFT), Calls: r.Calls}
	for _, ns := range r.Steps {
		out.Steps = append(out.Steps, time.Duration(ns))
	}
	if len(r.Tokens) != len(g.Prompts) || len(r.Steps) != g.New-1 {
		return nil, fmt.Errorf("%w: %d sequences and %d steps for %d prompts and %d tokens", ErrProtocol,
			len(r.Tokens), len(r.Steps), len(g.Prompts), g.New)
	}
	for _, row := range r.Tokens {
		if len(row) != g.New {
			return nil, fmt.Errorf("%w: %d tokens, want %d", ErrProtocol, len(row), g.New)
		}
	}
	if !g.Logits {
		return out, nil
	}
	l := tensors["logits"]
	if len(l.Shape) != 3 || l.DType != "f32" || l.Shape[0] != g.New || l.Shape[1] != len(g.Prompts) {
		return nil, fmt.Errorf("%w: logits %s %v", ErrProtocol, l.DType, l.Shape)
	}
	out.Logits, out.Vocab = l.Float32s(), l.Shape[2]
	return out, nil
}
