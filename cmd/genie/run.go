package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/npy"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/lazy/onnx"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
)

type runOptions struct {
	model, executor, policy string
	placement               string
	secure                  secureFlags
	inputs, outputs         []string
	threads                 int
	json                    bool
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run --model FILE.onnx --input NAME=FILE.npy … --output NAME=FILE.npy …",
		Short: "Run an ONNX model",
		Long: `run computes outputs of an ONNX model, in this process or on a worker.

Inputs and outputs are NumPy files (numpy.save) of float32, int32, int64 or bool,
under the names that the model gives them. Without --output all outputs are
computed, and a summary of each is printed.

Sizes that the model leaves open are those of the inputs. Where a shape of the
model depends on the content of an input, it is computed for that content. What
cannot be computed is refused before anything runs, by the names of all its nodes.`,
		Example: `  genie run --model resnet50.onnx --input data=image.npy --output prob=prob.npy
  genie run --model minilm.onnx --input input_ids=ids.npy --input attention_mask=mask.npy --json
  genie run --model resnet50.onnx --input data=image.npy --executor tcp://127.0.0.1:7070`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runModel(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "ONNX file; files of external data are beside it (required)")
	f.StringArrayVar(&o.inputs, "input", nil, "NAME=FILE.npy: an input and its content; repeat it for each input")
	f.StringArrayVar(&o.outputs, "output", nil, "NAME=FILE.npy: an output and where to write it, or NAME to print a summary; repeat it")
	f.StringVar(&o.executor, "executor", "local:", "where to run: local:, tcp://host:port or grpc://host:port")
	placementFlag(f, &o.placement)
	o.secure.flags(f, "--executor")
	f.StringVar(&o.policy, "policy", "full", "what stays on the executor between calls: blind, resident or full")
	f.IntVar(&o.threads, "threads", 0, "compute threads of local:; 0 means one per CPU")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of text")
	return cmd
}

// pairs splits NAME=FILE flags. A name may be given once.
func pairs(flag string, list []string, fileRequired bool) (names []string, files map[string]string, err error) {
	files = map[string]string{}
	for _, s := range list {
		name, file, ok := strings.Cut(s, "=")
		if name == "" || fileRequired && !ok || ok && file == "" {
			return nil, nil, usagef("--%s is %q, not NAME=FILE.npy", flag, s)
		}
		if _, twice := files[name]; twice {
			return nil, nil, usagef("--%s %s is given twice", flag, name)
		}
		names, files[name] = append(names, name), file
	}
	return names, files, nil
}

// outputReport is one output of genie run.
type outputReport struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	File  string `json:"file,omitempty"`
	First []any  `json:"first"` // elements
}

// modelReport is what run --json prints.
type modelReport struct {
	Outputs []outputReport `json:"outputs"`
	// Fixed are inputs that shapes depend on: the program was made for their content.
	Fixed []string `json:"fixed,omitempty"`
	runReport
}

func (a *app) runModel(ctx context.Context, o runOptions) error {
	if o.model == "" {
		return usagef("--model is missing: an ONNX file")
	}
	if o.threads < 0 {
		return usagef("--threads is %d", o.threads)
	}
	policy, err := semantic.PolicyNamed(o.policy)
	if err != nil {
		return &usageError{err}
	}
	wanted, files, err := pairs("output", o.outputs, false)
	if err != nil {
		return err
	}
	for _, name := range wanted {
		if files[name] == "" {
			continue
		}
		if err := atomicfile.Check(files[name]); err != nil {
			return fmt.Errorf("--output %s: %w", name, err)
		}
	}
	arrays, err := readInputs(o.inputs)
	if err != nil {
		return err
	}
	p, err := a.openONNX(ctx, o.model, runShapes(arrays)...)
	if err != nil {
		return err
	}
	defer p.Close()
	feed, outputs, err := bindRun(p, arrays, wanted)
	if err != nil {
		return err
	}
	report := modelReport{Fixed: p.Fixed(), runReport: runReport{Policy: policy.Name(), Executor: o.executor}}
	values, err := a.runProgram(ctx, &o, policy, feed, outputs, &report.runReport)
	if err != nil {
		return err
	}
	return a.writeOutputs(ctx, &o, &report, outputs, values, files)
}

// openONNX reads a model. What a model refuses is not a wrong flag; an input that
// it does not have is one.
func (a *app) openONNX(ctx context.Context, path string, opts ...onnx.Option) (*onnx.Program, error) {
	hashing := a.progress("hashing weights")
	defer hashing.stop()
	p, err := onnx.Open(ctx, path, append(opts, onnx.WithProgress(hashing.report))...)
	if errors.Is(err, onnx.ErrOption) {
		return nil, &usageError{err}
	}
	return p, err
}

func readInputs(list []string) (map[string]transport.Tensor, error) {
	names, files, err := pairs("input", list, true)
	if err != nil {
		return nil, err
	}
	out := map[string]transport.Tensor{}
	for _, name := range names {
		t, err := readArray(files[name])
		if err != nil {
			return nil, fmt.Errorf("--input %s: %w", name, err)
		}
		out[name] = t
	}
	return out, nil
}

// readArray reads a .npy file, whose own size bounds what its header may say.
func readArray(path string) (transport.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return transport.Tensor{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return transport.Tensor{}, err
	}
	t, err := npy.Read(f, info.Size())
	if err != nil {
		return transport.Tensor{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// runShapes gives the inputs the sizes of what they are fed, and their content in
// case a shape depends on it.
func runShapes(arrays map[string]transport.Tensor) []onnx.Option {
	var opts []onnx.Option
	for name, t := range arrays {
		dims := make([]any, len(t.Shape))
		for i, n := range t.Shape {
			dims[i] = n
		}
		opts = append(opts, onnx.WithInput(name, dims...), onnx.WithShapeValue(name, t), onnx.WithOverride(name))
	}
	return opts
}

// bindRun finds the inputs and outputs of a run. Inputs that the outputs need and that
// are not carried must be given.
func bindRun(p *onnx.Program, arrays map[string]transport.Tensor, wanted []string) (genie.Feed, []lazy.Named, error) {
	feed := genie.Feed{}
	for name, t := range arrays {
		if !slices.Contains(p.Fixed(), name) {
			feed[name] = genie.FromTensor(t)
		}
	}
	var missing []string
	for _, in := range p.Inputs() {
		carried := slices.ContainsFunc(p.Carries(), func(c lazy.Carried) bool { return c.In == in })
		if feed[in.Name()] == nil && !carried {
			missing = append(missing, fmt.Sprintf("--input %s=FILE.npy (%v)", in.Name(), in.Spec()))
		}
	}
	if len(missing) > 0 {
		return nil, nil, usagef("missing: %s", strings.Join(missing, ", "))
	}
	if len(wanted) == 0 {
		return feed, p.Outputs(), nil
	}
	var outputs []lazy.Named
	for _, name := range wanted {
		t := p.Output(name)
		if t == nil {
			var names []string
			for _, o := range p.Outputs() {
				names = append(names, o.Name)
			}
			return nil, nil, usagef("the model has no output %q; it has %s", name, strings.Join(names, ", "))
		}
		outputs = append(outputs, lazy.Named{Name: name, Tensor: t})
	}
	return feed, outputs, nil
}

// runProgram makes one run, in a session of its own.
func (a *app) runProgram(ctx context.Context, o *runOptions, policy semantic.Policy, feed genie.Feed, outputs []lazy.Named, report *runReport) ([]*genie.Value, error) {
	opts, err := o.secure.options()
	if err != nil {
		return nil, err
	}
	upload := a.progress("loading weights")
	defer upload.stop()
	placed, err := placementOptions(o.placement)
	if err != nil {
		return nil, err
	}
	client, err := genie.Open(ctx, o.executor, append(append(opts, placed...),
		genie.WithPolicy(policy), genie.WithThreads(o.threads), genie.WithProgress(upload.report), genie.WithLogger(a.warnings()))...)
	if errors.Is(err, genie.ErrURL) {
		return nil, &usageError{err}
	}
	if err != nil {
		return nil, err
	}
	defer client.Close()
	session, err := client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	before, err := client.Stats(ctx)
	if err != nil {
		return nil, err
	}
	tensors := make([]*lazy.Tensor, len(outputs))
	for i, out := range outputs {
		tensors[i] = out.Tensor
	}
	start, moved := time.Now(), client.Ledger()
	values, err := session.Run(ctx, feed, tensors...)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if _, err := v.Tensor(ctx); err != nil {
			return nil, err
		}
	}
	total := time.Since(start)
	report.Latency = milliseconds(session.ExecutorTime())
	report.Setup = max(0, milliseconds(total)-report.Latency)
	bytes := client.Ledger().Sub(moved)
	report.RoundTrips, report.Wire = bytes.RoundTrips, newWireReport(bytes)
	if after, err := client.Stats(ctx); err == nil && !strings.HasPrefix(o.executor, "local:") {
		report.RemoteOps, report.WorkerPID = after.Ops-before.Ops, after.PID
	}
	return values, nil
}
