package cpu

import (
	"math"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// elementKernel is the kernel that computes an elementwise operator of inputs of
// these types block by block, nil if there is none.
func elementKernel(o op.Op, in []plan.Spec) blockKernel {
	switch o := o.(type) {
	case op.Cast:
		return castKernel(in[0].DType, o.To)
	case op.Where:
		return whereKernel(in[1].DType)
	case op.Mod:
		return modKernel(o, in[0].DType)
	}
	switch len(in) {
	case 1:
		return unaryKernel(o, in[0].DType)
	case 2:
		return pairKernel(o.Name(), in[0].DType)
	}
	return nil
}

func unaryKernel(o op.Op, t plan.DType) blockKernel {
	switch {
	case t == plan.Bool && o.Name() == "not":
		return notBlock
	case t == plan.I32:
		return intKernel[int32](o.Name())
	case t == plan.I64:
		return intKernel[int64](o.Name())
	case t != plan.F32:
		return nil
	case o.Name() == "is_nan":
		return predicate(func(x float32) bool { return x != x })
	case o.Name() == "is_inf":
		return predicate(func(x float32) bool { return x > math.MaxFloat32 || x < -math.MaxFloat32 })
	}
	e, _ := pointwiseKernel(o)
	if e.unary == nil {
		return nil
	}
	return func(dst, a, _, _ []byte) { e.unary(elems[float32](dst), elems[float32](a)) }
}

func notBlock(dst, a, _, _ []byte) {
	for i, x := range a[:len(dst)] {
		dst[i] = 1 - min(x, 1)
	}
}

func predicate(holds func(x float32) bool) blockKernel {
	return func(dst, a, _, _ []byte) {
		for i, x := range elems[float32](a)[:len(dst)] {
			dst[i] = 0
			if holds(x) {
				dst[i] = 1
			}
		}
	}
}

// intKernel is the kernel of a function of an integer.
func intKernel[T int32 | int64](name string) blockKernel {
	each := func(f func(x T) T) blockKernel {
		return func(dst, a, _, _ []byte) {
			y := elems[T](dst)
			for i, x := range elems[T](a)[:len(y)] {
				y[i] = f(x)
			}
		}
	}
	switch name {
	case "abs":
		return each(func(x T) T { return max(x, -x) })
	case "neg":
		return each(func(x T) T { return -x })
	case "sign":
		return each(func(x T) T { return min(max(x, -1), 1) })
	}
	return nil
}

// pairKernel is the kernel of an operator of two inputs of type t.
func pairKernel(name string, t plan.DType) blockKernel {
	if name == "bias" {
		name = "add"
	}
	switch t {
	case plan.F32:
		return typed(kernels.PairF32(name), kernels.CompareF32(name)) // see also pointwise
	case plan.I32:
		if name == "div" {
			return typed[int32](quotients, nil)
		}
		return typed(kernels.PairI32(name), kernels.CompareI32(name))
	case plan.I64:
		if name == "div" {
			return typed[int64](quotients, nil)
		}
		return typed(kernels.PairI64(name), kernels.CompareI64(name))
	case plan.Bool:
		return typed(kernels.PairBool(name), nil)
	default:
		return nil
	}
}

// typed is a kernel whose results are of the type of its inputs, or bool.
func typed[T float32 | int32 | int64 | byte](same func(dst, a, b []T), compare func(dst []byte, a, b []T)) blockKernel {
	switch {
	case same != nil:
		return func(dst, a, b, _ []byte) { same(elems[T](dst), elems[T](a), elems[T](b)) }
	case compare != nil:
		return func(dst, a, b, _ []byte) { compare(dst, elems[T](a), elems[T](b)) }
	}
	return nil
}

// quotients are truncated towards zero; those by zero are 0.
func quotients[T int32 | int64](dst, a, b []T) {
	b = b[:len(dst)]
	for i, x := range a[:len(dst)] {
		switch b[i] {
		case 0:
			dst[i] = 0
		case -1: // and so the smallest number, whose quotient has no room
			dst[i] = -x
		default:
			dst[i] = x / b[i]
		}
	}
}

func modKernel(o op.Mod, t plan.DType) blockKernel {
	switch t {
	case plan.F32:
		return typed(func(dst, a, b []float32) { floatRemainders(dst, a, b, o.Fmod) }, nil)
	case plan.I32:
		return typed(func(dst, a, b []int32) { remainders(dst, a, b, o.Fmod) }, nil)
	case plan.I64:
		return typed(func(dst, a, b []int64) { remainders(dst, a, b, o.Fmod) }, nil)
	default:
		return nil
	}
}

// floatRemainders have the sign of the divisor or, with fmod, of the dividend.
func floatRemainders(dst, a, b []float32, fmod bool) {
	b = b[:len(dst)]
	for i, x := range a[:len(dst)] {
		r := math.Mod(float64(x), float64(b[i]))
		if !fmod && r != 0 && (r < 0) != (b[i] < 0) {
			r += float64(b[i])
		}
		dst[i] = float32(r)
	}
}

// remainders are [floatRemainders] of integers; those by zero are 0.
func remainders[T int32 | int64](dst, a, b []T, fmod bool) {
	b = b[:len(dst)]
	for i, x := range a[:len(dst)] {
		if b[i] == 0 || b[i] == -1 {
			dst[i] = 0
			continue
		}
		r := x % b[i]
		if !fmod && r != 0 && (r < 0) != (b[i] < 0) {
			r += b[i]
		}
		dst[i] = r
	}
}

func whereKernel(t plan.DType) blockKernel {
	switch t.Size() {
	case 1:
		return func(dst, c, a, b []byte) { kernels.Select(dst, c, a, b) }
	case 4:
		return func(dst, c, a, b []byte) {
			kernels.Select(elems[uint32](dst), c, elems[uint32](a), elems[uint32](b))
		}
	case 8:
		return func(dst, c, a, b []byte) {
			kernels.Select(elems[uint64](dst), c, elems[uint64](a), elems[uint64](b))
		}
	}
	return nil
}
