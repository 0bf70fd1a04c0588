package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// plain is the same network in plain Go, in float64, one position after the other.
// It shares no code with the captured one, and reads the weights by itself.
type plain struct {
	c       config
	weights map[string][]float64
	keys    [][][]float64 // by layer and position: kvHeads*headDim
	values  [][][]float64
}

// readPlain reads the weights of the model.
func readPlain(files *checkpoint.Model, c config) (*plain, error) {
	p := &plain{c: c, weights: map[string][]float64{}, keys: make([][][]float64, c.Layers), values: make([][][]float64, c.Layers)}
	t := files.Tensors(files.NewGraph("plain"), "model.")
	read := func(name string, shape ...int) {
		w, err := t.Content(name, name, shape...)
		if err != nil || w.Storage != lazy.F32 {
			return
		}
		_ = w.Read(func(data []byte) {
			out := make([]float64, len(data)/4)
			for i := range out {
				out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
			}
			p.weights[name] = out
		})
	}
	kv := c.KVHeads * c.headDim()
	read("model.embed_tokens.weight", c.Vocab, c.Hidden)
	for i := range c.Layers {
		layer := fmt.Sprintf("model.layers.%d.", i)
		read(layer+"input_layernorm.weight", c.Hidden)
		read(layer+"self_attn.q_proj.weight", c.Hidden, c.Hidden)
		read(layer+"self_attn.k_proj.weight", kv, c.Hidden)
		read(layer+"self_attn.v_proj.weight", kv, c.Hidden)
		read(layer+"self_attn.o_proj.weight", c.Hidden, c.Hidden)
		read(layer+"post_attention_layernorm.weight", c.Hidden)
		read(layer+"mlp.gate_proj.weight", c.Inner, c.Hidden)
		read(layer+"mlp.up_proj.weight", c.Inner, c.Hidden)
		read(layer+"mlp.down_proj.weight", c.Hidden, c.Inner)
	}
	read("model.norm.weight", c.Hidden)
	if !c.Tied {
		read("lm_head.weight", c.Vocab, c.Hidden)
	}
	return p, t.Err()
}

// step takes the next token and returns the logits of the one after it.
func (p *plain) step(token int) []float64 {
	c := p.c
	x := append([]float64(nil), p.weights["model.embed_tokens.weight"][token*c.Hidden:(token+1)*c.Hidden]...)
	for i := range c.Layers {
		layer := fmt.Sprintf("model.layers.%d.", i)
		add(x, p.attend(i, layer, p.norm(layer+"input_layernorm.weight", x)))
		h := p.norm(layer+"post_attention_layernorm.weight", x)
		gate, up := p.product(layer+"mlp.gate_proj.weight", h), p.product(layer+"mlp.up_proj.weight", h)
		for j, g := range gate {
			gate[j] = g / (1 + math.Exp(-g)) * up[j]
		}
		add(x, p.product(layer+"mlp.down_proj.weight", gate))
	}
	head := "lm_head.weight"
	if c.Tied {
		head = "model.embed_tokens.weight"
	}
	return p.product(head, p.norm("model.norm.weight", x))
}

func (p *plain) attend(layer int, name string, h []float64) []float64 {
	c, dim := p.c, p.c.headDim()
	position := len(p.keys[layer])
	rotate := func(x []float64) []float64 {
		for head := 0; head < len(x); head += dim {
			for j := range dim / 2 {
				sin, cos := math.Sincos(float64(position) * math.Pow(c.Theta, -2*float64(j)/float64(dim)))
				a, b := x[head+j], x[head+j+dim/2]
				x[head+j], x[head+j+dim/2] = a*cos-b*sin, b*cos+a*sin
			}
		}
		return x
	}
	q := rotate(p.product(name+"self_attn.q_proj.weight", h))
	p.keys[layer] = append(p.keys[layer], rotate(p.product(name+"self_attn.k_proj.weight", h)))
	p.values[layer] = append(p.values[layer], p.product(name+"self_attn.v_proj.weight", h))
	out := make([]float64, c.Hidden)
	for head := range c.Heads {
		shared := head / (c.Heads / c.KVHeads) * dim
		scores, top, sum := make([]float64, position+1), math.Inf(-1), 0.0
		for t, k := range p.keys[layer] {
			for d := range dim {
				scores[t] += q[head*dim+d] * k[shared+d] / math.Sqrt(float64(dim))
			}
			top = max(top, scores[t])
		}
		for t, s := range scores {
			scores[t] = math.Exp(s - top)
			sum += scores[t]
		}
		for t, v := range p.values[layer] {
			for d := range dim {
				out[head*dim+d] += scores[t] / sum * v[shared+d]
			}
		}
	}
	return p.product(name+"self_attn.o_proj.weight", out)
}

// product is the matrix [out, in] times x.
func (p *plain) product(name string, x []float64) []float64 {
	w := p.weights[name]
	out := make([]float64, len(w)/len(x))
	for i := range out {
		for j, v := range x {
			out[i] += w[i*len(x)+j] * v
		}
	}
	return out
}

func (p *plain) norm(name string, x []float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(sum/float64(len(x))+p.c.Epsilon) * p.weights[name][i]
	}
	return out
}

func add(x, y []float64) {
	for i, v := range y {
		x[i] += v
	}
}
