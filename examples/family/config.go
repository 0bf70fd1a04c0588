package main

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/workloads/checkpoint"
)

// errConfig marks a config.json that is broken or that this program does not
// support.
var errConfig = errors.New("unusable Llama config")

// maxSize bounds every number of a config: a file is believed only within it.
const maxSize = 1 << 20

// config is the architecture, as config.json of a Llama gives it (transformers,
// models/llama/configuration_llama.py).
type config struct {
	Vocab, Hidden, Inner, Layers, Heads, KVHeads, Context int

	Theta, Epsilon float64
	Tied           bool // the head is the table of embeddings
	EOS            int
}

func (c config) headDim() int { return c.Hidden / c.Heads }

// parseConfig reads config.json. What the computation does not use is ignored, and
// what it uses and this program computes otherwise is an error.
func parseConfig(text []byte) (config, error) {
	c, err := readConfig(text)
	if err != nil {
		return config{}, fmt.Errorf("%w: %w", errConfig, err)
	}
	return c, nil
}

func readConfig(text []byte) (config, error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return config{}, err
	}
	if err := checkpoint.CheckType(file, "llama"); err != nil {
		return config{}, err
	}
	c := config{Vocab: 32000, Hidden: 4096, Inner: 11008, Layers: 32, Heads: 32, Context: 2048, Theta: 10000, Epsilon: 1e-6, EOS: -1}
	activation, biased := "silu", false
	r := file.Reader()
	r.Int("vocab_size", &c.Vocab)
	r.Int("hidden_size", &c.Hidden)
	r.Int("intermediate_size", &c.Inner)
	r.Int("num_hidden_layers", &c.Layers)
	r.Int("num_attention_heads", &c.Heads)
	c.KVHeads = c.Heads
	r.Int("num_key_value_heads", &c.KVHeads)
	r.Int("max_position_embeddings", &c.Context)
	r.Int("eos_token_id", &c.EOS)
	r.Float("rope_theta", &c.Theta)
	r.Float("rms_norm_eps", &c.Epsilon)
	r.Bool("tie_word_embeddings", &c.Tied)
	r.Bool("attention_bias", &biased)
	r.String("hidden_act", &activation)
	if err := r.Err(); err != nil {
		return config{}, err
	}
	for name, n := range map[string]int{
		"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Inner, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "max_position_embeddings": c.Context,
	} {
		if n < 1 || n > maxSize {
			return config{}, fmt.Errorf("%s is %d", name, n)
		}
	}
	switch {
	case c.Hidden%c.Heads != 0 || c.headDim()%2 != 0 || c.Heads%c.KVHeads != 0:
		return config{}, fmt.Errorf("hidden_size %d for %d heads and %d of keys", c.Hidden, c.Heads, c.KVHeads)
	case file.Given("rope_scaling"):
		return config{}, errors.New("rope_scaling is not supported here")
	case activation != "silu" || biased:
		return config{}, fmt.Errorf("hidden_act is %.40q and attention_bias %v, not silu and false", activation, biased)
	case !(c.Theta > 0) || !(c.Epsilon >= 0 && c.Epsilon < 1):
		return config{}, fmt.Errorf("rope_theta is %g, rms_norm_eps %g", c.Theta, c.Epsilon)
	}
	return c, nil
}
