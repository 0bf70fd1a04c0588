package semantic

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// passThrough returns the input that t reproduces unchanged, if any: through
// views, copies, casts to the same type, complete slices and concats, products
// with one and sums with zero.
func (a *analysis) passThrough(t *lazy.Tensor) (operand int, ok bool) {
	switch o := t.Op().(type) {
	case op.Identity, op.Contiguous, op.Reshape, op.Transpose:
		return 0, true
	case op.Cast:
		return 0, t.In()[0].DType() == o.To
	case op.Slice:
		return 0, o.Start.Is(0) && t.Shape().Equal(t.In()[0].Shape())
	case op.Concat:
		return 0, len(t.In()) == 1
	case op.Arith:
		for i, in := range t.In() {
			v, known := a.uniform[in.ID()]
			if known && neutral(o.Name(), i, v) && t.In()[1-i].Shape().Equal(t.Shape()) {
				return 1 - i, true
			}
		}
	}
	return 0, false
}

// neutral reports whether v as operand i leaves the other operand unchanged.
func neutral(name string, i int, v float32) bool {
	switch name {
	case "add":
		return v == 0
	case "sub":
		return v == 0 && i == 1
	case "mul":
		return v == 1
	case "div":
		return v == 1 && i == 1
	}
	return false
}

// findUniform finds the constants whose elements all have one value, and the
// tensors that pass these on.
func (a *analysis) findUniform() {
	a.uniform = map[int]float32{}
	for id, t := range a.tensors {
		if t.Kind() == lazy.KindConst {
			if v, ok := uniformConst(t); ok {
				a.uniform[id] = v
			}
			continue
		}
		if !a.constant[id] || t.Op() == nil {
			continue
		}
		if i, ok := a.passThrough(t); ok {
			if v, ok := a.uniform[t.In()[i].ID()]; ok {
				a.uniform[id] = v
			}
		}
	}
}

func uniformConst(t *lazy.Tensor) (float32, bool) {
	d := t.ConstData()
	if t.DType() != plan.F32 || len(d) < 4 {
		return 0, false
	}
	first := binary.LittleEndian.Uint32(d)
	for ; len(d) >= 4; d = d[4:] {
		if binary.LittleEndian.Uint32(d) != first {
			return 0, false
		}
	}
	return math.Float32frombits(first), true
}

// source walks back from t through tensors that only pass values on; via lists
// the tensors passed, t first.
func (a *analysis) source(t *lazy.Tensor) (src *lazy.Tensor, via []*lazy.Tensor) {
	for {
		i, ok := a.passThrough(t)
		if !ok {
			return t, via
		}
		via = append(via, t)
		t = t.In()[i]
	}
}

// through carries a map along the tensors that source passed, in order of
// computation.
func through(a *analysis, m axes.Map, via []*lazy.Tensor) (axes.Map, bool) {
	ok := true
	for i := len(via) - 1; i >= 0 && ok; i-- {
		operand, _ := a.passThrough(via[i])
		m, ok = forward(m, via[i], operand)
	}
	return m, ok
}
