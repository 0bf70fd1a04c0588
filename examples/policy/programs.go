package main

import (
	"context"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// program is something to run: run returns its answer.
type program struct {
	name  string
	graph *lazy.Graph
	run   func(context.Context, *genie.Session) ([]float32, error)
}

const steps = 8 // of each program

// load captures three programs of different meaning.
func load(ctx context.Context, model string) ([]program, func(), error) {
	m, err := gpt2.Load(ctx, model, gpt2.LoadOptions{})
	if err != nil {
		return nil, nil, err
	}
	text := program{"text", m.LM.Graph, func(ctx context.Context, s *genie.Session) ([]float32, error) {
		out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 2, 3}}, MaxNew: steps, IgnoreEOS: true})
		if err != nil {
			return nil, err
		}
		answer := make([]float32, 0, steps)
		for _, token := range out.Tokens[0] {
			answer = append(answer, float32(token))
		}
		return answer, nil
	}}
	return []program{recurrent(), classifier(), text}, func() { _ = m.Close() }, nil
}

// recurrent carries a state of 64 numbers, outputs one, and has 768 bytes of
// weights.
func recurrent() program {
	const hidden = 64
	in, out := make([]float32, 2*hidden), make([]float32, hidden)
	for i := range in {
		in[i], out[i/2] = float32(i%9)/9-.5, float32(i%5)/5-.3
	}
	g := lazy.NewGraph("recurrent")
	x := g.Input("x", lazy.F32, "rows", 2)
	h := g.Input("h", lazy.F32, "rows", hidden)
	next := lazy.Tanh(lazy.Add(lazy.MatMul(x, g.WeightF32("in", in, 2, hidden)), h))
	g.Carry(h, next)
	return program{"recurrent", g, repeat(g.Output("y", lazy.MatMul(next, g.WeightF32("out", out, hidden, 1))), 2)}
}

// classifier carries nothing and has 160 KiB of weights.
func classifier() program {
	const features, classes = 1024, 40
	w := make([]float32, features*classes)
	for i := range w {
		w[i] = float32(i*7919%101)/101 - .5
	}
	g := lazy.NewGraph("classifier")
	x := g.Input("x", lazy.F32, "rows", features)
	return program{"classifier", g, repeat(g.Output("y", lazy.Softmax(lazy.MatMul(x, g.WeightF32("w", w, features, classes)), -1)), features)}
}

// repeat runs y several times with the same row and returns the last values.
func repeat(y *lazy.Tensor, features int) func(context.Context, *genie.Session) ([]float32, error) {
	return func(ctx context.Context, s *genie.Session) (last []float32, err error) {
		row := make([]float32, features)
		for i := range row {
			row[i] = float32(i%5) / 5
		}
		for range steps {
			out, err := s.Run(ctx, genie.Feed{"x": genie.Float32s(row, 1, features)}, y)
			if err != nil {
				return nil, err
			}
			if last, err = out[0].Float32s(ctx); err != nil {
				return nil, err
			}
		}
		return last, nil
	}
}
