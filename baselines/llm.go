package baselines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// Baseline is one configuration of the comparison.
type Baseline struct {
	Name   string
	Policy semantic.Policy
	Scheme string // "tcp" or "grpc" for a worker of its own, "" in this process
	// Tokens bounds the new tokens of a slow cell at the small and full
	// scales; figures are per token. 0 is no bound.
	Tokens int
}

// CaptureOnly captures lazily and runs in this process.
func CaptureOnly() Baseline { return Baseline{Name: "capture-only", Policy: semantic.Full()} }

// LocalRemote keeps weights on a worker over TCP and moves everything else.
func LocalRemote() Baseline {
	return Baseline{Name: "local-remote", Policy: semantic.Resident(), Scheme: "tcp"}
}

// NoSemantics moves every tensor at every call, over TCP.
func NoSemantics() Baseline {
	return Baseline{Name: "no-semantics", Policy: semantic.Blind(), Scheme: "tcp", Tokens: 4}
}

// Full uses all semantic features over TCP.
func Full() Baseline { return Baseline{Name: "full", Policy: semantic.Full(), Scheme: "tcp"} }

// FullRPC is Full over gRPC.
func FullRPC() Baseline { return Baseline{Name: "full-rpc", Policy: semantic.Full(), Scheme: "grpc"} }

// errCell is the cause of errors of a cell that does not do what it says.
var errCell = errors.New("genie: cell")

// Cell is one workload with one baseline, opened and verified.
type Cell struct {
	Work   *llm.Workload
	base   Baseline
	model  *gpt2.Model
	client *genie.Client
	worker *Worker
	tokens int
}

// Figures are what one generation of a cell costs.
type Figures struct {
	TTFT      time.Duration
	Steps     []time.Duration    // of each token after the first
	Executor  []time.Duration    // the executor's own time of each run
	Prompt    int                // tokens
	Tokens    int                // new ones
	First     transport.Snapshot // moved up to the first token
	Rest      transport.Snapshot // moved after it
	RemoteOps int64
}

// OpenCell loads the model, starts a worker if the baseline has one, and runs
// the workload once to verify its tokens.
func OpenCell(ctx context.Context, testdata string, work *llm.Workload, base Baseline) (*Cell, error) {
	dir, err := llm.ModelDir(ctx, testdata, work.Scale, nil)
	if err != nil {
		return nil, err
	}
	c := &Cell{Work: work, base: base, tokens: len(work.Want)}
	if base.Tokens > 0 && work.Scale != workloads.Tiny {
		c.tokens = min(c.tokens, base.Tokens)
	}
	if err := c.open(ctx, dir); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cell) open(ctx context.Context, dir string) (err error) {
	if c.model, err = gpt2.Load(ctx, dir, gpt2.LoadOptions{}); err != nil {
		return err
	}
	url := "local:"
	if c.base.Scheme != "" {
		if c.worker, err = StartWorker(ctx); err != nil {
			return err
		}
		if url = c.worker.TCP; c.base.Scheme == "grpc" {
			url = c.worker.GRPC
		}
	}
	if c.client, err = genie.Open(ctx, url, genie.WithPolicy(c.base.Policy)); err != nil {
		return err
	}
	f, err := c.Run(ctx)
	if err != nil {
		return err
	}
	return c.prove(ctx, f)
}

// prove checks where the work ran: a remote cell's operators were executed by
// the worker's process, a local one's by this.
func (c *Cell) prove(ctx context.Context, f *Figures) error {
	st, err := c.client.Stats(ctx)
	if err != nil {
		return err
	}
	remote := c.worker != nil
	switch {
	case f.RemoteOps == 0 && remote, f.First.SocketSent == 0 && remote:
		return fmt.Errorf("%w: %s: the worker executed nothing", errCell, c.base.Name)
	case remote && st.PID != c.worker.PID():
		return fmt.Errorf("%w: %s: process %d did the work, not the worker %d", errCell, c.base.Name, st.PID, c.worker.PID())
	case !remote && (st.PID != os.Getpid() || f.First.SocketSent != 0):
		return fmt.Errorf("%w: %s: process %d did the work, not this one", errCell, c.base.Name, st.PID)
	case remote && c.base.Policy.Name() == semantic.Full().Name() && c.client.SideOps() != 0:
		return fmt.Errorf("%w: %s: this process executed %d operators", errCell, c.base.Name, c.client.SideOps())
	}
	return nil
}

// Run generates once, verifies the tokens, and tells what it cost.
func (c *Cell) Run(ctx context.Context) (*Figures, error) {
	before, err := c.client.Stats(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	f := &Figures{Prompt: len(c.Work.Prompt)}
	start := c.client.Ledger()
	var first transport.Snapshot
	out, err := genie.Generate(ctx, s, c.model.LM, genie.GenerateRequest{
		Prompts: [][]int{c.Work.Prompt}, MaxNew: c.tokens, IgnoreEOS: true,
		OnToken: func(int, int) error {
			if f.Tokens++; f.Tokens == 1 {
				first = c.client.Ledger()
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	f.First, f.Rest = first.Sub(start), c.client.Ledger().Sub(first)
	f.TTFT, f.Steps, f.Executor = out.TTFT, out.Steps, out.Executor
	if err := c.Work.Verify(out.Tokens[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", c.base.Name, err)
	}
	after, err := c.client.Stats(ctx)
	if err != nil {
		return nil, err
	}
	if c.worker != nil {
		f.RemoteOps = after.Ops - before.Ops
	}
	return f, nil
}

// WorkerPeak is the peak of resident memory of the worker's process, 0 without
// a worker.
func (c *Cell) WorkerPeak(ctx context.Context) int64 {
	if c.worker == nil {
		return 0
	}
	st, err := c.client.Stats(ctx)
	if err != nil {
		return 0
	}
	return st.PeakRSS
}

// Close ends the worker and unmaps the model.
func (c *Cell) Close() error {
	var errs []error
	if c.client != nil {
		errs = append(errs, c.client.Close())
	}
	if c.worker != nil {
		errs = append(errs, c.worker.Close())
	}
	if c.model != nil {
		errs = append(errs, c.model.Close())
	}
	return errors.Join(errs...)
}
