package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/imaging"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
)

// visionOptions are the flags of the commands that take images.
type visionOptions struct {
	model, executor, policy string
	hashes                  string
	secure                  secureFlags

	images  []string
	threads int
	json    bool
}

func (o *visionOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.model, "model", "", "directory of the checkpoint (required)")
	f.StringArrayVar(&o.images, "image", nil, "JPEG, PNG, GIF, WebP or BMP file (required); repeat it for a batch")
	f.StringVar(&o.executor, "executor", "local:", "where to run: local:, tcp://host:port or grpc://host:port")
	o.secure.flags(f, "--executor")
	f.StringVar(&o.policy, "policy", "full", "what stays on the executor between calls: blind, resident or full")
	hashesFlag(f, &o.hashes)
	f.IntVar(&o.threads, "threads", 0, "compute threads of local:; 0 means one per CPU")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of text")
}

func (o *visionOptions) check() error {
	switch {
	case o.model == "":
		return usagef("--model is missing: the directory of a checkpoint")
	case len(o.images) == 0:
		return usagef("--image FILE is missing")
	case o.threads < 0:
		return usagef("--threads is %d", o.threads)
	}
	return nil
}

func (o *visionOptions) remote() bool { return !strings.HasPrefix(o.executor, "local:") }

// pixels reads and preprocesses the images as the checkpoint's
// preprocessor_config.json says.
func (o *visionOptions) pixels(ctx context.Context, kind imaging.Kind) (imaging.Pixels, error) {
	p, err := imaging.LoadProcessor(o.model, kind)
	if err != nil {
		return imaging.Pixels{}, err
	}
	images := make([]*imaging.Image, len(o.images))
	for i, path := range o.images {
		if ctx.Err() != nil {
			return imaging.Pixels{}, context.Cause(ctx)
		}
		if images[i], err = imaging.Open(path, imaging.Limits{}); err != nil {
			return imaging.Pixels{}, err
		}
	}
	return p.Process(images...)
}

// tensor is the images as a program's input.
func tensor(p imaging.Pixels) *genie.Value {
	return genie.Float32s(p.Data, p.Batch, 3, p.Height, p.Width)
}

// visionModel is a loaded checkpoint with its inputs.
type visionModel struct {
	feed    genie.Feed
	outputs []*lazy.Tensor
	close   func() error
}

// runReport is the common part of the reports of commands that make a run.
type runReport struct {
	Policy     string     `json:"policy"`
	Executor   string     `json:"executor"`
	Setup      float64    `json:"setup_ms"` // plan and weights to the executor
	Latency    float64    `json:"latency_ms"`
	RoundTrips int64      `json:"rtts"`
	Wire       wireReport `json:"wire"`
	RemoteOps  int64      `json:"remote_ops"`
	WorkerPID  int        `json:"worker_pid,omitempty"`
}

// look opens the executor, loads a model and runs it once.
func (a *app) look(ctx context.Context, o *visionOptions, load func(transport.Progress) (*visionModel, error)) ([][]float32, *runReport, error) {
	policy, err := semantic.PolicyNamed(o.policy)
	if err != nil {
		return nil, nil, &usageError{err}
	}
	secure, err := o.secure.options()
	if err != nil {
		return nil, nil, err
	}
	moving := "loading weights"
	if o.remote() {
		moving = "sending weights"
	}
	upload := a.progress(moving)
	defer upload.stop()
	client, err := genie.Open(ctx, o.executor, append(secure,
		genie.WithPolicy(policy), genie.WithThreads(o.threads), genie.WithProgress(upload.report))...)
	if errors.Is(err, genie.ErrURL) {
		return nil, nil, &usageError{err}
	}
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	hashing := a.progress("hashing weights")
	m, err := load(hashing.report)
	hashing.stop()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = m.close() }()
	report := &runReport{Policy: policy.Name(), Executor: o.executor}
	out, err := runVision(ctx, client, m, report, o.remote())
	return out, report, err
}

// runVision runs a model in a separate session. It reads the worker's counters
// before and after: work of other clients in between is included.
func runVision(ctx context.Context, client *genie.Client, m *visionModel, report *runReport, remote bool) ([][]float32, error) {
	session, err := client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	before, err := client.Stats(ctx)
	if err != nil {
		return nil, err
	}
	srg, err := client.Analyze(m.outputs[0].Graph())
	if err != nil {
		return nil, err
	}
	profile, err := srg.ProfileOf(nil) // these programs carry nothing, so the profile does not depend on sizes
	if err != nil {
		return nil, err
	}
	start, wire := time.Now(), client.Ledger()
	if err := session.Prepare(ctx, profile, m.outputs...); err != nil {
		return nil, err
	}
	ready := time.Now()
	values, err := session.Run(ctx, m.feed, m.outputs...)
	if err != nil {
		return nil, err
	}
	out := make([][]float32, len(values))
	for i, v := range values {
		if out[i], err = v.Float32s(ctx); err != nil {
			return nil, err
		}
	}
	report.Setup, report.Latency = milliseconds(ready.Sub(start)), milliseconds(time.Since(ready))
	moved := client.Ledger().Sub(wire)
	report.RoundTrips, report.Wire = moved.RoundTrips, newWireReport(moved)
	after, err := client.Stats(ctx)
	if err != nil {
		return nil, err
	}
	if remote {
		report.RemoteOps, report.WorkerPID = after.Ops-before.Ops, after.PID
	}
	return out, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// ran prints the costs of a run on a terminal.
func (a *app) ran(r *runReport, images int) {
	if a.progress("").out == nil {
		return
	}
	_, _ = fmt.Fprintf(a.stderr, "%d images in %.1f ms after %.1f ms of setup; %d round trips, %s sent, %s received\n",
		images, r.Latency, r.Setup, r.RoundTrips, formatBytes(sum(r.Wire.Sent)), formatBytes(sum(r.Wire.Received)))
}
