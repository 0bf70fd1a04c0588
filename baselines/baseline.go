package baselines

import (
	"errors"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/semantic"
)

// Kind is what runs the model of a baseline.
type Kind uint8

// The kinds.
const (
	KindGenie           Kind = iota // this module, in this process or on a worker
	KindGorgonia                    // Gorgonia's own operators and machine
	KindReferenceSystem             // another implementation, in Python
)

// Baseline is one configuration of the comparison.
type Baseline struct {
	Name string
	Kind Kind
	// Policy and Scheme are those of [KindGenie]. Scheme is "tcp" or "grpc" for
	// a worker of its own, "" for this process.
	Policy semantic.Policy
	Scheme string
	// Threads are the compute threads of each worker, 0 for its default; a worker of
	// one thread runs on one CPU of its own. Placement divides the model over two such
	// workers; nil is one worker.
	Threads   int
	Placement semantic.Placement
	// Resend sends the plan with every run, although the worker has it.
	Resend bool
	// Ablation names one of [Ablations], "" for none.
	Ablation string
	// Program is the program of [KindReferenceSystem], Tolerance the allowed
	// error of its logits, as a fraction of the largest one.
	Program   string
	Tolerance float64
	// MaxTokens bounds the new tokens of a slow case at the small and full
	// scales; figures are per token. 0 means no bound.
	MaxTokens int
}

// Remote reports whether the baseline has a worker of this module.
func (b Baseline) Remote() bool { return b.Scheme != "" }

// CaptureOnly captures lazily and runs in this process.
func CaptureOnly() Baseline { return Baseline{Name: "capture-only", Policy: semantic.Full()} }

// LocalRemote keeps weights on a worker over TCP and moves everything else.
func LocalRemote() Baseline {
	return Baseline{Name: "local-remote", Policy: semantic.Resident(), Scheme: "tcp"}
}

// NoSemantics moves every tensor at every call, over TCP.
func NoSemantics() Baseline {
	return Baseline{Name: "no-semantics", Policy: semantic.Blind(), Scheme: "tcp", MaxTokens: 4}
}

// Full uses all semantic features over TCP.
func Full() Baseline { return Baseline{Name: "full", Policy: semantic.Full(), Scheme: "tcp"} }

// FullRPC is Full over gRPC.
func FullRPC() Baseline { return Baseline{Name: "full-rpc", Policy: semantic.Full(), Scheme: "grpc"} }

// FullOneThread is Full on one worker of one thread: what two workers are compared
// with.
func FullOneThread() Baseline {
	return Baseline{Name: "full-1w-1t", Policy: semantic.Full(), Scheme: "tcp", Threads: 1}
}

// FullTwoThreads is Full on one worker of two threads: the same two CPUs without a
// link between them.
func FullTwoThreads() Baseline {
	return Baseline{Name: "full-1w-2t", Policy: semantic.Full(), Scheme: "tcp", Threads: 2}
}

// Full2wPipeline divides the model into stages on two workers of one thread.
func Full2wPipeline() Baseline {
	return Baseline{Name: "full-2w-pipeline", Policy: semantic.Full(), Scheme: "tcp", Threads: 1, Placement: semantic.PlacePipeline()}
}

// Full2wBranches runs parallel branches on two workers of one thread, where the
// cost model predicts that this is faster.
func Full2wBranches() Baseline {
	return Baseline{Name: "full-2w-branches", Policy: semantic.Full(), Scheme: "tcp", Threads: 1, Placement: semantic.PlaceBranches()}
}

// TwoWorkers are the baselines of models that are divided over two workers, and the
// single workers beside them.
func TwoWorkers() []Baseline {
	return []Baseline{FullOneThread(), FullTwoThreads(), Full2wPipeline(), Full2wBranches()}
}

// LocalGorgonia runs the captured program lowered to Gorgonia's own operators
// on its TapeMachine. Shapes in Gorgonia are numbers, so every length needs its
// own program. Building and compiling it is part of the step, as in a service
// that uses Gorgonia this way.
func LocalGorgonia() Baseline {
	return Baseline{Name: "local-gorgonia", Kind: KindGorgonia, MaxTokens: 4}
}

// LocalPyTorch runs transformers' models in one PyTorch process, with the best
// number of threads and, for images, the best memory format.
func LocalPyTorch() Baseline {
	return Baseline{Name: "local-pytorch", Kind: KindReferenceSystem, Program: systems.PyTorch, Tolerance: 2e-5}
}

// PyTorchRPC keeps the model and its cache in a worker of
// torch.distributed.rpc, with one call per step.
func PyTorchRPC() Baseline {
	return Baseline{Name: "pytorch-rpc", Kind: KindReferenceSystem, Program: systems.PyTorchRPC, Tolerance: 2e-5}
}

// Ray keeps the model and its cache in a Ray actor, with one call per step.
func Ray() Baseline {
	return Baseline{Name: "ray", Kind: KindReferenceSystem, Program: systems.Ray, Tolerance: 2e-5}
}

// ONNXRuntime runs the exported model in one process.
func ONNXRuntime() Baseline {
	return Baseline{Name: "onnxruntime", Kind: KindReferenceSystem, Program: systems.ONNXRuntime, Tolerance: 2e-5}
}

// LlamaCppRPC runs llama.cpp with its RPC backend on a worker. Its GELU is a
// table of float16 values.
func LlamaCppRPC() Baseline {
	return Baseline{Name: "llamacpp-rpc", Kind: KindReferenceSystem, Program: systems.LlamaCPPRPC, Tolerance: 5e-3}
}

// Ablations are Full with its features added one by one. Each is a set of
// switches of one program; the last one is Full itself. It is part of the name,
// since tables of benchstat have one column per baseline.
func Ablations() []Baseline {
	ablations := []semantic.Features{
		{Label: "weights", Weights: true},
		{Label: "weights+plan", Weights: true},
		{Label: "weights+plan+kv", Weights: true, State: true},
		{Label: "weights+plan+kv+sampling", Weights: true, State: true, Sampling: true, Prune: true},
		{Label: "weights+plan+kv+sampling+loop", Weights: true, State: true, Sampling: true, Prune: true, Loop: true},
	}
	out := make([]Baseline, 0, len(ablations))
	for i, f := range ablations {
		out = append(out, Baseline{Name: "full:" + f.Label, Ablation: f.Label, Policy: f, Resend: i == 0, Scheme: "tcp"})
	}
	return out
}

// All are the baselines without the ablations, in the order of tables.
func All() []Baseline {
	return []Baseline{
		LocalPyTorch(), CaptureOnly(), LocalRemote(), NoSemantics(), Full(), PyTorchRPC(), Ray(),
		LocalGorgonia(), ONNXRuntime(), LlamaCppRPC(), FullRPC(),
	}
}

// ErrUnknown is the cause of an error about a name that matches no baseline or
// workload.
var ErrUnknown = errors.New("genie: unknown name")

// Named finds a baseline by its name, including the ablations and those of
// [TwoWorkers].
func Named(name string) (Baseline, error) {
	var names []string
	for _, b := range slices.Concat(All(), Ablations(), TwoWorkers()) {
		if b.Name == name {
			return b, nil
		}
		names = append(names, b.Name)
	}
	return Baseline{}, fmt.Errorf("%w: no baseline %q, there are %q", ErrUnknown, name, names)
}
