package llm

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// The workloads.
const (
	Decode  = "llm-decode"  // 72 prompt tokens, 50 new
	Prefill = "llm-prefill" // 512 prompt tokens, 1 new
)

// ErrUnknown is the cause of an error about a name that no workload has.
var ErrUnknown = errors.New("genie: unknown language-model workload")

// tolerance of a float32 logit, as a fraction of the largest one.
const tolerance = 1e-4

// Workload is one workload at one scale, batch size and prompt length.
type Workload struct {
	id       workloads.ID
	testdata string
	dir      string // of the checkpoint, if it is not the scale's own
	// Prompts are token ids, [batch][length].
	Prompts [][]int
	// Want is transformers' greedy continuation, [batch][new].
	Want [][]int
	// Top holds some logits of every new token, [batch][new].
	Top [][]Top
}

// Top is some logits of one row: those of the most likely tokens.
type Top struct {
	MaxAbs float64   `json:"max_abs"` // of the whole row
	IDs    []int     `json:"ids"`
	Logits []float64 `json:"logits"`
}

// form is a workload's batch size, variant and the golden of which it is the
// beginning.
type form struct {
	name, variant, file string
	batch               int
	scales              []workloads.Scale
}

func forms() []form {
	every := []workloads.Scale{workloads.Tiny, workloads.Small, workloads.Full}
	return []form{
		{name: Decode, file: "decode", batch: 1, scales: every},
		{name: Decode, file: "decode8", batch: 4, scales: every[:2]},
		{name: Prefill, file: "prefill", batch: 1, scales: every},
		{name: Prefill, variant: "1024", file: "prefill1024", batch: 1, scales: every[2:]},
	}
}

// All are the language-model workloads at a scale. testdata is the folder of
// that name of a checkout.
func All(testdata string, scale workloads.Scale) ([]*Workload, error) {
	var all []*Workload
	for _, f := range forms() {
		if !slices.Contains(f.scales, scale) {
			continue
		}
		w, err := load(testdata, f, scale)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// Load returns the workload of a name with one sequence.
func Load(testdata, name string, scale workloads.Scale) (*Workload, error) {
	for _, f := range forms() {
		if f.name == name && f.batch == 1 && f.variant == "" {
			return load(testdata, f, scale)
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
}

// Golden is a workload with all the prompts of a golden, decode8 for instance,
// that generates at most the given number of tokens. A scale without it is
// [fs.ErrNotExist].
func Golden(testdata, file string, scale workloads.Scale, most int) (*Workload, error) {
	w, err := load(testdata, form{name: "llm-" + file, file: file}, scale)
	if err != nil {
		return nil, err
	}
	for i, want := range w.Want {
		w.Want[i] = want[:min(most, len(want))]
	}
	return w, nil
}

func load(testdata string, f form, scale workloads.Scale) (*Workload, error) {
	file := filepath.Join(testdata, "llm", fmt.Sprintf("%s-%s.json", scale, f.file))
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	w, err := g.workload(file, f)
	if err != nil {
		return nil, err
	}
	w.id.Model, w.id.Scale, w.testdata = ModelName(scale), scale, testdata
	return w, nil
}

// golden is a file of prompts and the outputs of transformers for them.
type golden struct {
	Prompts [][]int `json:"prompts"`
	Greedy  [][]int `json:"greedy"`
	Top     [][]Top `json:"top"`
}

// workload is the beginning of a golden that a form selects.
func (g *golden) workload(file string, f form) (*Workload, error) {
	n := len(g.Prompts)
	if f.batch == 0 {
		f.batch = n
	}
	if n < max(f.batch, 1) || len(g.Greedy) != n || len(g.Top) != n {
		return nil, fmt.Errorf("%s: %d prompts, %d continuations, %d with logits, want %d of each", file, n, len(g.Greedy), len(g.Top), f.batch)
	}
	return &Workload{
		id:      workloads.ID{Name: f.name, Variant: f.variant, Batch: f.batch},
		Prompts: g.Prompts[:f.batch], Want: g.Greedy[:f.batch], Top: g.Top[:f.batch],
	}, nil
}

// ID implements [workloads.Workload].
func (w *Workload) ID() workloads.ID { return w.id }

// Dir implements [workloads.Workload].
func (w *Workload) Dir(ctx context.Context, progress transport.Progress) (string, error) {
	if w.dir != "" {
		return w.dir, nil
	}
	return ModelDir(ctx, w.testdata, w.id.Scale, progress)
}

// New is the number of new tokens of each sequence.
func (w *Workload) New() int { return len(w.Want[0]) }

// Inputs implements [workloads.Workload]: tokens, i32 [batch, length].
func (w *Workload) Inputs() map[string]transport.Tensor {
	var data []byte
	for _, p := range w.Prompts {
		for _, id := range p {
			data = binary.LittleEndian.AppendUint32(data, uint32(id))
		}
	}
	return map[string]transport.Tensor{
		"tokens": {DType: plan.I32, Shape: []int{len(w.Prompts), len(w.Prompts[0])}, Data: data},
	}
}

// Verify implements [workloads.Workload]: tokens must be the beginning of the
// expected ones; "logits", f32 [new, batch, vocab], if present, must be within
// 1e-4 of the largest.
func (w *Workload) Verify(out workloads.Output) (maxAbs float64, err error) {
	if len(out.Tokens) != len(w.Want) {
		return 0, fmt.Errorf("%w: %s: %d sequences, want %d", workloads.ErrMismatch, w.id.Label(), len(out.Tokens), len(w.Want))
	}
	for i, got := range out.Tokens {
		if want := w.Want[i]; len(got) == 0 || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			return 0, fmt.Errorf("%w: %s at scale %s: tokens %v, want %v", workloads.ErrMismatch, w.id.Label(), w.id.Scale, got, want)
		}
	}
	logits, ok := out.Tensors["logits"]
	if !ok {
		return 0, nil
	}
	return w.verifyLogits(logits, len(out.Tokens[0]))
}

func (w *Workload) verifyLogits(logits []float32, steps int) (maxAbs float64, err error) {
	short := *w
	short.Want = make([][]int, len(w.Want))
	for i, want := range w.Want {
		short.Want[i] = want[:steps]
	}
	return short.Agrees(logits, len(logits)/(steps*len(w.Want)), tolerance)
}
