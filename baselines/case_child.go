package baselines

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/workloads"
)

// Name identifies a case for the process that opens it.
type Name struct {
	Testdata string          `json:"testdata"`
	Workload string          `json:"workload"` // name
	Label    string          `json:"label"`    // workloads.ID.Label
	Scale    workloads.Scale `json:"scale"`
	Baseline string          `json:"baseline"`
	Net      string          `json:"net"`
	// Checkpoint replaces the scale's model; nil uses the scale's model.
	Checkpoint *workloads.Checkpoint `json:"checkpoint,omitempty"`
}

// Spec finds the case that n identifies.
func (n Name) Spec() (Spec, error) {
	base, err := Named(n.Baseline)
	if err != nil {
		return Spec{}, err
	}
	all, err := n.workloads()
	if err != nil {
		return Spec{}, err
	}
	for _, w := range all {
		if w.ID().Name == n.Workload && w.ID().Label() == n.Label {
			return Spec{Workload: w, Baseline: base, Net: n.Net}, nil
		}
	}
	return Spec{}, fmt.Errorf("%w: %s at scale %s has no %q", ErrUnknown, n.Workload, n.Scale, n.Label)
}

// workloads are those that n may identify. A checkpoint must be unchanged since
// the case was named.
func (n Name) workloads() ([]workloads.Workload, error) {
	if n.Checkpoint == nil {
		return Workloads(n.Testdata, n.Workload, n.Scale)
	}
	c, err := workloads.OpenCheckpoint(context.Background(), n.Checkpoint.Family, n.Checkpoint.Dir, nil)
	if err != nil {
		return nil, err
	}
	if c.Hash != n.Checkpoint.Hash {
		return nil, fmt.Errorf("%w: %s changed: it is %s, and was %s", workloads.ErrCheckpoint, c.Dir, c.Hash, n.Checkpoint.Hash)
	}
	return CheckpointWorkloads(c)
}

// order is the parent's request to a case's process: run for the given time, at
// least once.
type order struct {
	For time.Duration `json:"for_ns"`
}

// report is the answer: first the result of opening, then one result per order.
type report struct {
	Unavailable string            `json:"unavailable,omitempty"`
	Error       string            `json:"error,omitempty"`
	Versions    map[string]string `json:"versions,omitempty"`
	Settings    map[string]string `json:"settings,omitempty"`
	Runs        int               `json:"runs,omitempty"`
	Mean        time.Duration     `json:"mean_ns,omitempty"`
	Metrics     []Metric          `json:"metrics,omitempty"`
}

// runCase is the main function of a case's process. It reads a [Name], opens
// the case, and runs it as ordered until its input ends.
func runCase(in io.Reader, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		defer cancel() // a run in progress ends with its parent
		s := bufio.NewScanner(in)
		for s.Scan() {
			lines <- append([]byte(nil), s.Bytes()...)
		}
	}()
	var name Name
	if err := json.Unmarshal(<-lines, &name); err != nil {
		return fmt.Errorf("case's name: %w", err)
	}
	to := json.NewEncoder(out)
	spec, err := name.Spec()
	if err != nil {
		return to.Encode(report{Error: err.Error()})
	}
	c, err := Open(ctx, spec)
	if err != nil {
		return to.Encode(failed(err))
	}
	err = serveCase(ctx, c, spec, lines, to)
	return errors.Join(err, c.Close())
}

func failed(err error) report {
	if errors.Is(err, ErrUnavailable) {
		return report{Unavailable: err.Error()}
	}
	return report{Error: err.Error()}
}

func serveCase(ctx context.Context, c Case, spec Spec, lines <-chan []byte, to *json.Encoder) error {
	facts := c.Facts(ctx)
	if err := to.Encode(report{Versions: facts.Versions, Settings: facts.Settings}); err != nil {
		return err
	}
	for line := range lines {
		var o order
		if err := json.Unmarshal(line, &o); err != nil {
			return fmt.Errorf("order: %w", err)
		}
		r, err := obey(ctx, c, spec, o)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the parent has gone
		}
		if err != nil {
			r = failed(err)
		}
		if err := to.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// obey runs the case for a while. It first returns the memory that earlier runs
// left behind, so that no run pays for another.
func obey(ctx context.Context, c Case, spec Spec, o order) (report, error) {
	debug.FreeOSMemory()
	memory.ResetPeak()
	samples := NewSamples(spec.Workload)
	before, err := c.Ops(ctx)
	if err != nil {
		return report{}, err
	}
	for begin := time.Now(); samples.runs == 0 || time.Since(begin) < o.For; {
		f, err := c.Run(ctx)
		if err != nil {
			return report{}, err
		}
		samples.Add(f)
	}
	after, err := c.Ops(ctx)
	if err != nil {
		return report{}, err
	}
	return report{Runs: samples.Operations(), Mean: samples.Mean(), Metrics: samples.Metrics(c.Facts(ctx), after-before)}, nil
}
