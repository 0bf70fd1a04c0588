package baselines

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

var (
	// ErrUnavailable is the cause of an error about a case that cannot run on
	// this machine. The text is the reason.
	ErrUnavailable = errors.New("genie: unavailable")
	// errCase is the cause of errors of a case that does not do what it claims.
	errCase = errors.New("genie: benchmark case")
)

// Spec selects the case to open.
type Spec struct {
	Workload workloads.Workload
	Baseline Baseline
	Net      string // link profile by name; "" is loopback
}

// net is the name of the link.
func (s Spec) net() string {
	if s.Net == "" {
		return link.Loopback().Name
	}
	return s.Net
}

// shaped reports whether the link is slower than loopback.
func (s Spec) shaped() bool { return s.net() != link.Loopback().Name }

// Label is the case's part of a result's name, key=value by key=value.
func (s Spec) Label() string {
	id := s.Workload.ID()
	label := fmt.Sprintf("workload=%s/baseline=%s", id.Label(), s.Baseline.Name)
	if s.Baseline.Ablation != "" {
		label += "/ablation=" + s.Baseline.Ablation
	}
	label += fmt.Sprintf("/model=%s/batch=%d", id.Model, id.Batch)
	if id.Variant != "" {
		label += "/variant=" + id.Variant
	}
	return label + "/net=" + s.net()
}

// Benchmark is the case's full name. Its first part is the Go benchmark that
// runs it.
func (s Spec) Benchmark() string {
	base := camel(s.Baseline.Name)
	if s.Baseline.Ablation != "" {
		base = "Ablation"
	}
	return fmt.Sprintf("Benchmark%s_%s/%s", camel(s.Workload.ID().Name), base, s.Label())
}

// camel turns llm-decode into LLMDecode.
func camel(name string) string {
	whole := map[string]string{
		"llm": "LLM", "cnn": "CNN", "vqa": "VQA", "rpc": "RPC", "pytorch": "PyTorch", "onnxruntime": "ONNXRuntime", "llamacpp": "LlamaCpp",
	}
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		switch {
		case whole[part] != "":
			b.WriteString(whole[part])
		case part != "":
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

// Meaningful reports whether the case belongs to the matrix. The ablations,
// llama.cpp and the lowering to Gorgonia's own operators apply only to language
// models, which use every feature; ONNX Runtime runs whole models.
func (s Spec) Meaningful() bool {
	switch id := s.Workload.ID(); {
	case isLLM(id):
		return true
	case s.Baseline.Ablation != "", s.Baseline.Kind == KindGorgonia, s.Baseline.Program == systems.LlamaCPPRPC:
		return false
	default:
		return id.Name != micro.Name || s.Baseline.Program != systems.ONNXRuntime
	}
}

// blind reports whether every tensor crosses a shaped link.
func (s Spec) blind() bool { return s.shaped() && s.Baseline.Name == NoSemantics().Name }

// Samples is the number of samples that suffice, 0 for any: one where every
// tensor crosses a shaped link.
func (s Spec) Samples() int {
	if s.blind() {
		return 1
	}
	return 0
}

// maxTokens is the bound on new tokens: none at the tiny scale; one step where
// every tensor crosses a shaped link, and four where the cache does.
func (s Spec) maxTokens() int {
	f, moves := s.Baseline.Policy.(semantic.Features)
	switch {
	case s.Workload.ID().Scale == workloads.Tiny:
		return 0
	case s.blind():
		return 2
	case s.shaped() && moves && !f.State:
		return 5
	}
	return s.Baseline.MaxTokens
}

// maxBatches is the bound on batches of images.
func (s Spec) maxBatches() int {
	if s.blind() {
		return 1
	}
	return 0
}

// Case is one workload with one baseline, opened and verified.
type Case interface {
	// Run runs the workload once and verifies its output.
	Run(ctx context.Context) (*Figures, error)
	// Ops is the number of operators that a worker of this module executed so
	// far; 0 where there is none.
	Ops(ctx context.Context) (int64, error)
	// Facts are properties that do not depend on the run.
	Facts(ctx context.Context) Facts
	// Close ends the processes that the case started.
	Close() error
}

// Figures are the costs of one run of a case.
type Figures struct {
	workloads.Run
	Total      time.Duration      // of the whole run
	Prompt     int                // prompt tokens of a language model
	FirstMoved transport.Snapshot // up to the first result
	RestMoved  transport.Snapshot // after it
	Counted    bool               // whether bytes and round trips are known
}

// Facts are the properties of an opened case.
type Facts struct {
	MaxAbsErr float64           // of the verified output, against the reference
	PeakRSS   map[string]int64  // bytes by role: client, worker
	Versions  map[string]string // of other implementations, by library
	// Settings record how another implementation was run where there is a
	// choice: threads, memory format, transport.
	Settings map[string]string
}

// Open loads the model, starts the processes of the baseline, runs the workload
// once and verifies its output. A case that cannot run on this machine is
// [ErrUnavailable]; it never falls back to another.
func Open(ctx context.Context, s Spec) (Case, error) {
	switch s.Baseline.Kind {
	case KindGorgonia:
		return openGorgonia(ctx, s)
	case KindReferenceSystem:
		return startSystem(ctx, s)
	case KindGenie:
	}
	return openGenie(ctx, s)
}
