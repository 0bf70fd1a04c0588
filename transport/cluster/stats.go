package cluster

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/transport"
)

// counts are runs of members beyond one for each run of the cluster.
type counts struct{ runs atomic.Int64 }

// Stats implements [transport.Executor]: the sums of the members', in which a run
// in parts is one run, and a session on several members one session.
func (x *Executor) Stats(ctx context.Context) (transport.Stats, error) {
	if len(x.members) == 1 {
		return x.members[0].Executor.Stats(ctx)
	}
	all := make([]transport.Stats, len(x.members))
	group, gctx := errgroup.WithContext(ctx)
	for i := range x.members {
		group.Go(func() (err error) {
			all[i], err = x.members[i].Executor.Stats(gctx)
			return x.failed(i, err)
		})
	}
	if err := group.Wait(); err != nil {
		return transport.Stats{}, err
	}
	out := transport.Stats{PID: os.Getpid()}
	parts := x.profiled()
	for i := range all {
		all[i].Profiles = parts.whole(i, all[i].Profiles)
		sum(&out, &all[i], i > 0)
	}
	parts.runs(out.Profiles)
	out.PeakRSS = 0
	seen := map[int]bool{}
	for i := range all {
		if !seen[all[i].PID] { // members of one process report the same memory
			out.PeakRSS += all[i].PeakRSS
		}
		seen[all[i].PID] = true
	}
	out.Runs -= x.counts.runs.Load()
	for _, s := range x.open() {
		opened := int64(0)
		for k := range s.on {
			if s.on[k].opened.Load() != nil {
				opened++
			}
		}
		out.Sessions -= opened - 1
	}
	return out, nil
}

// sum adds what a member did to what the others did.
func sum(to, from *transport.Stats, others bool) {
	for _, n := range []struct {
		to   *int64
		from int64
	}{
		{&to.Runs, from.Runs},
		{&to.Ops, from.Ops},
		{&to.Sessions, from.Sessions},
		{&to.Plans, from.Plans},
		{&to.PlansSent, from.PlansSent},
		{&to.Weights, from.Weights},
		{&to.WeightBytes, from.WeightBytes},
		{&to.WeightsSent, from.WeightsSent},
		{&to.StateBytes, from.StateBytes},
		{&to.ScratchBytes, from.ScratchBytes},
		{&to.Batches, from.Batches},
		{&to.BatchedRuns, from.BatchedRuns},
		{&to.MemoryUsed, from.MemoryUsed},
		{&to.PackedBytes, from.PackedBytes},
		{&to.RetainedBytes, from.RetainedBytes},
		{&to.StagingBytes, from.StagingBytes},
		{&to.PlanBytes, from.PlanBytes},
		{&to.BufferBytes, from.BufferBytes},
		{&to.WeightEvictions, from.WeightEvictions},
		{&to.CacheHits, from.CacheHits},
		{&to.CacheMisses, from.CacheMisses},
		{&to.CacheBytes, from.CacheBytes},
		{&to.CacheEntries, from.CacheEntries},
		{&to.CacheEvictions, from.CacheEvictions},
		{&to.UploadsResumed, from.UploadsResumed},
		{&to.References, from.References},
	} {
		*n.to += n.from
	}
	to.KernelTime += from.KernelTime
	to.ReferenceTime += from.ReferenceTime
	for name, d := range from.Kernels {
		if to.Kernels == nil {
			to.Kernels = map[string]time.Duration{}
		}
		to.Kernels[name] += d
	}
	// No limit of one is no limit of all.
	if to.MemoryLimit += from.MemoryLimit; from.MemoryLimit == 0 || others && to.MemoryLimit == from.MemoryLimit {
		to.MemoryLimit = 0
	}
	if paths := strings.Split(to.CPU, ", "); to.CPU == "" {
		to.CPU = from.CPU
	} else if !slices.Contains(paths, from.CPU) {
		to.CPU += ", " + from.CPU
	}
	to.AddProfiles(from.Profiles...)
}
