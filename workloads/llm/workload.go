package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// Workload is one workload at one scale.
type Workload struct {
	Name   string // llm-decode or llm-prefill
	Scale  workloads.Scale
	Prompt []int // token ids
	Want   []int // greedy continuation by transformers
}

// The workloads.
const (
	Decode  = "llm-decode"  // 72 prompt tokens, 50 new
	Prefill = "llm-prefill" // 512 prompt tokens, 1 new
)

// Load reads a workload's prompt and expected output from the folder
// testdata/llm of a checkout.
func Load(testdata, name string, scale workloads.Scale) (*Workload, error) {
	file := filepath.Join(testdata, "llm", fmt.Sprintf("%s-%s.json", scale, name[len("llm-"):]))
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var g struct {
		Prompts [][]int `json:"prompts"`
		Greedy  [][]int `json:"greedy"`
	}
	if err := json.Unmarshal(b, &g); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(g.Prompts) != 1 || len(g.Greedy) != 1 {
		return nil, fmt.Errorf("%s: %d prompts and %d continuations, want one of each", file, len(g.Prompts), len(g.Greedy))
	}
	return &Workload{Name: name, Scale: scale, Prompt: g.Prompts[0], Want: g.Greedy[0]}, nil
}

// Verify compares new tokens with the beginning of the expected ones.
func (w *Workload) Verify(tokens []int) error {
	if len(tokens) == 0 || len(tokens) > len(w.Want) || !slices.Equal(tokens, w.Want[:len(tokens)]) {
		return fmt.Errorf("%w: %s at scale %s: tokens %v, want %v", workloads.ErrMismatch, w.Name, w.Scale, tokens, w.Want)
	}
	return nil
}

// ModelDir is the directory of the float32 checkpoint at a scale. One that is
// not there yet is made, which writes 0.5 GB at the small scale and 6.2 GB at
// the full one; progress may be nil.
func ModelDir(ctx context.Context, testdata string, scale workloads.Scale, progress transport.Progress) (string, error) {
	return ModelDirAs(ctx, testdata, scale, safetensors.F32, progress)
}

// ModelDirAs is [ModelDir] with the same weights rounded to another type: F16
// or BF16. At the tiny scale there is only F32.
func ModelDirAs(ctx context.Context, testdata string, scale workloads.Scale, dtype safetensors.DType, progress transport.Progress) (string, error) {
	arch := preset(scale)
	if arch == "" {
		if dtype != safetensors.F32 {
			return "", fmt.Errorf("%w: no %v checkpoint at scale %s", workloads.ErrScale, dtype, scale)
		}
		return filepath.Join(testdata, "gpt2", "basic"), nil
	}
	root, err := workloads.ModelsRoot()
	if err != nil {
		return "", err
	}
	name := arch
	if dtype != safetensors.F32 {
		name += "-" + strings.ToLower(string(dtype))
	}
	dir := filepath.Join(root, name)
	_, err = os.Stat(filepath.Join(dir, "model.safetensors"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := os.MkdirAll(root, 0o750); err != nil {
		return "", err
	}
	return dir, gpt2.NewCheckpoint(ctx, arch, 1, dir, gpt2.CheckpointOptions{DType: dtype, Progress: progress})
}
