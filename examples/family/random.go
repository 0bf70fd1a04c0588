package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// writeRandom writes a small checkpoint with random weights, two heads of queries
// for each of keys: it says nothing, but it is a Llama.
func writeRandom(ctx context.Context, dir string, seed uint64) error {
	const vocab, hidden, inner, layers, heads, kv = 96, 64, 160, 2, 4, 2
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // numbers that anybody may know
	var weights []transport.Weight
	add := func(name string, mean, deviation float64, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data := make([]byte, 0, 4*n)
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(mean+deviation*r.NormFloat64())))
		}
		weights = append(weights, transport.Weight{Name: name, Storage: lazy.F32, Shape: shape, Data: data})
	}
	matrix := func(name string, out, in int) { add("model."+name+".weight", 0, 1/math.Sqrt(float64(in)), out, in) }
	norm := func(name string) { add("model."+name+".weight", 1, 0.2, hidden) }
	matrix("embed_tokens", vocab, hidden)
	for i := range layers {
		layer := fmt.Sprintf("layers.%d.", i)
		norm(layer + "input_layernorm")
		matrix(layer+"self_attn.q_proj", hidden, hidden)
		matrix(layer+"self_attn.k_proj", kv*hidden/heads, hidden)
		matrix(layer+"self_attn.v_proj", kv*hidden/heads, hidden)
		matrix(layer+"self_attn.o_proj", hidden, hidden)
		norm(layer + "post_attention_layernorm")
		matrix(layer+"mlp.gate_proj", inner, hidden)
		matrix(layer+"mlp.up_proj", inner, hidden)
		matrix(layer+"mlp.down_proj", hidden, inner)
	}
	norm("norm")
	add("lm_head.weight", 0, 1/math.Sqrt(hidden), vocab, hidden)
	return checkpoint.Write(ctx, dir, map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "vocab_size": vocab, "hidden_size": hidden,
		"intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
		"max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "eos_token_id": vocab - 1,
	}, weights...)
}
