package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// simd writes the same kernel for AVX2 (8 lanes) and AVX-512 (16 lanes).
type simd struct {
	*gen
	lanes int
}

func (s simd) name(function string) string {
	if s.lanes == 16 {
		return function + "AVX512"
	}
	return function + "AVX2"
}

func (s simd) bytes() int { return 4 * s.lanes }

func (s simd) vec() reg.VecVirtual {
	if s.lanes == 16 {
		return s.ZMM()
	}
	return s.YMM()
}

func (s simd) zero() reg.VecVirtual {
	v := s.vec()
	if s.lanes == 16 {
		s.VPXORD(v, v, v)
	} else {
		s.VXORPS(v, v, v)
	}
	return v
}

// mask says which lanes of a vector exist. The zero mask means all of them.
type mask struct {
	k reg.OpmaskVirtual
	v reg.VecVirtual
}

// firstLanes makes the mask of the first n lanes, n less than their number.
func (s simd) firstLanes(n reg.GPVirtual) mask {
	if s.lanes == 16 {
		return mask{k: lowBits(s.gen, n)}
	}
	back, v := s.GP64(), s.YMM()
	s.MOVQ(n, back)
	s.NEGQ(back)
	s.VMOVUPS(tailMasks(s.gen).Offset(64).Idx(back, 4), v)
	return mask{v: v}
}

// load reads the lanes of the mask; the others are zero.
func (s simd) load(m Mem, lanes mask) reg.VecVirtual {
	v := s.vec()
	switch {
	case lanes.k != nil:
		s.VMOVUPS_Z(m, lanes.k, v)
	case lanes.v != nil:
		s.VMASKMOVPS(m, lanes.v, v)
	default:
		s.VMOVUPS(m, v)
	}
	return v
}

func (s simd) store(v reg.VecVirtual, m Mem, lanes mask) {
	switch {
	case lanes.k != nil:
		s.VMOVUPS(v, lanes.k, m)
	case lanes.v != nil:
		s.VMASKMOVPS(v, lanes.v, m)
	default:
		s.VMOVUPS(v, m)
	}
}

// keep zeroes the lanes that the mask does not have.
func (s simd) keep(v reg.VecVirtual, lanes mask) {
	switch {
	case lanes.k != nil:
		s.VMOVAPS_Z(v, lanes.k, v)
	case lanes.v != nil:
		s.VANDPS(v, lanes.v, v)
	}
}

// constant returns a vector of one value, in memory.
func (g *gen) constant(value float32) Mem { return g.constantBits(math.Float32bits(value)) }

func (g *gen) constantBits(bits uint32) Mem {
	if m, ok := g.constants[bits]; ok {
		return m
	}
	m := g.StaticGlobal(fmt.Sprintf("all%08x", bits))
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		g.AddDatum(4*i, U32(bits))
	}
	if g.constants == nil {
		g.constants = map[uint32]Mem{}
	}
	g.constants[bits] = m
	return m
}

// all returns a vector of one value, in a register.
func (s simd) all(value float32) reg.VecVirtual {
	v := s.vec()
	s.VMOVUPS(s.constant(value), v)
	return v
}

func (s simd) allBits(bits uint32) reg.VecVirtual { return s.all(math.Float32frombits(bits)) }

func (s simd) pointer(name string) reg.GPVirtual {
	return s.Load(s.Param(name), s.GP64()).(reg.GPVirtual)
}

// broadcast loads a float32 argument into every lane.
func (s simd) broadcast(name string) reg.VecVirtual {
	v := s.vec()
	arg, err := s.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	s.VBROADCASTSS(arg.Addr, v)
	return v
}

// eachVector runs body for n elements, a vector at a time, with the masked rest
// at the end; at is the byte offset.
func (s simd) eachVector(body func(at reg.GPVirtual, lanes mask)) {
	n, at := s.pointer("n"), s.GP64()
	s.XORQ(at, at)
	s.SUBQ(U8(s.lanes), n)
	s.JL(LabelRef("rest"))
	s.Label("loop")
	body(at, mask{})
	s.ADDQ(U8(s.bytes()), at)
	s.SUBQ(U8(s.lanes), n)
	s.JGE(LabelRef("loop"))
	s.Label("rest")
	s.ADDQ(U8(s.lanes), n)
	s.JZ(LabelRef("end"))
	body(at, s.firstLanes(n))
	s.Label("end")
}

// vectors are independent of each other. Computing several of them step by step
// keeps the CPU busy while single steps wait for their inputs.
type vectors []reg.VecVirtual

func (s simd) vectors(n int) vectors { return each(n, func(int) reg.VecVirtual { return s.vec() }) }

// copies returns n vectors of one value. The value is loaded into a register
// once for all vectors: with an operand in memory each instruction would load
// it again.
func (s simd) copies(n int, value float32) vectors {
	v := s.vectors(n)
	s.VMOVUPS(s.constant(value), v[0])
	for _, c := range v[1:] {
		s.VMOVAPS(v[0], c)
	}
	return v
}

// add, multiply and and work on every vector, in place.
func (s simd) add(x vectors, value float32) {
	c := s.all(value)
	for _, v := range x {
		s.VADDPS(c, v, v)
	}
}

func (s simd) multiply(x vectors, value float32) {
	c := s.all(value)
	for _, v := range x {
		s.VMULPS(c, v, v)
	}
}

func (s simd) and(x vectors, bits uint32) {
	c := s.allBits(bits)
	for _, v := range x {
		s.VANDPS(c, v, v)
	}
}

// eachGroup is eachVector with groups of vectors as long as there are enough
// elements; body gets the functions that load and store them. A group is as
// large as the 16 registers of AVX2 allow.
func (s simd) eachGroup(most int, body func(t round)) {
	n, at := s.pointer("n"), s.GP64()
	s.XORQ(at, at)
	for _, size := range slices.Compact([]int{most, 1}) {
		name := fmt.Sprint(size)
		step := I32(size * s.lanes)
		s.SUBQ(step, n)
		s.JL(LabelRef("rest" + name))
		s.Label("loop" + name)
		body(round{simd: s, at: at, size: size})
		s.ADDQ(I32(size*s.bytes()), at)
		s.SUBQ(step, n)
		s.JGE(LabelRef("loop" + name))
		s.Label("rest" + name)
		s.ADDQ(step, n)
	}
	s.TESTQ(n, n)
	s.JZ(LabelRef("end"))
	body(round{simd: s, at: at, size: 1, tail: s.firstLanes(n)})
	s.Label("end")
}

// round is a round of the loop of eachGroup: size vectors from offset at on.
type round struct {
	simd
	at    reg.GPVirtual
	size  int
	tail  mask
	found reg.GPVirtual // bits of elements that were left, see [activation]
}

func (t round) place(base reg.GPVirtual, i int) Mem {
	return at(base, t.at).Offset(i * t.bytes())
}

func (t round) loadAll(base reg.GPVirtual) vectors {
	return each(t.size, func(i int) reg.VecVirtual { return t.load(t.place(base, i), t.tail) })
}

func (t round) storeAll(v vectors, base reg.GPVirtual) {
	for i, x := range v {
		t.store(x, t.place(base, i), t.tail)
	}
}

// constant64 is constant for a float64, which is not defined yet.
func (g *gen) constant64(value float64) Mem {
	bits := math.Float64bits(value)
	m := g.StaticGlobal(fmt.Sprintf("all%016x", bits))
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		g.AddDatum(8*i, U64(bits))
	}
	return m
}

func (g *gen) bothWidths(kernel func(simd)) {
	kernel(simd{g, 8})
	kernel(simd{g, 16})
}

func at(base, offset reg.GPVirtual) Mem { return Mem{Base: base, Index: offset, Scale: 1} }
