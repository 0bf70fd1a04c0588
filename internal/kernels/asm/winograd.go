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
	winogradOutput(g)
}

// winogradInput transforms the columns of a 6 x 6 block of vectors into v, then
// the rows in place.
func winogradInput(g *gen) {
	const name = "winogradInputAVX2"
	g.function(name, "func(v *float32, stride uintptr, x *float32, row, pixel uintptr, channels int)",
		name+" writes the transform of a 6 x 6 block of pixels to v, position by position; distances are in bytes, channels are whole vectors of 8.")
	s := simd{g, 8}
	v, stride, x, row, pixel, left := s.pointer("v"), s.pointer("stride"), s.pointer("x"), s.pointer("row"), s.pointer("pixel"), s.pointer("channels")
	a2, b2, a, b := s.all(winogradA2), s.all(winogradB2), s.all(winogradA), s.all(winogradB)
	transform := func(load func(i int) Mem, store func(i int) Mem) {
		var d [6]reg.VecVirtual
		for i := range d {
			d[i] = g.YMM()
			g.VMOVUPS(load(i), d[i])
		}
		pair := func(square, root reg.VecVirtual, first int) {
			even, odd, plus := g.YMM(), g.YMM(), g.YMM()
			g.VMOVAPS(d[4], even)
			g.VFNMADD231PS(square, d[2], even)
			g.VMOVAPS(d[3], odd)
			g.VFNMADD231PS(square, d[1], odd)
			g.VMOVAPS(even, plus)
			g.VFMADD231PS(root, odd, plus)
			g.VMOVUPS(plus, store(first))
			g.VFNMADD231PS(root, odd, even)
			g.VMOVUPS(even, store(first+1))
		}
		pair(b2, a, 1)
		pair(a2, b, 3)
		for i := range 2 {
			sum, product := g.constant(winogradA2+winogradB2), g.constant(winogradA2*winogradB2)
			g.VFNMADD231PS(sum, d[2+i], d[4+i])
			g.VFMADD231PS(product, d[i], d[4+i])
			g.VMOVUPS(d[4+i], store(5*i))
		}
	}
	g.Label("channels")
	from, to, down := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(x, from)
	g.MOVQ(v, to)
	g.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, down)
	g.ADDQ(down, down) // six positions
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

// winogradOutput transforms the columns of a 6 x 6 block of sums into the
// stack, then the rows, 8 channels at a time.
func winogradOutput(g *gen) {
	const name = "winogradOutputAVX2"
	g.function(name, "func(dst *float32, row, pixel uintptr, m *float32, stride uintptr, bias, residual *float32, relu bool)",
		name+" writes relu(transform of m + bias + residual), 16 channels of 4 x 4 pixels; distances are in bytes, those of residual are those of dst.")
	s := simd{g, 8}
	dst, row, pixel, m, stride := s.pointer("dst"), s.pointer("row"), s.pointer("pixel"), s.pointer("m"), s.pointer("stride")
	bias, residual := s.pointer("bias"), s.pointer("residual")
	relu := g.Load(g.Param("relu"), g.GP8()).(reg.GPVirtual)
	stack := g.AllocLocal(4 * 6 * 32)
	a, b := s.all(winogradA), s.all(winogradB)
	transform := func(load func(i int) Mem) [4]reg.VecVirtual {
		var in [6]reg.VecVirtual
		for i := range in {
			in[i] = g.YMM()
			g.VMOVUPS(load(i), in[i])
		}
		var y [4]reg.VecVirtual
		for i := range y {
			y[i] = g.YMM()
		}
		sum := func(i int) reg.VecVirtual { // of inputs i and i+1; the difference takes i's place
			v := g.YMM()
			g.VADDPS(in[i+1], in[i], v)
			g.VSUBPS(in[i+1], in[i], in[i])
			return v
		}
		s1, s2 := sum(1), sum(3)
		g.VADDPS(s1, in[0], y[0])
		g.VADDPS(s2, y[0], y[0])
		g.VMULPS(a, in[1], y[1])
		g.VFMADD231PS(b, in[3], y[1])
		g.VMULPS(g.constant(winogradA2), s1, y[2])
		g.VFMADD231PS(g.constant(winogradB2), s2, y[2])
		g.VMOVAPS(in[5], y[3])
		g.VFMADD231PS(g.constant(winogradA2*winogradA), in[1], y[3])
		g.VFMADD231PS(g.constant(winogradB2*winogradB), in[3], y[3])
		return y
	}
	half := func(suffix string) {
		from, column, down := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(m, column)
		g.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, down)
		g.ADDQ(down, down) // six positions
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
