package gpt2

import (
	"context"
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/randomweights"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// ErrUnknownPreset marks a preset name that [Preset] does not know.
var ErrUnknownPreset = workloads.ErrUnknownArchitecture

// CheckpointOptions change how [NewCheckpoint] works. The zero value is usable.
type CheckpointOptions = workloads.CheckpointOptions

// NewCheckpoint writes a checkpoint with random weights to outDir, made if
// absent: config.json and model.safetensors, with the names and layouts of
// transformers' GPT2LMHeadModel, loadable by it. preset is a name that
// [Preset] knows. The seed and the type fix every byte on every machine.
// Cancelling ctx removes what is under way.
//
// The model is no language model, but greedy decoding does not get stuck.
func NewCheckpoint(ctx context.Context, preset string, seed uint64, outDir string, opts CheckpointOptions) error {
	c, ok := Preset(preset)
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownPreset, preset)
	}
	return NewCheckpointOf(ctx, c, seed, outDir, opts)
}

// NewCheckpointOf is [NewCheckpoint] for any architecture. The dtype of opts
// counts, not that of c.
func NewCheckpointOf(ctx context.Context, c Config, seed uint64, outDir string, opts CheckpointOptions) error {
	if _, err := randomweights.Options(opts).Storage(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c.DType = opts.DType
	if c.DType == plan.Invalid {
		c.DType = plan.F32
	}
	if err := c.Validate(); err != nil {
		return err
	}
	config, err := c.json()
	if err != nil {
		return err
	}
	return randomweights.Write(ctx, outDir, randomweights.Checkpoint{Specs: weightSpecs(c), Config: config}, seed, randomweights.Options(opts))
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
// sqrt(2*layers)) gives a model that repeats: with a tied head and almost no
// contribution of the blocks, the likeliest next token is the last one. So the
// matrices are larger, and the blocks outweigh the embedding in the residual
// stream. They must not be too large either: with c_attn at 0.1 the attention
// is close to a hard maximum and amplifies rounding, and float32 differs from
// float64 by 1e-4 in the logits, compared with 5e-6 for these values; the best
// two logits of 50 greedy steps come as close as 1e-3. A strong feed-forward
// part with a weak attention keeps the tokens varied without that cost.
//
// Dividing by sqrt(2*layers) keeps the stream's size independent of depth, and
// scaling with 1/sqrt(hidden) keeps it independent of width.
func initial(base float64, c Config) float64 {
	return base * math.Sqrt(stdHidden/float64(c.Hidden))
}

// weightSpecs lists the tensors in the order of the model. Matrices of the
// blocks are Conv1D weights, [in, out].
func weightSpecs(c Config) []randomweights.Spec {
	hidden, inner := int64(c.Hidden), int64(c.Inner)
	depth := math.Sqrt(2 * float64(c.Layers))
	specs := []randomweights.Spec{
		{Name: "transformer.wte.weight", Shape: []int64{int64(c.Vocab), hidden}, Std: stdTokenEmbedding},
		{Name: "transformer.wpe.weight", Shape: []int64{int64(c.Positions), hidden}, Std: stdPositionEmbedding},
	}
	norm := func(name string) {
		specs = append(specs,
			randomweights.Spec{Name: name + ".weight", Shape: []int64{hidden}, Mean: 1, Std: stdNormGain},
			randomweights.Spec{Name: name + ".bias", Shape: []int64{hidden}, Std: stdBias})
	}
	linear := func(name string, in, out int64, std float64) {
		specs = append(specs,
			randomweights.Spec{Name: name + ".weight", Shape: []int64{in, out}, Std: std},
			randomweights.Spec{Name: name + ".bias", Shape: []int64{out}, Std: stdBias})
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
		specs = append(specs, randomweights.Spec{Name: "lm_head.weight", Shape: []int64{int64(c.Vocab), hidden}, Std: stdTokenEmbedding})
	}
	return specs
}
