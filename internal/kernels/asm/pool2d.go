package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func poolKernels(g *gen) {
	g.bothWidths(maxWindow)
	g.bothWidths(meanWindow)
}

// eachElement walks the window of a vector of channels: row runs before each of
// its rows, element for each element.
func (s simd) eachElement(id int, src, stride, pixel reg.GPVirtual, row, endRow func(), element func(m Mem)) {
	label := func(name string) string { return fmt.Sprintf("%s%d", name, id) }
	rows, cols := s.pointer("rows"), s.GP64()
	start, p := s.GP64(), s.GP64()
	s.MOVQ(src, start)
	s.Label(label("row"))
	row()
	s.MOVQ(start, p)
	s.Load(s.Param("cols"), cols)
	s.Label(label("element"))
	element(Mem{Base: p})
	s.ADDQ(pixel, p)
	s.DECQ(cols)
	s.JNZ(LabelRef(label("element")))
	endRow()
	s.ADDQ(stride, start)
	s.DECQ(rows)
	s.JNZ(LabelRef(label("row")))
}

// pixelBytes is the distance between pixels of n channels.
func (s simd) pixelBytes() reg.GPVirtual {
	pixel := s.pointer("n")
	s.SHLQ(U8(2), pixel)
	return pixel
}

func maxWindow(s simd) {
	name := s.name("maxWindow")
	s.function(name, "func(dst, x *float32, stride uintptr, rows, cols, n int)",
		name+" writes the maxima of a window's n channels, NaN for one with a NaN; its rows are stride bytes apart.")
	dst, x, stride, pixel := s.pointer("dst"), s.pointer("x"), s.pointer("stride"), s.pixelBytes()
	id := 0
	s.eachVector(func(at reg.GPVirtual, lanes mask) {
		id++
		src := s.GP64()
		s.LEAQ(Mem{Base: x, Index: at, Scale: 1}, src)
		top, nan := s.load(Mem{Base: src}, lanes), s.zero()
		s.eachElement(id, src, stride, pixel, func() {}, func() {}, func(m Mem) {
			v := s.load(m, lanes)
			s.VMAXPS(v, top, top)
			if s.lanes == 16 {
				k := s.K()
				s.VCMPPS(U8(3), v, v, k)
				s.VMOVAPS(v, k, nan)
			} else {
				s.VCMPPS(U8(3), v, v, v)
				s.VORPS(v, nan, nan)
			}
		})
		if s.lanes == 16 {
			k := s.K()
			s.VCMPPS(U8(3), nan, nan, k)
			s.VMOVAPS(nan, k, top)
		} else {
			s.VORPS(nan, top, top)
		}
		s.store(top, Mem{Base: dst, Index: at, Scale: 1}, lanes)
	})
	s.done()
}

func meanWindow(s simd) {
	name := s.name("meanWindow")
	s.function(name, "func(dst, x *float32, stride uintptr, rows, cols int, count float32, n int)",
		name+" writes the sums of a window's n channels, rows first, divided by count; its rows are stride bytes apart.")
	dst, x, stride, pixel, count := s.pointer("dst"), s.pointer("x"), s.pointer("stride"), s.pixelBytes(), s.broadcast("count")
	id := 0
	s.eachVector(func(at reg.GPVirtual, lanes mask) {
		id++
		src := s.GP64()
		s.LEAQ(Mem{Base: x, Index: at, Scale: 1}, src)
		sum, inRow := s.zero(), s.vec()
		s.eachElement(id, src, stride, pixel, func() {
			if s.lanes == 16 {
				s.VPXORD(inRow, inRow, inRow)
			} else {
				s.VXORPS(inRow, inRow, inRow)
			}
		}, func() { s.VADDPS(inRow, sum, sum) }, func(m Mem) {
			s.VADDPS(s.load(m, lanes), inRow, inRow)
		})
		s.VDIVPS(count, sum, sum)
		s.store(sum, Mem{Base: dst, Index: at, Scale: 1}, lanes)
	})
	s.done()
}
