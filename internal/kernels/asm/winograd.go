package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The points of interpolation are 0, +-winogradA, +-winogradB and infinity.
const (
	winogradA  = 5. / 8
	winogradB  = 3. / 2
	winogradA2 = winogradA * winogradA
	winogradB2 = winogradB * winogradB
)

func winogradKernels(g *gen) {
	winogradInput(g)
	winogradInputWide(g)
	winogradOutput(g)
	winogradOutputWide(g)
}

const (
	winogradInputSignature  = "func(v *float32, stride uintptr, x *float32, row, pixel uintptr, channels int)"
	winogradOutputSignature = "func(dst *float32, row, pixel uintptr, m *float32, stride uintptr, bias, residual *float32, relu bool)"
)

// winogradLine is B^T of six vectors. The ends take the place of the last two.
type winogradLine struct {
	simd
	a, b, a2, b2 reg.VecVirtual
}

func newWinogradLine(s simd) winogradLine {
	return winogradLine{simd: s, a2: s.all(winogradA2), b2: s.all(winogradB2), a: s.all(winogradA), b: s.all(winogradB)}
}

// pair computes outputs first and first+1; first is 1 or 3.
func (s winogradLine) pair(d [6]reg.VecVirtual, first int) (plus, minus reg.VecVirtual) {
	square, root := s.b2, s.a
	if first == 3 {
		square, root = s.a2, s.b
	}
	even, odd, plus := s.vec(), s.vec(), s.vec()
	s.VMOVAPS(d[4], even)
	s.VFNMADD231PS(square, d[2], even)
	s.VMOVAPS(d[3], odd)
	s.VFNMADD231PS(square, d[1], odd)
	s.VMOVAPS(even, plus)
	s.VFMADD231PS(root, odd, plus)
	s.VFNMADD231PS(root, odd, even)
	return plus, even
}

// end computes output 0 or 5.
func (s winogradLine) end(d [6]reg.VecVirtual, output int) reg.VecVirtual {
	i := output / 5
	s.VFNMADD231PS(s.constant(winogradA2+winogradB2), d[2+i], d[4+i])
	s.VFMADD231PS(s.constant(winogradA2*winogradB2), d[i], d[4+i])
	return d[4+i]
}

// winogradInput transforms the columns of a 6 x 6 block of vectors into v, then
// the rows in place.
func winogradInput(g *gen) {
	s := simd{g, 8}
	name := s.name("winogradInput")
	g.function(name, winogradInputSignature,
		name+" writes the transform of a 6 x 6 block of pixels to v, position by position; distances are in bytes, channels are whole vectors of 8.")
	v, stride, x, row, pixel, left := s.pointer("v"), s.pointer("stride"), s.pointer("x"), s.pointer("row"), s.pointer("pixel"), s.pointer("channels")
	line := newWinogradLine(s)
	transform := func(load func(i int) Mem, store func(i int) Mem) {
		var d [6]reg.VecVirtual
		for i := range d {
			d[i] = s.load(load(i), mask{})
		}
		for _, first := range []int{1, 3} {
			plus, minus := line.pair(d, first)
			g.VMOVUPS(plus, store(first))
			g.VMOVUPS(minus, store(first+1))
		}
		for _, i := range []int{0, 5} {
			g.VMOVUPS(line.end(d, i), store(i))
		}
	}
	g.Label("channels")
	from, to, down := g.GP64(), g.GP64(), winogradDown(g, stride)
	g.MOVQ(x, from)
	g.MOVQ(v, to)
	for j := range 6 {
		pixels, positions := newRowPointers(g, from, row, 6), newRowPointers(g, to, down, 6)
		transform(func(i int) Mem { return pixels.at(i, 0) }, func(i int) Mem { return positions.at(i, 0) })
		if j < 5 {
			g.ADDQ(pixel, from)
			g.ADDQ(stride, to)
		}
	}
	g.MOVQ(v, to)
	for i := range 6 {
		positions := newRowPointers(g, to, stride, 6)
		at := func(j int) Mem { return positions.at(j, 0) }
		transform(at, at)
		if i < 5 {
			g.ADDQ(down, to)
		}
	}
	g.ADDQ(U8(32), x)
	g.ADDQ(U8(32), v)
	g.SUBQ(U8(8), left)
	g.JG(LabelRef("channels"))
	g.done()
}

// winogradDown is the distance of six positions.
func winogradDown(g *gen, stride reg.GPVirtual) reg.GPVirtual {
	down := g.GP64()
	g.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, down)
	g.ADDQ(down, down)
	return down
}

// winogradInputWide transforms the columns of a 6 x 6 block of vectors for three
// rows of the result at a time, which stay in registers until they are
// transformed as well.
func winogradInputWide(g *gen) {
	s := simd{g, 16}
	name := s.name("winogradInput")
	g.function(name, winogradInputSignature,
		name+" writes the transform of a 6 x 6 block of pixels to v, position by position; distances are in bytes, channels are whole vectors of 16.")
	v, stride, x, row, pixel, left := s.pointer("v"), s.pointer("stride"), s.pointer("x"), s.pointer("row"), s.pointer("pixel"), s.pointer("channels")
	line := newWinogradLine(s)
	down := winogradDown(g, stride)
	g.Label("channels")
	from, to := g.GP64(), g.GP64()
	g.MOVQ(v, to)
	for half := range 2 {
		g.MOVQ(x, from)
		var columns [3][6]reg.VecVirtual
		for j := range 6 {
			pixels := newRowPointers(g, from, row, 6)
			var d [6]reg.VecVirtual
			for i := range 5 {
				d[half+i] = s.load(pixels.at(half+i, 0), mask{})
			}
			first, end := 1, 0
			if half == 1 {
				first, end = 3, 5
			}
			columns[1-half][j], columns[2-half][j] = line.pair(d, first)
			columns[2*half][j] = line.end(d, end)
			if j < 5 {
				g.ADDQ(pixel, from)
			}
		}
		for _, d := range columns {
			positions := newRowPointers(g, to, stride, 6)
			for _, first := range []int{1, 3} {
				plus, minus := line.pair(d, first)
				g.VMOVUPS(plus, positions.at(first, 0))
				g.VMOVUPS(minus, positions.at(first+1, 0))
			}
			for _, i := range []int{0, 5} {
				g.VMOVUPS(line.end(d, i), positions.at(i, 0))
			}
			g.ADDQ(down, to)
		}
	}
	g.ADDQ(U8(64), x)
	g.ADDQ(U8(64), v)
	g.SUBQ(U8(16), left)
	g.JG(LabelRef("channels"))
	g.done()
}

// winogradOutput transforms the columns of a 6 x 6 block of sums into the
// stack, then the rows, 8 channels at a time.
func winogradOutput(g *gen) {
	s := simd{g, 8}
	name := s.name("winogradOutput")
	g.function(name, winogradOutputSignature,
		name+" writes relu(transform of m + bias + residual), 16 channels of 4 x 4 pixels; distances are in bytes, those of residual are those of dst.")
	dst, row, pixel, m, stride := s.pointer("dst"), s.pointer("row"), s.pointer("pixel"), s.pointer("m"), s.pointer("stride")
	bias, residual := s.pointer("bias"), s.pointer("residual")
	relu := g.Load(g.Param("relu"), g.GP8()).(reg.GPVirtual)
	stack := g.AllocLocal(4 * 6 * 32)
	a, b := s.all(winogradA), s.all(winogradB)
	transform := func(load func(i int) Mem) [4]reg.VecVirtual {
		var in [6]reg.VecVirtual
		for i := range in {
			in[i] = s.load(load(i), mask{})
		}
		return s.winogradOutputLine(in, a, b)
	}
	half := func(suffix string) {
		from, column, down := g.GP64(), g.GP64(), winogradDown(g, stride)
		g.MOVQ(m, column)
		for j := range 6 {
			g.MOVQ(column, from)
			rows := newRowPointers(g, from, down, 6)
			for i, v := range transform(func(i int) Mem { return rows.at(i, 0) }) {
				g.VMOVUPS(v, stack.Offset(32*(6*i+j)))
			}
			if j < 5 {
				g.ADDQ(stride, column)
			}
		}
		to, with := g.GP64(), g.GP64()
		g.MOVQ(dst, to)
		g.MOVQ(residual, with)
		zero, shift := g.YMM(), g.YMM()
		g.VXORPS(zero, zero, zero)
		g.VXORPS(shift, shift, shift)
		g.TESTQ(bias, bias)
		g.JZ(LabelRef("biased" + suffix))
		g.VMOVUPS(Mem{Base: bias}, shift)
		g.Label("biased" + suffix)
		for i := range 4 {
			label := suffix + string(rune('0'+i))
			y := transform(func(j int) Mem { return stack.Offset(32 * (6*i + j)) })
			for _, v := range y {
				g.VADDPS(shift, v, v)
			}
			g.TESTQ(residual, residual)
			g.JZ(LabelRef("complete" + label))
			pixels := newRowPointers(g, with, pixel, 4)
			for j, v := range y {
				g.VADDPS(pixels.at(j, 0), v, v)
			}
			g.ADDQ(row, with)
			g.Label("complete" + label)
			g.TESTB(relu, relu)
			g.JZ(LabelRef("store" + label))
			for _, v := range y {
				g.VMAXPS(v, zero, v)
			}
			g.Label("store" + label)
			pixels = newRowPointers(g, to, pixel, 4)
			for j, v := range y {
				g.VMOVUPS(v, pixels.at(j, 0))
			}
			if i < 3 {
				g.ADDQ(row, to)
			}
		}
	}
	half("Low")
	g.ADDQ(U8(32), dst)
	g.ADDQ(U8(32), m)
	g.TESTQ(bias, bias)
	g.JZ(LabelRef("noBias"))
	g.ADDQ(U8(32), bias)
	g.Label("noBias")
	g.TESTQ(residual, residual)
	g.JZ(LabelRef("noResidual"))
	g.ADDQ(U8(32), residual)
	g.Label("noResidual")
	half("High")
	g.done()
}

// winogradOutputLine is A^T of six vectors, which it overwrites.
func (s simd) winogradOutputLine(in [6]reg.VecVirtual, a, b reg.VecVirtual) [4]reg.VecVirtual {
	var y [4]reg.VecVirtual
	for i := range y {
		y[i] = s.vec()
	}
	sum := func(i int) reg.VecVirtual { // of inputs i and i+1; the difference takes i's place
		v := s.vec()
		s.VADDPS(in[i+1], in[i], v)
		s.VSUBPS(in[i+1], in[i], in[i])
		return v
	}
	s1, s2 := sum(1), sum(3)
	s.VADDPS(s1, in[0], y[0])
	s.VADDPS(s2, y[0], y[0])
	s.VMULPS(a, in[1], y[1])
	s.VFMADD231PS(b, in[3], y[1])
	s.VMULPS(s.constant(winogradA2), s1, y[2])
	s.VFMADD231PS(s.constant(winogradB2), s2, y[2])
	s.VMOVAPS(in[5], y[3])
	s.VFMADD231PS(s.constant(winogradA2*winogradA), in[1], y[3])
	s.VFMADD231PS(s.constant(winogradB2*winogradB), in[3], y[3])
	return y
}

// winogradOutputWide transforms the columns of a 6 x 6 block of sums, then the
// rows, all in registers.
func winogradOutputWide(g *gen) {
	s := simd{g, 16}
	name := s.name("winogradOutput")
	g.function(name, winogradOutputSignature,
		name+" writes relu(transform of m + bias + residual), 16 channels of 4 x 4 pixels; distances are in bytes, those of residual are those of dst.")
	m, stride := s.pointer("m"), s.pointer("stride")
	a, b, down := s.all(winogradA), s.all(winogradB), winogradDown(g, stride)
	var rows [4][6]reg.VecVirtual
	for j := range 6 {
		from := newRowPointers(g, m, down, 6)
		var in [6]reg.VecVirtual
		for i := range in {
			in[i] = s.load(from.at(i, 0), mask{})
		}
		for i, v := range s.winogradOutputLine(in, a, b) {
			rows[i][j] = v
		}
		if j < 5 {
			g.ADDQ(stride, m)
		}
	}
	dst, row, pixel, bias, residual := s.pointer("dst"), s.pointer("row"), s.pointer("pixel"), s.pointer("bias"), s.pointer("residual")
	relu := g.Load(g.Param("relu"), g.GP8()).(reg.GPVirtual)
	shift, zero := s.zero(), s.zero()
	g.TESTQ(bias, bias)
	g.JZ(LabelRef("biased"))
	g.VMOVUPS(Mem{Base: bias}, shift)
	g.Label("biased")
	for i, in := range rows {
		label := string(rune('0' + i))
		y := s.winogradOutputLine(in, a, b)
		for _, v := range y {
			g.VADDPS(shift, v, v)
		}
		g.TESTQ(residual, residual)
		g.JZ(LabelRef("complete" + label))
		pixels := newRowPointers(g, residual, pixel, 4)
		for j, v := range y {
			g.VADDPS(pixels.at(j, 0), v, v)
		}
		g.ADDQ(row, residual)
		g.Label("complete" + label)
		g.TESTB(relu, relu)
		g.JZ(LabelRef("store" + label))
		for _, v := range y {
			g.VMAXPS(v, zero, v)
		}
		g.Label("store" + label)
		pixels = newRowPointers(g, dst, pixel, 4)
		for j, v := range y {
			g.VMOVUPS(v, pixels.at(j, 0))
		}
		if i < 3 {
			g.ADDQ(row, dst)
		}
	}
	g.done()
}
