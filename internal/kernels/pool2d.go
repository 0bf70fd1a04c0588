package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/halt"
)

// PoolShape is the geometry of a pooling of x [N, H, W, C] over windows of
// KH x KW. The padding, less than the window, holds no elements.
type PoolShape struct {
	N, H, W, C       int
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
}

// OutH is the height of the output, (H+2*PadH-KH)/StrideH + 1.
func (s PoolShape) OutH() int { return outSize(s.H, s.KH, s.StrideH, s.PadH, 1) }

// OutW is the width of the output.
func (s PoolShape) OutW() int { return outSize(s.W, s.KW, s.StrideW, s.PadW, 1) }

// Units is the number of parts that a pooling can be split into: the rows of
// the output.
func (s PoolShape) Units() int {
	s.check("Units")
	return s.N * s.OutH()
}

// Valid reports whether there are kernels for the pooling; the other methods and
// functions panic where it is false.
func (s PoolShape) Valid() bool {
	if s.N < 0 || min(s.H, s.W, s.C, s.KH, s.KW, s.StrideH, s.StrideW) < 1 || min(s.PadH, s.PadW) < 0 ||
		s.PadH >= s.KH || s.PadW >= s.KW || max(s.H, s.W, s.KH, s.KW) > maxSide || s.H+2*s.PadH < s.KH || s.W+2*s.PadW < s.KW {
		return false
	}
	_, in := product(s.N, s.H, s.W, s.C)
	_, out := product(s.N, s.OutH(), s.OutW(), s.C)
	return in && out
}

func (s PoolShape) check(op string) {
	if !s.Valid() {
		panic(fmt.Sprintf("kernels: %s: there is no pooling %+v", op, s))
	}
}

// MaxPool2D writes the units lo to hi, of [PoolShape.Units], of the largest
// elements of the windows of x [N, H, W, C] to out [N, OutH, OutW, C]. A window
// with a NaN gives NaN. Of zeros of both signs either may be the largest. When h
// stops it the units are undefined.
func MaxPool2D(out, x []float32, s PoolShape, lo, hi int, h halt.Func) {
	s.each("MaxPool2D", out, x, lo, hi, h, func(dst, first []float32, rows, cols int, ask *halt.Counter) {
		if rows*cols*s.C > longPool {
			longMaxWindow(dst, first, s.W*s.C, rows, cols, ask)
			return
		}
		maxWindow(dst, first, s.W*s.C, rows, cols)
	})
}

// AvgPool2D writes the units lo to hi of the means of the windows. With
// countPad a mean is the sum over KH*KW, else over the number of elements of
// the window inside the image. A mean over the whole image is a window of H x
// W.
//
// The elements of a row of the window are added from left to right, then the
// sums of the rows from top to bottom, then the total is divided. When h stops
// it the units are undefined.
func AvgPool2D(out, x []float32, s PoolShape, countPad bool, lo, hi int, h halt.Func) {
	s.each("AvgPool2D", out, x, lo, hi, h, func(dst, first []float32, rows, cols int, ask *halt.Counter) {
		count := rows * cols
		if countPad {
			count = s.KH * s.KW
		}
		if rows*cols*s.C > longPool {
			longMeanWindow(dst, first, s.W*s.C, rows, cols, float32(count), ask)
			return
		}
		meanWindow(dst, first, s.W*s.C, rows, cols, float32(count))
	})
}

// each calls f for each window of the rows, with its place in out and the part
// of it inside the image, from the first element on.
func (s PoolShape) each(op string, out, x []float32, lo, hi int, h halt.Func, f func(dst, first []float32, rows, cols int, ask *halt.Counter)) {
	s.check(op)
	oh, ow := s.OutH(), s.OutW()
	needRange(op, lo, hi, s.N*oh)
	need(op, "x", len(x), s.N, s.H, s.W, s.C)
	need(op, "the output", len(out), s.N, oh, ow, s.C)
	ask := h.Counter()
	for row := lo; row < hi; row++ {
		ih0, ih1 := window(row%oh, s.H, s.KH, s.StrideH, s.PadH)
		for col := range ow {
			iw0, iw1 := window(col, s.W, s.KW, s.StrideW, s.PadW)
			if ask.Stop((ih1 - ih0) * (iw1 - iw0) * s.C) {
				return
			}
			f(out[(row*ow+col)*s.C:][:s.C], x[((row/oh*s.H+ih0)*s.W+iw0)*s.C:], ih1-ih0, iw1-iw0, &ask)
		}
	}
}

// window is the part of window i inside the image.
func window(i, size, kernel, stride, pad int) (lo, hi int) {
	lo = i*stride - pad
	return max(lo, 0), min(lo+kernel, size)
}

func maxWindow(dst, x []float32, stride, rows, cols int) {
	if maxWindowArch(dst, x, stride, rows, cols) {
		return
	}
	copy(dst, x)
	for i := range rows {
		for j := range cols {
			for c, v := range x[i*stride+j*len(dst):][:len(dst)] {
				dst[c] = max(dst[c], v)
			}
		}
	}
}

func meanWindow(dst, x []float32, stride, rows, cols int, count float32) {
	if meanWindowArch(dst, x, stride, rows, cols, count) {
		return
	}
	for c := range dst {
		var sum float32
		for i := range rows {
			var inRow float32
			for j := range cols {
				inRow += x[i*stride+j*len(dst)+c]
			}
			sum += inRow
		}
		dst[c] = sum / count
	}
}
