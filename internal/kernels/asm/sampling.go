package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func samplingKernels(g *gen) {
	g.bothWidths(skipKernel)
	c := weightConstants{
		least: g.constant64(-745), log: g.constant64(math.Log2E), half: g.constant64(0.5),
		hi: g.constant64(6.93147180369123816490e-01), lo: g.constant64(1.90821492927058770002e-10), bias: g.constant64(math.Float64frombits(1023)),
	}
	// 1/n!, correctly rounded, from n = 14 down. Those of 1 and 0 are one.
	factorial := 87178291200.0
	for n := 14.0; n > 2; n-- {
		c.series = append(c.series, g.constant64(1/factorial))
		factorial /= n
	}
	c.one = g.constant64(1)
	c.series = append(c.series, c.half, c.one, c.one)
	g.bothWidths(func(s simd) { weightKernel(s, c) })
}

// skipKernel tests four vectors at a time.
func skipKernel(s simd) {
	name := s.name("skipBelow")
	s.function(name, "func(src *float32, least float32, n int) int",
		name+" returns the place of the first group of 32 elements (64 with AVX-512) of which one is at least least, or that of the incomplete group at the end.")
	src, n, least, i := s.pointer("src"), s.pointer("n"), s.broadcast("least"), s.GP64()
	s.XORQ(i, i)
	const notLess = 13 // false for NaN
	s.SUBQ(I32(4*s.lanes), n)
	s.Label("loop")
	s.CMPQ(i, n)
	s.JG(LabelRef("end"))
	m := func(v int) Mem { return Mem{Base: src, Index: i, Scale: 4, Disp: v * s.bytes()} }
	found := s.GP32()
	if s.lanes == 16 {
		hit := s.K()
		s.VCMPPS(U8(2), m(0), least, hit) // least <= x
		for v := 1; v < 4; v++ {
			k := s.K()
			s.VCMPPS(U8(2), m(v), least, k)
			s.KORW(k, hit, hit)
		}
		s.KMOVW(hit, found)
	} else {
		hits := s.vectors(4)
		for v, hit := range hits {
			s.VMOVUPS(m(v), hit)
			s.VCMPPS(U8(notLess), least, hit, hit)
		}
		s.VORPS(hits[1], hits[0], hits[0])
		s.VORPS(hits[3], hits[2], hits[2])
		s.VORPS(hits[2], hits[0], hits[0])
		s.VMOVMSKPS(hits[0], found)
	}
	s.TESTL(found, found)
	s.JNZ(LabelRef("end"))
	s.ADDQ(I32(4*s.lanes), i)
	s.JMP(LabelRef("loop"))
	s.Label("end")
	s.Store(i, s.ReturnIndex(0))
	s.done()
}

type weightConstants struct {
	least, log, half, hi, lo, bias, one Mem
	series                              []Mem
}

// weightKernel rounds after every operation, there is no multiply-add: the bits
// are those of the portable code.
func weightKernel(s simd, c weightConstants) {
	name := s.name("drawWeights")
	s.function(name, "func(dst *float64, src *float32, top, temperature float64, n int)",
		name+" writes e^((x-top)/temperature), 0 for NaN; n is a multiple of 8.")
	dst, src, n := s.pointer("dst"), s.pointer("src"), s.pointer("n")
	arg := func(name string) reg.VecVirtual {
		p, err := s.Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		v := s.vec()
		s.VBROADCASTSD(p.Addr, v)
		return v
	}
	top, temperature := arg("top"), arg("temperature")
	group := 32 / s.lanes / 2 // vectors of lanes/2 elements
	all := func(step func(i int)) {
		for i := range group {
			step(i)
		}
	}
	constant := func(m Mem) reg.VecVirtual {
		v := s.vec()
		s.VMOVUPD(m, v)
		return v
	}
	s.TESTQ(n, n)
	s.JZ(LabelRef("end"))
	s.Label("loop")
	x, k, t := s.vectors(group), s.vectors(group), s.vectors(group)
	all(func(i int) {
		s.VCVTPS2PD(Mem{Base: src, Disp: i * s.bytes() / 2}, x[i])
		s.VSUBPD(top, x[i], x[i])
	})
	all(func(i int) { s.VDIVPD(temperature, x[i], x[i]) })
	least, keep := constant(c.least), make([]mask, group)
	all(func(i int) {
		const notLess = 13 // false for NaN
		if s.lanes == 16 {
			keep[i].k = s.K()
			s.VCMPPD(U8(notLess), least, x[i], keep[i].k)
		} else {
			keep[i].v = s.vec()
			s.VCMPPD(U8(notLess), least, x[i], keep[i].v)
		}
	})
	log, half := constant(c.log), constant(c.half)
	all(func(i int) {
		s.VMULPD(log, x[i], k[i])
		s.VADDPD(half, k[i], k[i])
		const down = 9
		if s.lanes == 16 {
			s.VRNDSCALEPD(U8(down), k[i], k[i])
		} else {
			s.VROUNDPD(U8(down), k[i], k[i])
		}
	})
	r := x
	for _, part := range []Mem{c.hi, c.lo} {
		v := constant(part)
		all(func(i int) {
			s.VMULPD(v, k[i], t[i])
			s.VSUBPD(t[i], r[i], r[i])
		})
	}
	p := t
	all(func(i int) { s.VMOVUPD(c.series[0], p[i]) })
	for _, next := range c.series[1:] {
		v := constant(next)
		all(func(i int) { s.VMULPD(r[i], p[i], p[i]) })
		all(func(i int) { s.VADDPD(v, p[i], p[i]) })
	}
	// 2^k in two steps, of which the first one is exact.
	bias := constant(c.bias)
	all(func(i int) {
		whole, first := s.halfVec(), s.halfVec()
		if s.lanes == 16 {
			s.VCVTPD2DQ(k[i], whole)
		} else {
			s.VCVTPD2DQY(k[i], whole)
		}
		s.VPSRAD(U8(1), whole, first)
		s.VPSUBD(first, whole, whole)
		for _, e := range []reg.VecVirtual{first, whole} {
			f := s.vec()
			s.VPMOVSXDQ(e, f)
			s.VPADDQ(bias, f, f)
			s.VPSLLQ(U8(52), f, f)
			s.VMULPD(f, p[i], p[i])
		}
	})
	all(func(i int) {
		if s.lanes == 16 {
			s.VMOVAPD_Z(p[i], keep[i].k, p[i])
		} else {
			s.VANDPD(keep[i].v, p[i], p[i])
		}
		s.VMOVUPD(p[i], Mem{Base: dst, Disp: i * s.bytes()})
	})
	s.ADDQ(I32(group*s.bytes()/2), src)
	s.ADDQ(I32(group*s.bytes()), dst)
	s.SUBQ(I32(group*s.lanes/2), n)
	s.JNZ(LabelRef("loop"))
	s.Label("end")
	s.done()
}

// halfVec is a register of half the width.
func (s simd) halfVec() reg.VecVirtual {
	if s.lanes == 16 {
		return s.YMM()
	}
	return s.XMM()
}
