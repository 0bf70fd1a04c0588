package baselines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/workloads"
)

// genieCase runs a workload with this module.
type genieCase struct {
	spec    Spec
	program workloads.Program
	client  *genie.Client
	policy  *measure.Policy
	worker  *Worker
	second  *Worker // with the first, of a model that is divided over two
	runner  workloads.Runner
	maxAbs  float64
}

func openGenie(ctx context.Context, s Spec) (Case, error) {
	c := &genieCase{spec: s}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *genieCase) open(ctx context.Context) error {
	w, base := c.spec.Workload, c.spec.Baseline
	dir, err := w.Dir(ctx, nil)
	if err != nil {
		return err
	}
	if c.program, err = w.Load(ctx, dir); err != nil {
		return err
	}
	url := "local:"
	if base.Remote() {
		// The worker ends when the case is closed, not before.
		if url, err = c.start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	c.policy = &measure.Policy{Policy: base.Policy, Resend: base.Resend}
	opts := []genie.Option{genie.WithPolicy(c.policy), genie.WithPlacement(base.Placement)}
	if c.spec.shaped() && base.Remote() {
		profile, err := link.Parse(c.spec.Net)
		if err != nil {
			return err
		}
		opts = append(opts, genie.WithDialer(link.Dialer(profile, clientSeed)))
	}
	if c.client, err = genie.Open(ctx, url, opts...); err != nil {
		return err
	}
	if c.runner, err = c.program.Open(ctx, c.client); err != nil {
		return err
	}
	return c.check(ctx)
}

// start starts the workers, and returns their URLs.
func (c *genieCase) start(ctx context.Context) (url string, err error) {
	base, cpu := c.spec.Baseline, anyCPU
	if base.Threads == 1 {
		cpu = 0
	}
	if c.worker, err = startWorker(ctx, c.spec.net(), base.Threads, cpu); err != nil {
		return "", err
	}
	if url = c.worker.TCP; base.Scheme == "grpc" {
		url = c.worker.GRPC
	}
	if base.Placement == nil {
		return url, nil
	}
	if c.second, err = startWorker(ctx, c.spec.net(), base.Threads, min(1, runtime.NumCPU()-1)); err != nil {
		return "", err
	}
	return url + "," + c.second.TCP, nil
}

// check runs once, verifies everything that can be compared, and proves where
// the work was done: the worker's process executed a remote case's operators,
// this process a local one's.
func (c *genieCase) check(ctx context.Context) error {
	base := c.spec.Baseline
	before := c.client.Ledger()
	sideBefore, err := c.policy.SideOps(ctx)
	if err != nil {
		return err
	}
	ops, err := c.client.Stats(ctx)
	if err != nil {
		return err
	}
	out, err := c.runner.Run(ctx, c.options(true))
	if err != nil {
		return err
	}
	if c.maxAbs, err = c.spec.Workload.Verify(out.Output); err != nil {
		return fmt.Errorf("%s: %w", base.Name, err)
	}
	st, err := c.client.Stats(ctx)
	if err != nil {
		return err
	}
	moved := c.client.Ledger().Sub(before).SocketReceived
	side, err := c.policy.SideOps(ctx)
	if err != nil {
		return err
	}
	remote, side := c.worker != nil, side-sideBefore
	switch {
	case remote && (st.Ops == ops.Ops || moved == 0):
		return fmt.Errorf("%w: %s: the worker executed nothing", errCase, base.Name)
	case remote && c.second == nil && st.PID != c.worker.PID():
		return fmt.Errorf("%w: %s: process %d did the work, not the worker %d", errCase, base.Name, st.PID, c.worker.PID())
	case !remote && (st.PID != os.Getpid() || moved != 0):
		return fmt.Errorf("%w: %s: process %d did the work, not this one", errCase, base.Name, st.PID)
	case remote && base.Policy.Name() == semantic.Full().Name() && side != 0:
		return fmt.Errorf("%w: %s: this process executed %d operators", errCase, base.Name, side)
	}
	return nil
}

func (c *genieCase) options(check bool) workloads.RunOptions {
	return workloads.RunOptions{MaxTokens: c.spec.maxTokens(), MaxBatches: c.spec.maxBatches(), Check: check}
}

// Run implements [Case].
func (c *genieCase) Run(ctx context.Context) (*Figures, error) {
	w := c.spec.Workload
	start := c.client.Ledger()
	var first transport.Snapshot
	seen := false
	begin := time.Now()
	o := c.options(false)
	o.OnFirst = func() { first, seen = c.client.Ledger(), true }
	run, err := c.runner.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	f := &Figures{Run: *run, Total: time.Since(begin), Prompt: promptTokens(w), Counted: true}
	end := c.client.Ledger()
	if !seen {
		first = end
	}
	f.FirstMoved, f.RestMoved = first.Sub(start), end.Sub(first)
	if _, err := w.Verify(run.Output); err != nil {
		return nil, fmt.Errorf("%s: %w", c.spec.Baseline.Name, err)
	}
	return f, nil
}

// Ops implements [Case].
func (c *genieCase) Ops(ctx context.Context) (int64, error) {
	if c.worker == nil {
		return 0, nil
	}
	st, err := c.client.Stats(ctx)
	return st.Ops, err
}

// Facts implements [Case].
func (c *genieCase) Facts(ctx context.Context) Facts {
	f := Facts{MaxAbsErr: c.maxAbs, PeakRSS: map[string]int64{"client": memory.PeakRSS()}}
	if c.worker != nil {
		if st, err := c.client.Stats(ctx); err == nil {
			f.PeakRSS["worker"] = st.PeakRSS // of two workers, the sum
		}
	}
	return f
}

// Close implements [Case].
func (c *genieCase) Close() error {
	var errs []error
	if c.runner != nil {
		errs = append(errs, c.runner.Close())
	}
	if c.client != nil {
		errs = append(errs, c.client.Close())
	}
	if c.worker != nil {
		errs = append(errs, c.worker.Close())
	}
	if c.second != nil {
		errs = append(errs, c.second.Close())
	}
	if c.program != nil {
		errs = append(errs, c.program.Close())
	}
	return errors.Join(errs...)
}

// promptTokens is the number of prompt tokens of a language model, all
// sequences together.
func promptTokens(w workloads.Workload) int {
	if !isLLM(w.ID()) { // the inputs of others are large and generated on demand
		return 0
	}
	return w.Inputs()["tokens"].Elements()
}
