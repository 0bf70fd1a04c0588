package gorgonia

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
)

// causalMask adds the lowest float to masked scores, or, if the padding of each
// sequence is known only at run time, selects by multiplication.
func (b *stockBuilder) causalMask(t *lazy.Tensor, o op.CausalMask, shape tensor.Shape) (*gorgonia.Node, error) {
	r := len(shape)
	q, k := shape[r-2], shape[r-1]
	if len(t.In()) == 2 {
		return b.paddedMask(t, o, shape)
	}
	if lo, hi := o.Range(0, q, k, 0); q == 1 && lo == 0 && hi == k {
		return b.node(t.In()[0], shape...)
	}
	x, err := b.node(t.In()[0], shape.TotalSize()/(q*k), q*k)
	if err != nil {
		return nil, err
	}
	mask := b.constant(fmt.Sprintf("causal %d %d %d", q, k, o.Window), tensor.Shape{1, q * k}, func(m []float32) {
		for i := range m {
			if lo, hi := o.Range(i/k, q, k, 0); i%k < lo || i%k >= hi {
				m[i] = op.MaskValue
			}
		}
	})
	return b.rowOp("add", x, mask)
}

// paddedMask compares each sequence's start with the key's position, which is
// -1 where causality forbids the key.
func (b *stockBuilder) paddedMask(t *lazy.Tensor, o op.CausalMask, shape tensor.Shape) (*gorgonia.Node, error) {
	r := len(shape)
	q, k, batch := shape[r-2], shape[r-1], shape[0]
	n := shape.TotalSize() / batch
	if t.In()[1].Kind() != lazy.KindInput {
		return nil, noStock(t, "a start that is no input")
	}
	l, _ := b.input(t.In()[1], leafName(t.In()[1], b.salt)+" start", tensor.Float32, tensor.Shape{batch, 1})
	l.clamp = true
	keys := b.constant(fmt.Sprintf("keys %d %d %d", q, k, o.Window), tensor.Shape{1, n}, func(m []float32) {
		for i := range m {
			m[i] = float32(i % k)
			if lo, hi := o.Range(i/k%q, q, k, 0); i%k < lo || i%k >= hi {
				m[i] = -1
			}
		}
	})
	start, pos, err := b.pair(l.node, keys)
	if err != nil {
		return nil, err
	}
	if start, err = b.own(start); err != nil {
		return nil, err
	}
	keep, err := gorgonia.Lte(start, pos, true) // 1 or 0
	if keep, err = b.made(keep, err, start, pos); err != nil {
		return nil, err
	}
	b.shared[keep] = true // read twice
	x, err := b.node(t.In()[0], batch, n)
	if err != nil {
		return nil, err
	}
	if x, err = b.binary("mul", x, keep); err != nil {
		return nil, err
	}
	drop, err := b.shifted(keep, -1)
	if err != nil {
		return nil, err
	}
	if drop, err = b.scaled(drop, math.MaxFloat32); err != nil {
		return nil, err
	}
	return b.binary("add", x, drop)
}
