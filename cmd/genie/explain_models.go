package main

import (
	"context"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/bert"
	"github.com/genie-sdk/go/workloads/clip"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/resnet"
)

// explainable is a loaded model with the outputs and sizes to explain.
type explainable struct {
	graph   *lazy.Graph
	outputs []lazy.Named // none: all that the graph declares
	sizes   plan.Bindings
	close   func() error
}

func explainGPT2(ctx context.Context, o *explainOptions, progress func(done, total int64)) (*explainable, error) {
	m, err := gpt2.Load(ctx, o.model, gpt2.LoadOptions{Progress: progress, Hashes: o.hashes, Logger: o.log})
	if err != nil {
		return nil, err
	}
	if rows := o.past + o.seq; rows > m.Config.Positions {
		_ = m.Close()
		return nil, usagef("--past plus --seq is %d rows, the model takes %d", rows, m.Config.Positions)
	}
	return &explainable{
		m.LM.Graph,
		[]lazy.Named{{Name: "next", Tensor: m.LM.Next}},
		plan.Bindings{"batch": o.batch, "seq": o.seq, "past": o.past},
		m.Close,
	}, nil
}

func explainResNet(ctx context.Context, o *explainOptions, progress func(done, total int64)) (*explainable, error) {
	m, err := resnet.Load(ctx, o.model, resnet.LoadOptions{Progress: progress, Hashes: o.hashes, Logger: o.log})
	if err != nil {
		return nil, err
	}
	return &explainable{m.Graph, nil, plan.Bindings{"batch": o.batch}, m.Close}, nil
}

func explainCLIP(ctx context.Context, o *explainOptions, progress func(done, total int64)) (*explainable, error) {
	m, err := clip.Load(ctx, o.model, clip.LoadOptions{Progress: progress, Hashes: o.hashes, Logger: o.log})
	if err != nil {
		return nil, err
	}
	if most := m.Config.Text.Positions; o.seq > most {
		_ = m.Close()
		return nil, usagef("--seq is %d, the model takes texts of %d tokens", o.seq, most)
	} else if o.seq == 0 {
		o.seq = most
	}
	return &explainable{m.Graph, nil, plan.Bindings{"images": o.batch, "texts": o.texts, "seq": o.seq}, m.Close}, nil
}

func explainBERT(ctx context.Context, o *explainOptions, progress func(done, total int64)) (*explainable, error) {
	m, err := bert.Load(ctx, o.model, bert.LoadOptions{Progress: progress, Hashes: o.hashes, Logger: o.log})
	if err != nil {
		return nil, err
	}
	if most := m.Config.Longest(); o.seq > most {
		_ = m.Close()
		return nil, usagef("--seq is %d, the model takes texts of %d tokens", o.seq, most)
	} else if o.seq == 0 {
		o.seq = most
	}
	return &explainable{m.Graph, nil, plan.Bindings{"batch": o.batch, "seq": o.seq}, m.Close}, nil
}
