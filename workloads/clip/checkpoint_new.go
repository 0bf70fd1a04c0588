package clip

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/randomweights"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/workloads"
)

// Presets are the architectures that [Preset] knows, smallest first.
func Presets() []string { return []string{"clip-vit-base-patch32", "clip-vit-large-patch14"} }

// Preset is the architecture of a published CLIP model (Radford et al., table
// 20), as in its config.json on the Hugging Face hub, including the old end
// token.
func Preset(name string) (Config, bool) {
	c := Config{Text: defaultText(), Vision: defaultVision(), Projection: 512}
	c.Text.EOS = legacyEOS
	switch name {
	case "clip-vit-base-patch32":
		return c, true
	case "clip-vit-large-patch14":
		c.Projection = 768
		c.Text.Hidden, c.Text.Inner, c.Text.Heads = 768, 3072, 12
		c.Vision.Hidden, c.Vision.Inner, c.Vision.Heads, c.Vision.Layers, c.Vision.Patch = 1024, 4096, 16, 24, 14
		return c, true
	}
	return Config{}, false
}

// NewCheckpoint writes a checkpoint with random weights to dir, made if absent:
// config.json, preprocessor_config.json and model.safetensors, with the names
// and layouts of transformers' CLIPModel, loadable by it. preset is a name that
// [Preset] knows. The seed and the type fix every byte on every machine.
// Cancelling ctx removes what is under way.
//
// There is no tokenizer: a vocabulary is learnt from text, so a seed gives none.
// Texts are token ids below [TextConfig.Vocab].
func NewCheckpoint(ctx context.Context, preset string, seed uint64, dir string, opts workloads.CheckpointOptions) error {
	c, ok := Preset(preset)
	if !ok {
		return fmt.Errorf("%w: %q", randomweights.ErrUnknown, preset)
	}
	return NewCheckpointOf(ctx, c, seed, dir, opts)
}

// NewCheckpointOf is [NewCheckpoint] for any architecture.
func NewCheckpointOf(ctx context.Context, c Config, seed uint64, dir string, opts workloads.CheckpointOptions) error {
	if err := c.check(); err != nil {
		return err
	}
	dtype, err := randomweights.Options(opts).Storage()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	config, err := c.json(dtype)
	if err != nil {
		return err
	}
	// The statistics of the images that CLIP was trained with.
	pre, err := randomweights.Preprocessing{
		Resize: c.Vision.Image, Crop: c.Vision.Image,
		Mean: [3]float64{0.48145466, 0.4578275, 0.40821073}, Std: [3]float64{0.26862954, 0.26130258, 0.27577711},
	}.JSON()
	if err != nil {
		return err
	}
	return randomweights.Write(ctx, dir, randomweights.Checkpoint{
		Specs: specs(c), Config: config, Files: map[string][]byte{randomweights.PreprocessorFile: pre},
	}, seed, randomweights.Options(opts))
}

// Parameters is the number of weights.
func (c Config) Parameters() int64 { return randomweights.Parameters(specs(c)) }

// json is a config.json that transformers reads.
func (c Config) json(dtype safetensors.DType) ([]byte, error) {
	tower := func(t Tower, more map[string]any) map[string]any {
		more["hidden_size"], more["intermediate_size"] = t.Hidden, t.Inner
		more["num_hidden_layers"], more["num_attention_heads"] = t.Layers, t.Heads
		more["hidden_act"], more["layer_norm_eps"] = t.Activation, t.Epsilon
		more["projection_dim"] = c.Projection
		return more
	}
	dtypes := map[safetensors.DType]string{safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16"}
	text, err := json.MarshalIndent(map[string]any{
		"architectures":          []string{"CLIPModel"},
		"model_type":             "clip",
		"projection_dim":         c.Projection,
		"logit_scale_init_value": logitScale,
		"torch_dtype":            dtypes[dtype],
		"text_config": tower(c.Text.Tower, map[string]any{
			"model_type": "clip_text_model", "vocab_size": c.Text.Vocab, "max_position_embeddings": c.Text.Positions,
			"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": c.Text.EOS,
		}),
		"vision_config": tower(c.Vision.Tower, map[string]any{
			"model_type": "clip_vision_model", "num_channels": c.Vision.Channels,
			"image_size": c.Vision.Image, "patch_size": c.Vision.Patch,
		}),
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write config.json: %w", err)
	}
	return append(text, '\n'), nil
}

// The sizes of the random weights. Those of a matrix are divided by the square
// root of its inputs.
const (
	stdToken    = 0.02
	stdPosition = 0.01
	stdClass    = 0.5
	stdPatch    = 1.0
	stdPlace    = 0.3 // of an image's positions, beside patches of order 1
	stdScores   = 1.0 // queries and keys, so that scores are of order 1
	stdValues   = 1.5
	stdOut      = 1.5 // before 1/sqrt(2*layers)
	stdFirst    = 1.5
	stdSecond   = 1.5 // before 1/sqrt(2*layers)
	stdProject  = 1.0
	stdGain     = 0.1 // around 1
	stdBias     = 0.02
	logitScale  = 4.6052 // log(100), where training ends
)

// specs lists the tensors in the order of the file.
//
// As in a trained model the embeddings of different texts, and of different
// images, differ: attention and feed-forward parts outweigh what all inputs
// have in common, and their contribution does not grow with depth. Scores stay
// of order 1, since attention close to a hard maximum amplifies rounding.
func specs(c Config) []randomweights.Spec {
	t, v := c.Text, c.Vision
	patch := int64(v.Patch)
	fan := int64(v.Channels) * patch * patch
	s := &specList{}
	s.add("logit_scale", logitScale, 0)
	s.add("text_model.embeddings.token_embedding.weight", 0, stdToken, t.Vocab, t.Hidden)
	s.add("text_model.embeddings.position_embedding.weight", 0, stdPosition, t.Positions, t.Hidden)
	s.encoder("text_model.", t.Tower)
	s.norm("text_model.final_layer_norm", t.Tower)
	s.add("vision_model.embeddings.class_embedding", 0, stdClass, v.Hidden)
	s.add("vision_model.embeddings.patch_embedding.weight", 0, stdPatch/math.Sqrt(float64(fan)), v.Hidden, v.Channels, v.Patch, v.Patch)
	s.add("vision_model.embeddings.position_embedding.weight", 0, stdPlace, v.Positions(), v.Hidden)
	s.norm("vision_model.pre_layrnorm", v.Tower)
	s.encoder("vision_model.", v.Tower)
	s.norm("vision_model.post_layernorm", v.Tower)
	s.matrix("visual_projection.weight", stdProject, v.Hidden, c.Projection)
	s.matrix("text_projection.weight", stdProject, t.Hidden, c.Projection)
	return s.specs
}

type specList struct{ specs []randomweights.Spec }

func (s *specList) add(name string, mean, std float64, shape ...int) {
	dims := make([]int64, len(shape))
	for i, n := range shape {
		dims[i] = int64(n)
	}
	s.specs = append(s.specs, randomweights.Spec{Name: name, Shape: dims, Mean: mean, Std: std})
}

// matrix is [out, in].
func (s *specList) matrix(name string, std float64, in, out int) {
	s.add(name, 0, std/math.Sqrt(float64(in)), out, in)
}

func (s *specList) linear(name string, std float64, in, out int) {
	s.matrix(name+".weight", std, in, out)
	s.add(name+".bias", 0, stdBias, out)
}

func (s *specList) norm(name string, t Tower) {
	s.add(name+".weight", 1, stdGain, t.Hidden)
	s.add(name+".bias", 0, stdBias, t.Hidden)
}

func (s *specList) encoder(prefix string, t Tower) {
	depth := math.Sqrt(2 * float64(t.Layers))
	for i := range t.Layers {
		p := fmt.Sprintf("%sencoder.layers.%d.", prefix, i)
		s.linear(p+"self_attn.k_proj", stdScores, t.Hidden, t.Hidden)
		s.linear(p+"self_attn.v_proj", stdValues, t.Hidden, t.Hidden)
		s.linear(p+"self_attn.q_proj", stdScores, t.Hidden, t.Hidden)
		s.linear(p+"self_attn.out_proj", stdOut/depth, t.Hidden, t.Hidden)
		s.norm(p+"layer_norm1", t)
		s.linear(p+"mlp.fc1", stdFirst, t.Hidden, t.Inner)
		s.linear(p+"mlp.fc2", stdSecond/depth, t.Inner, t.Hidden)
		s.norm(p+"layer_norm2", t)
	}
}
