package systems

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ModelOptions say which workload's model a reference system opens, and how.
type ModelOptions struct {
	Options
	// Workload is llm-decode, llm-prefill, vision-cnn, multimodal-vqa or micro.
	Workload string
	Dir      string // checkpoint in the layout of Hugging Face; "" for micro
	DType    string // of weights; "" is f32
	Form     string // memory format of images, one of [Forms]; "" is contiguous
	// Proxy, if not nil, puts something between the program and its worker: it
	// is given the address at which the worker listens, and returns the one to
	// connect to instead, both host:port. It is called before the program
	// connects; what it makes has to last until Close.
	Proxy func(target string) (listen string, err error)
}

// Forms are the memory formats that are worth a try for a workload on PyTorch:
// which one is faster depends on the machine.
func Forms(workload string) []string {
	if workload == "vision-cnn" || workload == "multimodal-vqa" {
		return []string{"contiguous", "channels_last"}
	}
	return []string{"contiguous"}
}

// Model is a reference system that has a workload's model open, in its own process or in a
// worker's.
type Model struct {
	*System
	Threads int // that it says it uses
	// Transports says what is between the program and its worker: "" where there
	// is none; default or uv for TensorPipe, driver or client for Ray.
	Transports string
}

// StartModel starts a program and lets it load a workload's model. What a
// program does not offer is [ErrUnavailable].
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

// RunArgs are how [Model.Run] runs.
type RunArgs struct {
	Op     string         // of micro: matmul, conv, attention, linear, batch_norm, upload, download, echo
	Attrs  map[string]any // of the operator: stride, pad, causal, eps
	Timing                // neither: once
}

// Ran is what [Model.Run] measured by the clock of the program's process: from
// having the inputs in its memory to having the outputs there.
type Ran struct {
	Times []time.Duration // of each run
	Calls int             // to a worker, of all runs
}

// Run runs a model on inputs as often as the arguments say and returns the last
// run's outputs. nil inputs are those of the run before, which saves their way to
// the program; that way is never part of the times.
//
// vision-cnn takes pixels, f32 [batch, 3, height, width], and gives logits
// [batch, classes]. multimodal-vqa takes pixels, tokens and mask, i32
// [texts, seq], and gives logits_per_image [images, texts]. Operators of micro
// take their inputs and what [Model.Hold] keeps, and give y.
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
		return nil, nil, fmt.Errorf("%w: run answers without output or times", ErrProtocol)
	}
	ran := &Ran{Calls: r.Calls}
	for _, ns := range r.Ns {
		ran.Times = append(ran.Times, time.Duration(ns))
	}
	return out, ran, nil
}

// Hold keeps tensors where an operator of micro computes, as further inputs of
// the runs to come, in place of those held before.
func (m *Model) Hold(ctx context.Context, tensors map[string]Tensor) error {
	_, err := m.Call(ctx, "hold", nil, tensors, nil)
	return err
}

// Stats are what a model's processes say of themselves.
type Stats struct {
	Calls     int       `json:"remote_calls"` // that the program made to its worker since it opened
	Workers   []Worker  `json:"workers"`      // as they answer themselves; none where there is one process
	Processes []Process `json:"processes"`    // the program's and all below it
}

// Worker is a process that has the model and computes. llama.cpp's tells
// nothing: its numbers are 0 but for the process's.
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
	CPU          time.Duration `json:"cpu_ns"` // that it used so far; 0 where the system does not say
}

// Stats asks for them, with a call to the worker that is not counted.
func (m *Model) Stats(ctx context.Context) (*Stats, error) {
	var s Stats
	if _, err := m.Call(ctx, "stats", nil, nil, &s); err != nil {
		return nil, err
	}
	return &s, nil
}
