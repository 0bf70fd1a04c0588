package genie

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// A worker that joins a cluster is measured by products of matrices that come with
// the run: small ones for the delay of its link, larger ones for the rate and for
// the speed of its device.
const (
	probeRuns  = 3
	probeSmall = 16  // rows: 3 kB with the result
	probeLarge = 256 // rows: 768 kB, 34 MFLOP
	// probePatience is the time that a large probe may take on a slow link; a link
	// that would take longer is measured by the small ones alone.
	probePatience = 500 * time.Millisecond
)

// probePlan multiplies two square matrices.
func probePlan() (*plan.Plan, error) {
	g := lazy.NewGraph("probe")
	a, b := g.Input("a", lazy.F32, "n", "n"), g.Input("b", lazy.F32, "n", "n")
	g.Output("c", lazy.MatMul(a, b))
	s, err := semantic.Analyze(g)
	if err != nil {
		return nil, err
	}
	sch, err := semantic.Blind().Schedule(s, semantic.Request{})
	if err != nil {
		return nil, err
	}
	return sch.Plan, nil
}

// probeAll measures the executors and the links to them.
func probeAll(ctx context.Context, urls []string, execs []transport.Executor, o options) (*clusterView, error) {
	p, err := probePlan()
	if err != nil {
		return nil, err
	}
	v := &clusterView{placement: o.placement}
	v.cluster.Devices, v.cluster.Client = make([]semantic.ClusterDevice, len(urls)), make([]semantic.Link, len(urls))
	seen := map[string]int{}
	for i, u := range urls {
		if seen[u]++; seen[u] > 1 {
			u = fmt.Sprintf("%s#%d", u, seen[u])
		}
		v.cluster.Devices[i].Name = u
	}
	group, all := errgroup.WithContext(ctx)
	// One after the other: they may share the cores of a machine, and the link of
	// this client.
	group.SetLimit(1)
	for i := range execs {
		group.Go(func() error {
			d := &v.cluster.Devices[i]
			if err := probe(all, execs[i], p, d, &v.cluster.Client[i]); err != nil {
				return fmt.Errorf("measuring %s: %w", d.Name, err)
			}
			return nil
		})
	}
	return v, group.Wait()
}

// probe measures one executor.
func probe(ctx context.Context, exec transport.Executor, p *plan.Plan, d *semantic.ClusterDevice, l *semantic.Link) error {
	stats, err := exec.Stats(ctx)
	if err != nil {
		return err
	}
	if stats.MemoryLimit > 0 { // weights make room for others
		d.Memory = max(stats.MemoryLimit-max(stats.MemoryUsed-stats.WeightBytes, 0), 1)
	}
	s, err := exec.NewSession(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	ref, err := s.Prepare(ctx, p, nil, nil)
	if err != nil {
		return err
	}
	small, _, err := probeRun(ctx, s, ref, probeSmall)
	if err != nil {
		return err
	}
	l.Delay = small / 2
	d.Device = semantic.ReferenceDevice()
	const scale = (probeLarge * probeLarge) / (probeSmall * probeSmall)
	if small > probePatience/scale {
		// The small probes may be all rate: 3 kB in that time.
		l.Rate = 3 * 4 * probeSmall * probeSmall / small.Seconds()
		return nil
	}
	large, elapsed, err := probeRun(ctx, s, ref, probeLarge)
	if err != nil {
		return err
	}
	if rest := large - small; rest > 0 {
		l.Rate = 3 * 4 * probeLarge * probeLarge / rest.Seconds()
	}
	if elapsed > 0 {
		speed := 2 * probeLarge * probeLarge * probeLarge / elapsed.Seconds() / d.Device.FLOPS
		d.Device.FLOPS *= speed
		d.Device.Bandwidth *= speed
		d.Device.Source = semantic.SourceMeasured
	}
	return nil
}

// probeRun is the shortest time of a few runs, without what the executor spent on
// them, and the shortest that it spent. The first run warms up and does not count.
func probeRun(ctx context.Context, s transport.Session, ref transport.PlanRef, n int) (moved, elapsed time.Duration, err error) {
	call := transport.Call{Plan: ref, Bindings: []int{n}, Inputs: []transport.Input{
		{Data: make([]byte, 4*n*n), Cause: plan.CauseControl}, {Data: make([]byte, 4*n*n), Cause: plan.CauseControl},
	}}
	for i := range 1 + probeRuns {
		begin := time.Now()
		res, err := s.Run(ctx, call)
		if err != nil {
			return 0, 0, err
		}
		took := max(time.Since(begin)-res.Elapsed, 0)
		if i == 1 || i > 1 && took < moved {
			moved = took
		}
		if i == 1 || i > 1 && res.Elapsed < elapsed {
			elapsed = res.Elapsed
		}
	}
	return moved, elapsed, nil
}
