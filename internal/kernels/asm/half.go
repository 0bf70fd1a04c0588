package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// element is a type of weights that is narrower than a float32.
type element struct {
	name string
	size int // in bytes
	// load converts the 16 elements at m, exactly, to one or two vectors.
	load func(s simd, m Mem) []reg.VecVirtual
	// evenOdd: the first of two vectors has the even columns, the second the odd.
	evenOdd bool
}

func halfProducts(g *gen) {
	for _, e := range []element{
		{name: "bf16", size: 2, load: simd.widenBF16, evenOdd: true},
		{name: "f16", size: 2, load: simd.widenF16},
	} {
		g.bothWidths(func(s simd) { s.narrowProducts(e) })
	}
}

// widenBF16 puts zeros under the 16 bits. With 8 lanes it separates pairs of
// columns in place, which costs half of what moving them would.
func (s simd) widenBF16(m Mem) []reg.VecVirtual {
	if s.lanes == 16 {
		v := s.vec()
		s.VPMOVZXWD(m, v)
		s.VPSLLD(U8(16), v, v)
		return []reg.VecVirtual{v}
	}
	pairs, even := s.vec(), s.vec()
	s.VMOVDQU(m, pairs)
	s.VPSLLD(U8(16), pairs, even)
	s.VPAND(s.constantBits(0xffff0000), pairs, pairs)
	return []reg.VecVirtual{even, pairs}
}

func (s simd) widenF16(m Mem) []reg.VecVirtual {
	var v []reg.VecVirtual
	for at := 0; at < 16; at += s.lanes {
		x := s.vec()
		s.VCVTPH2PS(m.Offset(2*at), x)
		v = append(v, x)
	}
	return v
}

// shape is that of a tile: rows of A by panels of B.
type shape struct{ rows, panels int }

// shapes are as large as the registers allow: one panel with each number of
// rows, then more.
func (s simd) shapes() (tiles []shape) {
	most := 6
	wide := []int{1: 4, 2: 2, 3: 2}
	if s.lanes == 16 {
		most = 12
		wide = []int{1: 4, 2: 4, 3: 4, 4: 4, 5: 2, 6: 2, 7: 2, 8: 2, 9: 2, 10: 2, 11: 2, 12: 2}
	}
	for rows := 1; rows <= most; rows++ {
		tiles = append(tiles, shape{rows, 1})
	}
	for rows, panels := range wide {
		if panels > 1 {
			tiles = append(tiles, shape{rows, panels})
		}
	}
	return tiles
}

const narrowSignature = "func(rows, panels int, c *float32, ldc uintptr, a *float32, lda uintptr, b *byte, nextB uintptr, k int, ahead uintptr)"

// narrowProducts is one function with all tiles.
func (s simd) narrowProducts(e element) {
	name := s.name(e.name + "Tile")
	tiles := s.shapes()
	doc := name + " sets a tile of C to the product of A's rows and B's panels, k in order. Rows of C and A are ldc and lda bytes apart, panels nextB. " +
		"What is ahead bytes further on in B is prefetched. Rows and panels are one of"
	for _, t := range tiles {
		doc += fmt.Sprintf(" %dx%d", t.rows, t.panels)
	}
	s.function(name, narrowSignature, doc+".")
	which := s.pointer("rows")
	panels := s.pointer("panels")
	s.SHLQ(U8(4), panels)
	s.ORQ(panels, which)
	for _, t := range tiles[1:] {
		s.CMPQ(which, U8(t.panels<<4|t.rows))
		s.JE(LabelRef(t.label("tile")))
	}
	for _, t := range tiles {
		k := narrowKernel{simd: s, shape: t, element: e}
		s.Label(t.label("tile"))
		k.walk()
		k.storeC()
		s.done()
	}
}

func (t shape) label(name string) string { return fmt.Sprintf("%s%dx%d", name, t.rows, t.panels) }

type narrowKernel struct {
	simd
	shape
	element
	acc   []reg.VecVirtual // [panels][rows][vectors of a panel]
	nextB reg.GPVirtual
	next3 reg.GPVirtual
}

// vectors is the number of vectors that a row of a panel takes.
func (k *narrowKernel) vectors() int { return 16 / k.lanes }

func (k *narrowKernel) sum(panel, row, vector int) reg.VecVirtual {
	return k.acc[(panel*k.rows+row)*k.vectors()+vector]
}

// walk adds the products, lines of 64 bytes at a time.
func (k *narrowKernel) walk() {
	for range k.panels * k.rows * k.vectors() {
		k.acc = append(k.acc, k.zero())
	}
	a := newRowPointers(k.gen, k.pointer("a"), k.pointer("lda"), k.rows)
	b, ahead, left := k.pointer("b"), k.pointer("ahead"), k.pointer("k")
	if k.panels > 1 {
		k.nextB = k.pointer("nextB")
	}
	if k.panels > 3 {
		k.next3 = k.GP64()
		k.LEAQ(Mem{Base: k.nextB, Index: k.nextB, Scale: 2}, k.next3)
	}
	last := k.splitAhead(left, ahead)
	k.ADDQ(b, ahead)
	const unroll = 4
	k.Label(k.label("part"))
	k.SUBQ(U8(unroll), left)
	k.JL(LabelRef(k.label("rest")))
	k.Label(k.label("loop"))
	for u := range unroll {
		if at := u * 16 * k.size; at%64 == 0 {
			for p := range k.panels {
				k.PREFETCHT0(k.panel(ahead, p, at))
			}
		}
		k.step(a, b, u)
	}
	k.ADDQ(U8(unroll*16*k.size), b)
	k.ADDQ(U8(unroll*16*k.size), ahead)
	a.advance(k.gen, U8(4*unroll))
	k.SUBQ(U8(unroll), left)
	k.JGE(LabelRef(k.label("loop")))
	k.Label(k.label("rest"))
	k.ADDQ(U8(unroll), left)
	k.JZ(LabelRef(k.label("store")))
	k.Label(k.label("single"))
	k.step(a, b, 0)
	k.ADDQ(U8(16*k.size), b)
	a.advance(k.gen, U8(4))
	k.DECQ(left)
	k.JNZ(LabelRef(k.label("single")))
	k.Label(k.label("store"))
	if k.panels > 1 {
		k.MOVQ(last, left)
		k.XORQ(last, last)
		for range k.panels - 1 {
			k.ADDQ(k.nextB, ahead)
		}
		k.TESTQ(left, left)
		k.JNZ(LabelRef(k.label("part")))
	}
}

// splitAhead subtracts from k the rows whose prefetching would run into the
// adjacent panel, which has already been prefetched: the first of them
// prefetches the panels after these.
func (k *narrowKernel) splitAhead(left, ahead reg.GPVirtual) (last reg.GPVirtual) {
	if k.panels == 1 {
		return last
	}
	last = k.GP64()
	k.MOVQ(ahead, last)
	k.SHRQ(U8(3+k.size), last) // rows of 16 or 32 bytes
	k.CMPQ(last, left)
	k.CMOVQGT(left, last)
	k.SUBQ(last, left)
	return last
}

// panel addresses a panel beside the first one.
func (k *narrowKernel) panel(base reg.GPVirtual, panel, disp int) Mem {
	m := Mem{Base: base, Disp: disp}
	switch panel {
	case 1, 2:
		m.Index, m.Scale = k.nextB, uint8(panel)
	case 3:
		m.Index, m.Scale = k.next3, 1
	}
	return m
}

// step adds the products of row u from here.
func (k *narrowKernel) step(a rowPointers, b reg.GPVirtual, u int) {
	broadcast := func(row int) reg.VecVirtual {
		x := k.vec()
		k.VBROADCASTSS(a.at(row, 4*u), x)
		return x
	}
	var held []reg.VecVirtual
	if k.rows <= 2 {
		held = each(k.rows, broadcast)
	}
	for p := range k.panels {
		y := k.element.load(k.simd, k.panel(b, p, u*16*k.size))
		for i := range k.rows {
			var x reg.VecVirtual
			if held != nil {
				x = held[i]
			} else {
				x = broadcast(i)
			}
			for j := range y {
				k.VFMADD231PS(y[j], x, k.sum(p, i, j))
			}
		}
	}
}

func (k *narrowKernel) storeC() {
	c := newRowPointers(k.gen, k.pointer("c"), k.pointer("ldc"), k.rows)
	for p := range k.panels {
		for i := range k.rows {
			if k.vectors() == 1 {
				k.VMOVUPS(k.sum(p, i, 0), c.at(i, 64*p))
				continue
			}
			lo, hi := k.sum(p, i, 0), k.sum(p, i, 1)
			if k.evenOdd {
				even, odd := lo, hi
				lo, hi = k.vec(), k.vec()
				k.VUNPCKLPS(odd, even, lo) // columns 0 to 3, 8 to 11
				k.VUNPCKHPS(odd, even, hi) // columns 4 to 7, 12 to 15
				k.VPERM2F128(U8(0x20), hi, lo, even)
				k.VPERM2F128(U8(0x31), hi, lo, odd)
				lo, hi = even, odd
			}
			k.VMOVUPS(lo, c.at(i, 64*p))
			k.VMOVUPS(hi, c.at(i, 64*p+32))
		}
	}
}
