package genie_test

import (
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

const (
	spelledVocab  = 29
	spelledWidth  = 16
	spelledLayers = 2
	spelledRows   = 64 // of the table of positions
)

// spelledModel is a small model that is made of concepts.
type spelledModel struct {
	name     string
	variants int   // of the model itself, such as its mask
	runs     []int // rows of each run
	build    func(s *speller) *lazy.Tensor
	caches   func(s *speller) int
}

var spelledModels = []spelledModel{
	{"gpt2", 4, []int{3, 1, 1}, spelledGPT2, func(*speller) int { return 2 * spelledLayers }},
	{"llama", 1, []int{4, 1, 2}, spelledLlama, func(*speller) int { return 2 * spelledLayers }},
	{"bert", 2, []int{5}, spelledBERT, func(*speller) int { return 0 }},
	{"vit", 1, []int{6}, spelledViT, func(*speller) int { return 0 }},
	{"whisper", 1, []int{3, 1}, spelledWhisper, func(*speller) int { return 2 * spelledLayers }},
}

type tensors = map[string]*lazy.Tensor

func (s *speller) weight(name string, shape ...int) *lazy.Tensor {
	return s.g.WeightF32(name, weights(name, shape...), shape...)
}

func (s *speller) linear(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	return lazy.Linear(x, s.weight(name+".w", in, out), s.weight(name+".b", out))
}

// split is [b, h, t, d] of [b, t, h*d].
func split(x *lazy.Tensor, heads int) *lazy.Tensor {
	return lazy.Transpose(lazy.Reshape(x, x.Dim(0), x.Dim(1), heads, 8), 0, 2, 1, 3)
}

// merge is [b, t, h*d] of [b, h, t, d].
func merge(x *lazy.Tensor) *lazy.Tensor {
	return lazy.Reshape(lazy.Transpose(x, 0, 2, 1, 3), x.Dim(0), x.Dim(2), -1)
}

func dims(pairs ...any) map[string]plan.Dim {
	out := map[string]plan.Dim{}
	for i := 0; i < len(pairs); i += 2 {
		d, _ := pairs[i+1].(plan.Dim)
		if n, ok := pairs[i+1].(int); ok {
			d = plan.C(n)
		}
		out[pairs[i].(string)] = d
	}
	return out
}

// attend is attention over carried rows.
func (s *speller) attend(concept string, q, k, v *lazy.Tensor, heads, groups int) *lazy.Tensor {
	all := func(x *lazy.Tensor) *lazy.Tensor {
		return s.concept("kv_rows", "all", tensors{"new": x}, dims("h", groups))
	}
	return s.concept(concept, "y", tensors{"q": q, "k": all(k), "v": all(v)}, dims("h", heads, "g", groups))
}

func (s *speller) embed() *lazy.Tensor {
	return lazy.Embedding(s.weight("wte", spelledVocab, spelledWidth), s.g.Input("ids", lazy.I32, "b", "t"))
}

func (s *speller) feedForward(name, activation string, x *lazy.Tensor) *lazy.Tensor {
	h := s.concept(activation, "y", tensors{"x": s.linear(name+".up", x, spelledWidth, 32)}, dims("n", 32))
	return s.linear(name+".down", h, 32, spelledWidth)
}

func spelledGPT2(s *speller) *lazy.Tensor {
	concept := []string{"causal_attention", "window_attention", "capped_attention", "alibi_attention"}[s.variant]
	heads := 2
	if concept == "alibi_attention" {
		heads = 4
	}
	x := s.embed()
	past := plan.Sym("past")
	x = lazy.Add(x, lazy.Slice(s.weight("wpe", spelledRows, spelledWidth), 0, past, past.Add(plan.Sym("t"))))
	for i := range spelledLayers {
		l := fmt.Sprintf("l%d", i)
		h := s.concept("layer_norm", "y", tensors{"x": x}, nil)
		q, k, v := s.linear(l+".q", h, 16, heads*8), s.linear(l+".k", h, 16, heads*8), s.linear(l+".v", h, 16, heads*8)
		y := s.attend(concept, split(q, heads), split(k, heads), split(v, heads), heads, heads)
		x = lazy.Add(x, s.linear(l+".o", merge(y), heads*8, spelledWidth))
		x = lazy.Add(x, s.feedForward(l, "gelu_tanh", s.concept("layer_norm", "y", tensors{"x": x}, nil)))
	}
	return lazy.MatMul(s.concept("layer_norm", "y", tensors{"x": x}, nil), s.weight("wte.out", spelledVocab, spelledWidth), lazy.TransB)
}

func spelledLlama(s *speller) *lazy.Tensor {
	x := s.embed()
	positions := s.g.Input("positions", lazy.I64, "b", "t")
	rotate := func(x *lazy.Tensor, heads int) *lazy.Tensor {
		return s.concept("rope_positions", "y", tensors{"x": x, "positions": positions}, dims("h", heads))
	}
	for i := range spelledLayers {
		l := fmt.Sprintf("l%d", i)
		h := s.concept("rms_norm", "y", tensors{"x": x}, nil)
		q, k, v := s.linear(l+".q", h, 16, 32), s.linear(l+".k", h, 16, 16), s.linear(l+".v", h, 16, 16)
		y := s.attend("grouped_attention", rotate(split(q, 4), 4), rotate(split(k, 2), 2), split(v, 2), 4, 2)
		x = lazy.Add(x, s.linear(l+".o", merge(y), 32, spelledWidth))
		h = s.concept("rms_norm", "y", tensors{"x": x}, nil)
		up := s.concept("silu", "y", tensors{"x": s.linear(l+".gate", h, 16, 32)}, dims("n", 32))
		x = lazy.Add(x, s.linear(l+".down", lazy.Mul(up, s.linear(l+".up", h, 16, 32)), 32, 16))
	}
	return lazy.MatMul(s.concept("rms_norm", "y", tensors{"x": x}, nil), s.weight("out", 16, spelledVocab))
}

func spelledBERT(s *speller) *lazy.Tensor {
	x := lazy.Add(s.embed(), lazy.Slice(s.weight("wpe", spelledRows, spelledWidth), 0, plan.C(0), plan.Sym("t")))
	mask := s.g.Input("mask", lazy.Bool, "b", "t")
	concept := "padded_attention"
	if s.variant == 1 {
		concept, mask = "additive_padded_attention", lazy.Cast(mask, lazy.F32)
	}
	for i := range spelledLayers {
		l := fmt.Sprintf("l%d", i)
		q, k, v := s.linear(l+".q", x, 16, 16), s.linear(l+".k", x, 16, 16), s.linear(l+".v", x, 16, 16)
		y := s.concept(concept, "y", tensors{"q": split(q, 2), "k": split(k, 2), "v": split(v, 2), "mask": mask}, nil)
		x = s.concept("layer_norm", "y", tensors{"x": lazy.Add(x, s.linear(l+".o", merge(y), 16, 16))}, nil)
		x = s.concept("layer_norm", "y", tensors{"x": lazy.Add(x, s.feedForward(l, "gelu", x))}, nil)
	}
	return x
}

// encoder is a stack of layers of rows that attend to each other.
func (s *speller) encoder(name string, x *lazy.Tensor) *lazy.Tensor {
	for i := range spelledLayers {
		l := fmt.Sprintf("%s%d", name, i)
		h := s.concept("layer_norm", "y", tensors{"x": x}, nil)
		q, k, v := s.linear(l+".q", h, 16, 16), s.linear(l+".k", h, 16, 16), s.linear(l+".v", h, 16, 16)
		x = lazy.Add(x, s.linear(l+".o", s.concept("attention", "y", tensors{"q": q, "k": k, "v": v}, nil), 16, 16))
		x = lazy.Add(x, s.feedForward(l, "gelu", s.concept("layer_norm", "y", tensors{"x": x}, nil)))
	}
	return s.concept("layer_norm", "y", tensors{"x": x}, nil)
}

func spelledViT(s *speller) *lazy.Tensor {
	images := s.g.Input("images", lazy.F32, "b", 3, 8, 8)
	w := s.weight("patch.w", spelledWidth, 3, 4, 4)
	x := lazy.Conv2D(images, w, s.weight("patch.b", spelledWidth), lazy.Conv{Stride: [2]int{4, 4}})
	x = lazy.Transpose(lazy.Reshape(x, "b", spelledWidth, 4), 0, 2, 1)
	x = s.encoder("e", lazy.Add(x, s.weight("wpe", 4, spelledWidth)))
	return s.linear("head", lazy.Mean(x, 1), 16, 10)
}

func spelledWhisper(s *speller) *lazy.Tensor {
	audio := s.g.Input("mel", lazy.F32, "b", "s", 12)
	memory := s.encoder("e", s.linear("in", audio, 12, 16))
	x := s.embed()
	for i := range spelledLayers {
		l := fmt.Sprintf("d%d", i)
		h := s.concept("layer_norm", "y", tensors{"x": x}, nil)
		q, k, v := s.linear(l+".q", h, 16, 16), s.linear(l+".k", h, 16, 16), s.linear(l+".v", h, 16, 16)
		x = lazy.Add(x, s.linear(l+".o", merge(s.attend("causal_attention", split(q, 2), split(k, 2), split(v, 2), 2, 2)), 16, 16))
		h = s.concept("layer_norm", "y", tensors{"x": x}, nil)
		cross := tensors{"q": s.linear(l+".cq", h, 16, 16), "k": s.linear(l+".ck", memory, 16, 16), "v": s.linear(l+".cv", memory, 16, 16)}
		x = lazy.Add(x, s.linear(l+".co", s.concept("attention", "y", cross, nil), 16, 16))
		x = lazy.Add(x, s.feedForward(l, "gelu", s.concept("layer_norm", "y", tensors{"x": x}, nil)))
	}
	return lazy.MatMul(x, s.weight("out", 16, spelledVocab))
}
