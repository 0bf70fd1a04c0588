package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func elementwiseKernels(g *gen) {
	for _, op := range []struct {
		name string
		emit func(s simd, x, y reg.VecVirtual)
	}{
		{"add", func(s simd, x, y reg.VecVirtual) { s.VADDPS(y, x, x) }},
		{"sub", func(s simd, x, y reg.VecVirtual) { s.VSUBPS(y, x, x) }},
		{"mul", func(s simd, x, y reg.VecVirtual) { s.VMULPS(y, x, x) }},
		{"div", func(s simd, x, y reg.VecVirtual) { s.VDIVPS(y, x, x) }},
	} {
		g.bothWidths(func(s simd) {
			name := s.name(op.name)
			s.function(name, "func(dst, a, b *float32, n int)", name+" works on n elements of a and b.")
			dst, a, b := s.pointer("dst"), s.pointer("a"), s.pointer("b")
			s.eachVector(func(i reg.GPVirtual, lanes mask) {
				x, y := s.load(at(a, i), lanes), s.load(at(b, i), lanes)
				op.emit(s, x, y)
				s.store(x, at(dst, i), lanes)
			})
			s.done()
		})
		g.bothWidths(func(s simd) { scalarKernel(s, op.name+"Scalar", op.emit) })
	}
	for _, op := range []struct {
		name string
		emit func(s simd, x, y reg.VecVirtual)
	}{
		{"scalarSub", func(s simd, x, y reg.VecVirtual) { s.VSUBPS(x, y, x) }},
		{"scalarDiv", func(s simd, x, y reg.VecVirtual) { s.VDIVPS(x, y, x) }},
	} {
		g.bothWidths(func(s simd) { scalarKernel(s, op.name, op.emit) })
	}
	g.bothWidths(normaliseKernel)
	g.bothWidths(affineKernel)
}

func scalarKernel(s simd, function string, emit func(s simd, x, y reg.VecVirtual)) {
	name := s.name(function)
	s.function(name, "func(dst, a *float32, y float32, n int)", name+" works on n elements of a and one value.")
	dst, a, y := s.pointer("dst"), s.pointer("a"), s.broadcast("y")
	s.eachVector(func(i reg.GPVirtual, lanes mask) {
		x := s.load(at(a, i), lanes)
		emit(s, x, y)
		s.store(x, at(dst, i), lanes)
	})
	s.done()
}

func normaliseKernel(s simd) {
	name := s.name("normalise")
	s.function(name, "func(dst, src *float32, mean, scale float32, n int)", name+" computes (x-mean)*scale.")
	dst, src, mean, scale := s.pointer("dst"), s.pointer("src"), s.broadcast("mean"), s.broadcast("scale")
	s.eachVector(func(i reg.GPVirtual, lanes mask) {
		x := s.load(at(src, i), lanes)
		s.VSUBPS(mean, x, x)
		s.VMULPS(scale, x, x)
		s.store(x, at(dst, i), lanes)
	})
	s.done()
}

func affineKernel(s simd) {
	name := s.name("normaliseAffine")
	s.function(name, "func(dst, src, gamma, beta *float32, mean, scale float32, n int)",
		name+" computes fma((x-mean)*scale, gamma, beta).")
	dst, src, mean, scale := s.pointer("dst"), s.pointer("src"), s.broadcast("mean"), s.broadcast("scale")
	gamma, beta := s.pointer("gamma"), s.pointer("beta")
	s.eachVector(func(i reg.GPVirtual, lanes mask) {
		x := s.load(at(src, i), lanes)
		s.VSUBPS(mean, x, x)
		s.VMULPS(scale, x, x)
		w, b := s.load(at(gamma, i), lanes), s.load(at(beta, i), lanes)
		s.VFMADD213PS(b, w, x)
		s.store(x, at(dst, i), lanes)
	})
	s.done()
}

func reduceKernels(g *gen) {
	g.bothWidths(func(s simd) {
		name := s.name("sum")
		s.function(name, "func(src *float32, n int) float32", name+" adds n elements in 16 lanes and their tree.")
		s.sixteenLanes(func(x reg.VecVirtual, _ mask, acc reg.VecVirtual) { s.VADDPS(x, acc, acc) })
	})
	g.bothWidths(func(s simd) {
		name := s.name("sumSquaredDistance")
		s.function(name, "func(src *float32, mean float32, n int) float32", name+" adds (x-mean)^2 of n elements in 16 lanes and their tree.")
		mean := s.broadcast("mean")
		s.sixteenLanes(func(x reg.VecVirtual, lanes mask, acc reg.VecVirtual) {
			s.VSUBPS(mean, x, x)
			s.keep(x, lanes)
			s.VFMADD231PS(x, x, acc)
		})
	})
	g.bothWidths(func(s simd) { extremeKernel(s, "maxima", "maximum", math.Inf(-1), s.VMAXPS) })
	g.bothWidths(func(s simd) { extremeKernel(s, "minima", "minimum", math.Inf(1), s.VMINPS) })
}

// sixteenLanes reduces src: lane l takes the elements l, l+16, ... in order.
func (s simd) sixteenLanes(step func(x reg.VecVirtual, lanes mask, acc reg.VecVirtual)) {
	src := s.pointer("src")
	var total reg.VecVirtual
	if s.lanes == 16 {
		total = s.zero()
		s.eachVector(func(i reg.GPVirtual, lanes mask) { step(s.load(at(src, i), lanes), lanes, total) })
		hi := s.YMM()
		s.VEXTRACTF64X4(U8(1), total, hi)
		s.VADDPS(hi, total.AsY(), total.AsY())
	} else {
		lo, hi := s.zero(), s.zero()
		n := s.pointer("n")
		s.SUBQ(U8(16), n)
		s.JL(LabelRef("rest"))
		s.Label("loop")
		step(s.load(Mem{Base: src}, mask{}), mask{}, lo)
		step(s.load(Mem{Base: src, Disp: 32}, mask{}), mask{}, hi)
		s.ADDQ(U8(64), src)
		s.SUBQ(U8(16), n)
		s.JGE(LabelRef("loop"))
		s.Label("rest")
		s.ADDQ(U8(16), n)
		s.JZ(LabelRef("end"))
		s.NEGQ(n)
		for half, acc := range []reg.VecVirtual{lo, hi} {
			m := mask{v: s.YMM()}
			s.VMOVUPS(tailMasks(s.gen).Offset(64+32*half).Idx(n, 4), m.v)
			step(s.load(Mem{Base: src, Disp: 32 * half}, m), m, acc)
		}
		s.Label("end")
		s.VADDPS(hi, lo, lo)
		total = lo
	}
	x, y := total.AsX().(reg.VecVirtual), s.XMM()
	s.VEXTRACTF128(U8(1), total.AsY(), y)
	s.VADDPS(y, x, x)
	s.VPERMILPD(U8(1), x, y)
	s.VADDPS(y, x, x)
	s.VPERMILPS(U8(1), x, y)
	s.VADDPS(y, x, x)
	s.Store(x, s.ReturnIndex(0))
	s.done()
}

// extremeKernel processes at least a whole vector; the last one may overlap the
// one before it, which does not affect a maximum.
func extremeKernel(s simd, function, extreme string, first float64, f func(ops ...Op)) {
	name := s.name(function)
	s.function(name, "func(lanes *[16]float32, nan *[16]uint32, src *float32, n int)",
		name+" gives the "+extreme+" of each lane, leaving out NaN, and ones in nan for a lane that met one; n is at least 16.")
	src, n := s.pointer("src"), s.pointer("n")
	tops, nan, last := s.copies(4, float32(first)), s.zero(), s.GP64()
	s.LEAQ(Mem{Base: src, Index: n, Scale: 4, Disp: -s.bytes()}, last)
	nans := func(x, y reg.VecVirtual) { // at least one of the two
		if s.lanes == 16 {
			k, ones := s.K(), s.ZMM()
			s.VCMPPS(U8(3), x, y, k)
			s.VPMOVM2D(k, ones)
			s.VPORD(ones, nan, nan)
		} else {
			either := s.vec()
			s.VCMPPS(U8(3), x, y, either)
			s.VORPS(either, nan, nan)
		}
	}
	step := func(p reg.GPVirtual, tops vectors) {
		x := s.vectors(len(tops))
		for i, top := range tops {
			s.VMOVUPS(Mem{Base: p, Disp: i * s.bytes()}, x[i])
			f(top, x[i], top) // the second operand, top, where x is NaN
		}
		for i := 0; i < len(x); i += 2 {
			nans(x[i], x[min(i+1, len(x)-1)])
		}
	}
	s.SUBQ(I32(4*s.lanes), n)
	s.JL(LabelRef("rest"))
	s.Label("loop4")
	step(src, tops)
	s.ADDQ(I32(4*s.bytes()), src)
	s.SUBQ(I32(4*s.lanes), n)
	s.JGE(LabelRef("loop4"))
	s.Label("rest")
	for _, top := range tops[1:] {
		f(top, tops[0], tops[0])
	}
	s.Label("loop")
	s.CMPQ(src, last)
	s.JGE(LabelRef("last"))
	step(src, tops[:1])
	s.ADDQ(U8(s.bytes()), src)
	s.JMP(LabelRef("loop"))
	s.Label("last")
	step(last, tops[:1])
	lanes, flags := s.pointer("lanes"), s.pointer("nan")
	for at := 0; at < 64; at += s.bytes() {
		s.VMOVUPS(tops[0], Mem{Base: lanes, Disp: at})
		s.VMOVUPS(nan, Mem{Base: flags, Disp: at})
	}
	s.done()
}
