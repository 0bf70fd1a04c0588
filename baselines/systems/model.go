package systems

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ModelOptions select the workload's model that a reference system opens, and
// how it opens it.
type ModelOptions struct {
	Options
	// Workload is llm-decode, llm-prefill, vision-cnn, multimodal-vqa or micro.
	Workload string
	Dir      string // checkpoint in the layout of Hugging Face; "" for micro
	DType    string // of weights; "" is f32
	Form     string // memory format of images, one of [Forms]; "" is contiguous
	// Proxy, if not nil, puts something between the program and its worker. It
	// gets the address at which the worker listens, and returns the one to
	// connect to instead, both host:port. It is called before the program
	// connects; its connection must last until Close.
	Proxy func(target string) (listen string, err error)
}

// Forms are the plausible memory formats of a workload on PyTorch: the faster
// one depends on the machine.
func Forms(workload string) []string {
	if workload == "vision-cnn" || workload == "multimodal-vqa" {
		return []string{"contiguous", "channels_last"}
	}
	return []string{"contiguous"}
}

// Model is a reference system with an open model of a workload, in its own
// process or in a worker's.
type Model struct {
	*System
	Threads int // as reported by the program
	// Transports names the transport between the program and its worker: ""
	// without a worker; default or uv for TensorPipe, driver or client for Ray.
	Transports string
}

// StartModel starts a program and lets it load a workload's model. A feature
// that a program lacks is [ErrUnavailable].
func StartModel(ctx context.Context, program string, o ModelOptions) (*Model, error) {
	p, err := Start(ctx, program, o.Options)
	if err != nil {
		return nil, err
	}
	m, err := openModel(ctx, p, o)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return m, nil
}

func openModel(ctx context.Context, p *System, o ModelOptions) (*Model, error) {
	if o.DType == "" {
		o.DType = "f32"
	}
	if o.Proxy != nil && !Remote(p.program) {
		return nil, fmt.Errorf("%w: %s computes in one process: there is no link to shape", ErrUnavailable, p.program)
	}
	args := map[string]any{"workload": o.Workload, "dir": o.Dir, "dtype": o.DType, "form": o.Form}
	if Remote(p.program) {
		var prepared struct {
			Targets []string `json:"targets"`
		}
		args["linked"] = o.Proxy != nil
		if _, err := p.Call(ctx, "prepare", args, nil, &prepared); err != nil {
			return nil, err
		}
		delete(args, "linked")
		proxies := map[string]string{}
		for _, target := range prepared.Targets {
			listen, err := o.Proxy(target)
			if err != nil {
				return nil, err
			}
			proxies[target] = listen
		}
		args["proxies"] = proxies
	}
	var opened struct {
		Threads    int    `json:"threads"`
		Transports string `json:"transports"`
	}
	if _, err := p.Call(ctx, "open", args, nil, &opened); err != nil {
		return nil, err
	}
	return &Model{System: p, Threads: opened.Threads, Transports: opened.Transports}, nil
}

// Generate generates once; the model is a language model.
func (m *Model) Generate(ctx context.Context, g Generate) (*Generation, error) {
	return generate(ctx, m.System, g)
}

// RunArgs configure [Model.Run].
type RunArgs struct {
	Op     string         // of micro: matmul, conv, attention, linear, batch_norm, upload, download, echo
	Attrs  map[string]any // of the operator: stride, pad, causal, eps
	Timing                // neither: once
}

// Ran is the result of [Model.Run], timed by the clock of the program's
// process: from having the inputs in its memory to having the outputs there.
type Ran struct {
	Times []time.Duration // of each run
	Calls int             // to a worker, of all runs
}

// Run runs a model on inputs as often as the arguments require and returns the
// last run's outputs. nil inputs reuse those of the previous run, which saves
// their transfer to the program; that transfer is never part of the times.
//
// vision-cnn takes pixels, f32 [batch, 3, height, width], and returns logits
// [batch, classes]. multimodal-vqa takes pixels, tokens and mask, i32 [texts,
// seq], and returns logits_per_image [images, texts]. Operators of micro take
// their inputs and the tensors of [Model.Hold], and return y.
func (m *Model) Run(ctx context.Context, inputs map[string]Tensor, a RunArgs) (map[string]Tensor, *Ran, error) {
	args := map[string]any{"repeat": max(a.Repeat, 1), "seconds": a.For.Seconds(), "again": inputs == nil}
	if a.Repeat == 0 && a.For > 0 {
		args["repeat"] = 1 << 30
	}
	if a.Op != "" {
		args["op"] = a.Op
	}
	if a.Attrs != nil {
		args["attrs"] = a.Attrs
	}
	var r struct {
		Ns    []int64 `json:"ns"`
		Calls int     `json:"remote_calls"`
	}
	out, err := m.Call(ctx, "run", args, inputs, &r)
	if err != nil {
		return nil, nil, err
	}
	if len(r.Ns) == 0 || len(out) == 0 {
		return nil, nil, fmt.Errorf("%w: run returned no output or times", ErrProtocol)
	}
	ran := &Ran{Calls: r.Calls}
	for _, ns := range r.Ns {
		ran.Times = append(ran.Times, time.Duration(ns))
	}
	return out, ran, nil
}

// Hold keeps tensors where an operator of micro computes, as further inputs of
// later runs, and replaces those held before.
func (m *Model) Hold(ctx context.Context, tensors map[string]Tensor) error {
	_, err := m.Call(ctx, "hold", nil, tensors, nil)
	return err
}

// Stats are what a model's processes report about themselves.
type Stats struct {
	Calls     int       `json:"remote_calls"` // from the program to its worker since it opened
	Workers   []Worker  `json:"workers"`      // as they report themselves; empty for a single process
	Processes []Process `json:"processes"`    // the program's and all below it
}

// Worker is a process that holds the model and computes. llama.cpp's reports
// nothing: its numbers are 0 except for the process's.
type Worker struct {
	PID          int   `json:"pid"`
	Served       int   `json:"served"` // calls that it answered
	PeakRSSBytes int64 `json:"peak_rss_bytes"`
}

// Process is one process of a reference system.
type Process struct {
	PID          int           `json:"pid"`
	Role         string        `json:"role"` // client, worker, or other: Ray's daemons
	Command      string        `json:"command"`
	PeakRSSBytes int64         `json:"peak_rss_bytes"`
	CPU          time.Duration `json:"cpu_ns"` // used so far; 0 where the system does not report it
}

// Stats requests the statistics, with a call to the worker that is not counted.
func (m *Model) Stats(ctx context.Context) (*Stats, error) {
	var s Stats
	if _, err := m.Call(ctx, "stats", nil, nil, &s); err != nil {
		return nil, err
	}
	return &s, nil
}
