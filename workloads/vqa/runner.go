package vqa

import (
	"context"
	"errors"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/clip"
)

type program struct {
	w     *Workload
	model *clip.Model
}

// Graph implements [workloads.Program].
func (p *program) Graph() *lazy.Graph { return p.model.Graph }

// Close implements [workloads.Program].
func (p *program) Close() error { return p.model.Close() }

// Open implements [workloads.Program].
func (p *program) Open(ctx context.Context, client *genie.Client) (workloads.Runner, error) {
	srg, err := client.Analyze(p.model.Graph)
	if err != nil {
		return nil, err
	}
	profile, err := srg.ProfileOf(plan.Bindings{"images": p.w.id.Batch, "texts": p.w.want.Columns, "seq": p.w.inputs["tokens"].Shape[1]})
	if err != nil {
		return nil, err
	}
	s, err := client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Prepare(ctx, profile, p.model.LogitsPerImage); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	feed := genie.Feed{}
	for name, t := range p.w.inputs {
		feed[name] = genie.FromTensor(t)
	}
	return &ranker{
		session: s, feed: feed, output: p.model.LogitsPerImage, name: LogitsPerImage, items: p.w.id.Batch,
	}, nil
}

// ranker runs a program that scores answers in one call.
type ranker struct {
	session *genie.Session
	feed    genie.Feed
	output  *lazy.Tensor
	name    string // of the output
	items   int    // images of a run
}

// Close implements [workloads.Runner].
func (r *ranker) Close() error { return r.session.Close() }

// Run implements [workloads.Runner]: it scores the answers for all images.
func (r *ranker) Run(ctx context.Context, o workloads.RunOptions) (*workloads.Run, error) {
	start := time.Now()
	out, err := r.session.Run(ctx, r.feed, r.output)
	if err != nil {
		return nil, err
	}
	logits, err := out[0].Float32s(ctx)
	if err != nil {
		return nil, err
	}
	first := time.Since(start)
	if o.OnFirst != nil {
		o.OnFirst()
	}
	return &workloads.Run{
		Output:   workloads.Output{Tensors: map[string][]float32{r.name: logits}},
		Items:    r.items,
		First:    first,
		Executor: []time.Duration{r.session.ExecutorTime()},
	}, nil
}
