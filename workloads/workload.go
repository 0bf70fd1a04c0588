package workloads

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
)

// ErrMismatch is the cause of the error when a workload's output is not the
// expected one.
var ErrMismatch = errors.New("genie: output differs from the reference")

// ID names a workload in results.
type ID struct {
	Name string // llm-decode, llm-prefill, vision-cnn, multimodal-vqa, micro
	// Variant distinguishes workloads of one name: an operator, a prompt
	// length.
	Variant string
	Model   string // gpt2, resnet-50, clip-vit-base-patch32, …
	Scale   Scale
	Batch   int
	// Checkpoint is the [Checkpoint.Label] of a directory that replaces the
	// scale's model, "" without one.
	Checkpoint string
}

// Label is the name with what distinguishes it at its scale: llm-decode,
// llm-decode-b4, micro-matmul, llm-decode-austen@1b2c3d4e5f60. No two workloads
// of a scale or of checkpoints share one.
func (id ID) Label() string {
	s := id.Name
	if id.Variant != "" {
		s += "-" + id.Variant
	}
	if id.Checkpoint != "" {
		s += "-" + id.Checkpoint
	}
	if id.Batch > 1 {
		s += fmt.Sprintf("-b%d", id.Batch)
	}
	return s
}

// Workload is one workload at one scale and batch size, with constant inputs
// and the output that another implementation computed from them. It is
// immutable.
type Workload interface {
	ID() ID
	// Dir is the directory of the checkpoint in the Hugging Face layout. A
	// checkpoint with random weights is created at first use. progress may be
	// nil.
	Dir(ctx context.Context, progress transport.Progress) (string, error)
	// Load captures the model of such a directory as a program.
	Load(ctx context.Context, dir string) (Program, error)
	// Inputs are the input tensors by name, as other implementations get them.
	Inputs() map[string]transport.Tensor
	// Verify compares an output with the reference. It returns the largest
	// absolute difference of a floating-point output, 0 for tokens, and an
	// error that wraps [ErrMismatch] when the output is not good enough.
	Verify(Output) (maxAbs float64, err error)
}

// Program is a loaded model. It is safe for concurrent use until Close.
type Program interface {
	// Graph is the captured program.
	Graph() *lazy.Graph
	// Open prepares the program to run on a client's executor: sessions are
	// open, and weights are in place when it returns if the client's policy
	// retains them.
	Open(ctx context.Context, client *genie.Client) (Runner, error)
	Close() error
}

// Runner runs a workload repeatedly on one executor.
type Runner interface {
	// Run runs the workload once.
	Run(ctx context.Context, o RunOptions) (*Run, error)
	Close() error
}

// RunOptions configure a run. The zero value is a complete run.
type RunOptions struct {
	// MaxTokens bounds the new tokens of a language model, for slow
	// configurations. 0 means no limit.
	MaxTokens int
	// MaxBatches bounds the batches of a stream of images, likewise.
	MaxBatches int
	// Serial runs a stream's batches one after the other, so that no transfer
	// overlaps computing.
	Serial bool
	// OnFirst is called with the first result.
	OnFirst func()
	// Check requests everything that Verify can compare; such a run is not
	// timed.
	Check bool
}

// Run is one run and the time that it took.
type Run struct {
	Output
	// Items is the work of the run, in the workload's unit: new tokens, prompt
	// tokens, images.
	Items int
	// First is the time to the first result, Steps the times between results.
	First time.Duration
	Steps []time.Duration
	// Executor is the executor's time of each of its runs.
	Executor []time.Duration
}

// Output is what a workload computes.
type Output struct {
	Tokens  [][]int              // new tokens of each sequence
	Tensors map[string][]float32 // by name, row-major
}
