package onnx

import (
	"math"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/transport/plan"
)

// isFloat reports whether arithmetic of a type is that of floats.
func isFloat(d onnxfile.DataType) bool { return d == onnxfile.Float || d == onnxfile.Double }

// rounded is a float result in its type.
func rounded(dt onnxfile.DataType, f float64) scalar {
	if dt == onnxfile.Float {
		f = float64(float32(f))
	}
	return number(f)
}

// arithmetic combines numbers by f or g, and sizes by h.
func arithmetic(dt onnxfile.DataType, a, b scalar, f func(a, b float64) float64, g func(a, b int64) (int64, bool), h func(a, b plan.Dim) (plan.Dim, bool)) (scalar, bool) {
	x, okA := a.float()
	y, okB := b.float()
	switch {
	case okA && okB && isFloat(dt):
		return rounded(dt, f(x, y)), true
	case okA && okB:
		m, _ := a.int()
		n, _ := b.int()
		r, ok := g(m, n)
		return wrapped(dt, r), ok
	case a.isF || b.isF:
		return scalar{}, false
	}
	d, ok := h(a.d, b.d)
	return scalar{d: d}, ok && d.Err() == nil
}

// wrapped is an integer in its type.
func wrapped(dt onnxfile.DataType, n int64) scalar {
	if dt == onnxfile.Int32 {
		n = int64(int32(n))
	}
	return whole(n)
}

func addElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	return arithmetic(dt, a, b, func(a, b float64) float64 { return a + b },
		func(a, b int64) (int64, bool) { return a + b, true }, func(a, b plan.Dim) (plan.Dim, bool) { return a.Add(b), true })
}

func subElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	return arithmetic(dt, a, b, func(a, b float64) float64 { return a - b },
		func(a, b int64) (int64, bool) { return a - b, true }, func(a, b plan.Dim) (plan.Dim, bool) { return a.Sub(b), true })
}

func mulElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	return arithmetic(dt, a, b, func(a, b float64) float64 { return a * b },
		func(a, b int64) (int64, bool) { return a * b, true }, func(a, b plan.Dim) (plan.Dim, bool) { return a.Mul(b), true })
}

// divElem truncates integers; sizes are divided where no remainder is possible.
func divElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	return arithmetic(dt, a, b, func(a, b float64) float64 { return a / b },
		func(a, b int64) (int64, bool) {
			if b == 0 {
				return 0, false
			}
			return a / b, true
		}, func(a, b plan.Dim) (plan.Dim, bool) {
			if b.Is(0) {
				return plan.Dim{}, false
			}
			return a.Div(b)
		})
}

func modElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	m, okA := a.int()
	n, okB := b.int()
	if !okA || !okB || n == 0 || isFloat(dt) {
		return scalar{}, false
	}
	r := m % n
	if r != 0 && (r < 0) != (n < 0) {
		r += n
	}
	return whole(r), true
}

func minElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	r, ok := maxElem(dt, b, a)
	if !ok {
		return r, false
	}
	if same(r, a) {
		return b, true
	}
	return a, true
}

func maxElem(_ onnxfile.DataType, a, b scalar) (scalar, bool) {
	x, okA := a.float()
	y, okB := b.float()
	switch {
	case okA && okB && (math.IsNaN(x) || math.IsNaN(y)):
		return scalar{}, false
	case okA && okB && x < y:
		return b, true
	case okA && okB:
		return a, true
	case a.isF || b.isF:
		return scalar{}, false
	case atLeast(a.d, b.d):
		return a, true
	case atLeast(b.d, a.d):
		return b, true
	}
	return scalar{}, false
}

func same(a, b scalar) bool { return a.isF == b.isF && a.f == b.f && a.d.Equal(b.d) }

// atLeast reports whether a >= b whatever sizes, which are never negative, the
// symbols have.
func atLeast(a, b plan.Dim) bool { return nonNegative(a.Sub(b)) }

func nonNegative(d plan.Dim) bool {
	ok := d.Err() == nil
	d.Terms(func(coeff int64, _ []string) { ok = ok && coeff >= 0 })
	return ok
}

// above reports whether a > b whatever sizes the symbols have.
func above(a, b plan.Dim) bool { return atLeast(a, b.Add(plan.C(1))) }

func equalElem(_ onnxfile.DataType, a, b scalar) (scalar, bool) {
	x, okA := a.float()
	y, okB := b.float()
	switch {
	case okA && okB:
		return truth(x == y), true
	case a.isF || b.isF:
		return scalar{}, false
	case a.d.Equal(b.d):
		return truth(true), true
	}
	return truth(false), above(a.d, b.d) || above(b.d, a.d)
}

func lessElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) { return greaterElem(dt, b, a) }

func greaterElem(_ onnxfile.DataType, a, b scalar) (scalar, bool) {
	x, okA := a.float()
	y, okB := b.float()
	switch {
	case okA && okB:
		return truth(x > y), true
	case a.isF || b.isF:
		return scalar{}, false
	case above(a.d, b.d):
		return truth(true), true
	}
	return truth(false), atLeast(b.d, a.d)
}

func lessEqualElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	return negated(greaterElem(dt, a, b))
}

func greaterEqualElem(dt onnxfile.DataType, a, b scalar) (scalar, bool) {
	return negated(greaterElem(dt, b, a))
}

func negated(s scalar, ok bool) (scalar, bool) { return truth(s.d.Is(0)), ok }

func andElem(_ onnxfile.DataType, a, b scalar) (scalar, bool) {
	m, okA := a.int()
	n, okB := b.int()
	return truth(m != 0 && n != 0), okA && okB
}

func orElem(_ onnxfile.DataType, a, b scalar) (scalar, bool) {
	m, okA := a.int()
	n, okB := b.int()
	return truth(m != 0 || n != 0), okA && okB
}

func notElem(_ onnxfile.DataType, a scalar) (scalar, bool) {
	n, ok := a.int()
	return truth(n == 0), ok
}

func negElem(dt onnxfile.DataType, a scalar) (scalar, bool) {
	if f, ok := a.float(); ok && isFloat(dt) {
		return number(-f), true
	}
	return scalar{d: a.d.Scale(-1)}, !a.isF
}

func absElem(dt onnxfile.DataType, a scalar) (scalar, bool) {
	if f, ok := a.float(); ok && isFloat(dt) {
		return number(math.Abs(f)), true
	}
	if n, ok := a.int(); ok && n < 0 {
		return wrapped(dt, -n), true
	}
	return a, nonNegative(a.d)
}

// floorElem is what is whole already, which sizes are.
func floorElem(_ onnxfile.DataType, a scalar) (scalar, bool) {
	if a.isF {
		return number(math.Floor(a.f)), true
	}
	return a, true
}

func ceilElem(_ onnxfile.DataType, a scalar) (scalar, bool) {
	if a.isF {
		return number(math.Ceil(a.f)), true
	}
	return a, true
}

func sqrtElem(dt onnxfile.DataType, a scalar) (scalar, bool) {
	f, ok := a.float()
	return rounded(dt, math.Sqrt(f)), ok
}

// castElem converts an element; floats lose their fraction as integers.
func castElem(to onnxfile.DataType, a scalar) (scalar, bool) {
	f, known := a.float()
	switch to {
	case onnxfile.Float, onnxfile.Double:
		if !known {
			return a, true
		}
		return rounded(to, f), true
	case onnxfile.Int64:
		return castWhole(a, math.MinInt64, math.MaxInt64)
	case onnxfile.Int32:
		return castWhole(a, math.MinInt32, math.MaxInt32)
	case onnxfile.Bool:
		if known {
			return truth(f != 0), true
		}
		return truth(true), above(a.d, plan.C(0))
	default:
		return scalar{}, false
	}
}

func castWhole(a scalar, lo, hi float64) (scalar, bool) {
	f, known := a.float()
	switch {
	case !known:
		return a, true
	case math.IsNaN(f) || f < lo || f > hi:
		return scalar{}, false
	case a.isF:
		return whole(int64(math.Trunc(f))), true
	}
	return a, true
}
