package micro

import (
	"context"
	"errors"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads"
)

// WriteCheckpoint writes a workload's checkpoint as Dir does at the small
// scale.
func WriteCheckpoint(ctx context.Context, w workloads.Workload, dir string) error {
	return w.(*workload).c.ensureCheckpoint(ctx, dir)
}

// OpenCase opens a case on a client, runs it once and verifies it.
func OpenCase(ctx context.Context, client *genie.Client, c Case) (workloads.Runner, error) {
	g, err := c.inMemory()
	if err != nil {
		return nil, err
	}
	r, err := (&program{c: c, graph: g, in: (&pool{}).inputs(c)}).open(ctx, client)
	if err != nil {
		return nil, err
	}
	out, err := r.Run(ctx, workloads.RunOptions{})
	if err == nil {
		err = c.verify(out.Tensors[output])
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// One is the representative of several times.
func (s Sampling) One(times []float64) float64 { return s.one(times) }
