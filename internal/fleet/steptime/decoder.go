package steptime

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// ErrDecoder is the cause of errors about the sizes of a decoder.
var ErrDecoder = errors.New("genie: sizes of a decoder")

// The largest sizes of a decoder.
const (
	maxLayers = 1024
	maxWidth  = 1 << 16
	maxVocab  = 1 << 20
	maxWeight = 1 << 31 // bytes of one weight
)

// Decoder is the sizes of a causal language model: in each layer attention and a
// feed-forward part, each after a norm and with a residual.
type Decoder struct {
	Layers, Hidden, Heads int
	KVHeads               int // heads of keys and values, which divides Heads
	Inner, Vocab          int // width of the feed-forward part; tokens
	Storage               plan.DType
}

// Check finds sizes that are not those of a decoder.
func (d Decoder) Check() error {
	switch {
	case d.Layers < 1 || d.Layers > maxLayers:
		return fmt.Errorf("%w: %d layers, want 1 to %d", ErrDecoder, d.Layers, maxLayers)
	case d.Hidden < 1 || d.Hidden > maxWidth || d.Inner < 1 || d.Inner > maxWidth:
		return fmt.Errorf("%w: widths %d and %d, want 1 to %d", ErrDecoder, d.Hidden, d.Inner, maxWidth)
	case d.Heads < 1 || d.Hidden%d.Heads != 0:
		return fmt.Errorf("%w: %d heads of width %d in all", ErrDecoder, d.Heads, d.Hidden)
	case d.KVHeads < 1 || d.Heads%d.KVHeads != 0:
		return fmt.Errorf("%w: %d heads share %d heads of keys and values", ErrDecoder, d.Heads, d.KVHeads)
	case d.Vocab < 2 || d.Vocab > maxVocab:
		return fmt.Errorf("%w: %d tokens, want 2 to %d", ErrDecoder, d.Vocab, maxVocab)
	case d.Storage != plan.F32 && d.Storage != plan.F16 && d.Storage != plan.BF16:
		return fmt.Errorf("%w: weights stored as %v, want f32, f16 or bf16", ErrDecoder, d.Storage)
	case d.largest() > maxWeight:
		return fmt.Errorf("%w: a weight of %d bytes, at most %d", ErrDecoder, d.largest(), maxWeight)
	}
	return nil
}

func (d Decoder) headDim() int { return d.Hidden / d.Heads }

func (d Decoder) kvWidth() int { return d.KVHeads * d.headDim() }

// largest is the bytes of the largest weight.
func (d Decoder) largest() int {
	return d.Hidden * max(d.Vocab, d.Inner, 3*d.Hidden) * d.Storage.Size()
}

// WeightBytes is the size of all weights.
func (d Decoder) WeightBytes() int64 {
	h, kv, inner := int64(d.Hidden), int64(d.kvWidth()), int64(d.Inner)
	layer := h*(h+2*kv) + h*h + 2*h*inner
	return (int64(d.Layers)*layer + 2*h*int64(d.Vocab)) * int64(d.Storage.Size())
}

// RowBytes is the size of what one token adds to the KV cache, in elements of a
// size: keys and values of all layers.
func (d Decoder) RowBytes(element int) int64 {
	return 2 * int64(d.Layers) * int64(d.kvWidth()) * int64(element)
}

// capture makes the program of a decoder with some of the layers. Its weights
// share one memory that nobody reads, so they take none.
func (d Decoder) capture(layers int, content []byte) (*semantic.SRG, error) {
	b := &builder{d: d, g: lazy.NewGraph("decoder"), content: content}
	tokens := b.g.Input("tokens", lazy.I32, "batch", "seq")
	h := lazy.Embedding(b.weight("embedding", d.Vocab, d.Hidden), tokens)
	for i := range layers {
		h = b.layer(fmt.Sprintf("layer.%d.", i), h)
	}
	last := lazy.Last(b.norm("norm", h), 1)
	b.g.Output("next", lazy.ArgMax(lazy.MatMul(last, b.weight("head", d.Vocab, d.Hidden), lazy.TransB), -1))
	if err := b.g.Err(); err != nil {
		return nil, err
	}
	return semantic.Analyze(b.g)
}

// builder captures a decoder.
type builder struct {
	d       Decoder
	g       *lazy.Graph
	content []byte
	weights int
}

// weight adds a weight, which only its number tells from the others.
func (b *builder) weight(name string, shape ...int) *lazy.Tensor {
	b.weights++
	var h plan.Hash
	h[0], h[1], h[2] = byte(b.weights), byte(b.weights>>8), byte(b.weights>>16)
	size := b.d.Storage.Size()
	for _, n := range shape {
		size *= n
	}
	return b.g.AddWeight(transport.Weight{Name: name, Hash: h, Storage: b.d.Storage, Shape: shape, Data: b.content[:size]})
}

func (b *builder) linear(name string, x *lazy.Tensor, in, out int) *lazy.Tensor {
	return lazy.MatMul(x, b.weight(name, in, out))
}

func (b *builder) norm(name string, x *lazy.Tensor) *lazy.Tensor {
	return lazy.RMSNorm(x, b.weight(name, b.d.Hidden), 1e-5)
}

func (b *builder) layer(p string, h *lazy.Tensor) *lazy.Tensor {
	d := b.d
	x := b.norm(p+"norm.1", h)
	heads := func(t *lazy.Tensor, n int) *lazy.Tensor {
		return lazy.Transpose(lazy.Reshape(t, "batch", "seq", n, d.headDim()), 0, 2, 1, 3)
	}
	q := heads(b.linear(p+"q", x, d.Hidden, d.Hidden), d.Heads)
	k := b.cached(p+"keys", heads(b.linear(p+"k", x, d.Hidden, d.kvWidth()), d.KVHeads))
	v := b.cached(p+"values", heads(b.linear(p+"v", x, d.Hidden, d.kvWidth()), d.KVHeads))
	a := lazy.Transpose(lazy.Attention(q, k, v, lazy.AttentionOptions{Causal: true}), 0, 2, 1, 3)
	h = lazy.Add(h, b.linear(p+"o", lazy.Reshape(a, "batch", "seq", d.Hidden), d.Hidden, d.Hidden))
	f := lazy.GELU(b.linear(p+"up", b.norm(p+"norm.2", h), d.Hidden, d.Inner))
	return lazy.Add(h, b.linear(p+"down", f, d.Inner, d.Hidden))
}

// cached appends this run's rows to the carried ones.
func (b *builder) cached(name string, rows *lazy.Tensor) *lazy.Tensor {
	past := b.g.Input(name, lazy.F32, "batch", b.d.KVHeads, "past", b.d.headDim())
	all := lazy.Concat(2, past, rows)
	b.g.Carry(past, all)
	return all
}
