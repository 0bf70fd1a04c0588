package gpt2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

var (
	// ErrUnknownPreset marks a preset name that [Preset] does not know.
	ErrUnknownPreset = errors.New("genie: unknown GPT-2 preset")
	// ErrNoSpace marks a disk without room for the checkpoint.
	ErrNoSpace = errors.New("genie: not enough free disk space")
)

// CheckpointOptions change how [NewCheckpoint] works. The zero value is usable.
type CheckpointOptions struct {
	// DType is F32 (the default), F16 or BF16. Narrower weights are those of
	// F32, rounded to nearest even.
	DType safetensors.DType
	// Progress, when set, is told the bytes written so far and in all, from
	// the calling goroutine.
	Progress func(done, total int64)
	// Workers is the number of goroutines that make numbers; 2 when it is 0.
	// The bytes do not depend on it.
	Workers int
}

// NewCheckpoint writes a checkpoint with random weights to outDir, made if
// absent: config.json and model.safetensors, with the names and layouts of
// transformers' GPT2LMHeadModel, loadable by it. preset is a name that
// [Preset] knows.
//
// preset, seed and dtype fix every byte on every machine: weights come from
// a counter-based integer generator and single IEEE operations. The model is
// no language model, but greedy decoding does not get stuck: see [initial].
//
// The weights go through a small buffer, whatever the model's size. Both files
// appear whole or not at all, config.json last; cancelling ctx removes what is
// under way and returns its error. Too little free space gives [ErrNoSpace]
// before anything is written.
func NewCheckpoint(ctx context.Context, preset string, seed uint64, outDir string, opts CheckpointOptions) error {
	c, ok := Preset(preset)
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownPreset, preset)
	}
	return NewCheckpointOf(ctx, c, seed, outDir, opts)
}

// NewCheckpointOf is [NewCheckpoint] for any architecture. The dtype of opts
// counts, not that of c.
func NewCheckpointOf(ctx context.Context, c Config, seed uint64, outDir string, opts CheckpointOptions) (err error) {
	if opts.DType == "" {
		opts.DType = safetensors.F32
	}
	switch opts.DType {
	case safetensors.F32, safetensors.F16, safetensors.BF16:
		c.DType = opts.DType
	default:
		return fmt.Errorf("%w: weights cannot be made as %q", ErrConfig, string(opts.DType))
	}
	if err := c.Validate(); err != nil {
		return err
	}
	config, err := c.json()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(outDir, 0o755); err != nil { //nolint:gosec // a checkpoint is not secret
		return fmt.Errorf("make the checkpoint's folder: %w", err)
	}
	if err := checkSpace(outDir, c.Parameters()*c.DType.Size()); err != nil {
		return err
	}
	specs := weightSpecs(c)
	entries := make([]safetensors.Entry, len(specs))
	for i, s := range specs {
		entries[i] = safetensors.Entry{Name: s.name, DType: c.DType, Shape: s.shape}
	}
	path := filepath.Join(outDir, "model.safetensors")
	w, err := safetensors.Create(path, entries, map[string]string{"format": "pt"})
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	if err := writeWeights(ctx, w, specs, seed, opts); err != nil {
		return fmt.Errorf("write checkpoint %s: %w", path, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := atomicfile.WriteFile(filepath.Join(outDir, "config.json"), config); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// checkSpace refuses what does not fit, with some room for the header.
func checkSpace(dir string, bytes int64) error {
	const slack = 16 << 20
	free, ok := freeBytes(dir)
	if ok && free < uint64(bytes)+slack {
		return fmt.Errorf("%w: %s has %d bytes free, the checkpoint takes %d", ErrNoSpace, dir, free, bytes)
	}
	return nil
}

// weightSpec is one tensor to make: mean + std * noise.
type weightSpec struct {
	name      string
	shape     []int64
	mean, std float64
}

func (s weightSpec) elements() int64 {
	n := int64(1)
	for _, d := range s.shape {
		n *= d
	}
	return n
}

// The scales of the random weights, for a hidden size of 768; see [initial].
const (
	stdTokenEmbedding    = 0.02
	stdPositionEmbedding = 0.02
	stdAttentionIn       = 0.06 // c_attn
	stdAttentionOut      = 0.05 // attn.c_proj, before 1/sqrt(2*layers)
	stdFeedForwardIn     = 0.08 // c_fc
	stdFeedForwardOut    = 0.1  // mlp.c_proj, before 1/sqrt(2*layers)
	stdNormGain          = 0.1  // around 1
	stdBias              = 0.02
	stdHidden            = 768
)

// initial returns the standard deviation of a matrix with the given base.
//
// GPT-2's own initialisation (0.02 everywhere, residual projections divided by
// sqrt(2*layers)) gives a model that repeats: with a tied head and next to no
// contribution of the blocks, the likeliest next token is the one just read.
// So the matrices are larger, and the blocks outweigh the embedding in the
// residual stream. They must not be too large either: with c_attn at 0.1 the
// attention is close to a hard choice and amplifies rounding, and float32 is
// 1e-4 off float64 in the logits where it is 5e-6 off with these values; the
// best two logits of 50 greedy steps come as close as 1e-3. A strong
// feed-forward part beside a weak attention keeps the text moving at no such
// cost.
//
// Dividing by sqrt(2*layers) keeps the stream's size independent of depth, and
// scaling with 1/sqrt(hidden) keeps it independent of width.
func initial(base float64, c Config) float64 {
	return base * math.Sqrt(stdHidden/float64(c.Hidden))
}

// weightSpecs lists the tensors in the order of the model. Matrices of the
// blocks are Conv1D weights, [in, out].
func weightSpecs(c Config) []weightSpec {
	hidden, inner := int64(c.Hidden), int64(c.Inner)
	depth := math.Sqrt(2 * float64(c.Layers))
	specs := []weightSpec{
		{"transformer.wte.weight", []int64{int64(c.Vocab), hidden}, 0, stdTokenEmbedding},
		{"transformer.wpe.weight", []int64{int64(c.Positions), hidden}, 0, stdPositionEmbedding},
	}
	norm := func(name string) {
		specs = append(specs,
			weightSpec{name + ".weight", []int64{hidden}, 1, stdNormGain},
			weightSpec{name + ".bias", []int64{hidden}, 0, stdBias})
	}
	linear := func(name string, in, out int64, std float64) {
		specs = append(specs,
			weightSpec{name + ".weight", []int64{in, out}, 0, std},
			weightSpec{name + ".bias", []int64{out}, 0, stdBias})
	}
	for i := range c.Layers {
		block := fmt.Sprintf("transformer.h.%d.", i)
		norm(block + "ln_1")
		linear(block+"attn.c_attn", hidden, 3*hidden, initial(stdAttentionIn, c))
		linear(block+"attn.c_proj", hidden, hidden, initial(stdAttentionOut, c)/depth)
		norm(block + "ln_2")
		linear(block+"mlp.c_fc", hidden, inner, initial(stdFeedForwardIn, c))
		linear(block+"mlp.c_proj", inner, hidden, initial(stdFeedForwardOut, c)/depth)
	}
	norm("transformer.ln_f")
	if !c.TieWordEmbeddings {
		specs = append(specs, weightSpec{"lm_head.weight", []int64{int64(c.Vocab), hidden}, 0, stdTokenEmbedding})
	}
	return specs
}
