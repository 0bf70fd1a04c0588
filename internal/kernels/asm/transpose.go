package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transposeKernels read rows of B in blocks of 4 columns and transpose them in
// registers, so that a vector holds one column: to store it, or to multiply and
// add it in the order of k.
func transposeKernels(g *gen) {
	transposeTile(g)
	ntFamily(g, "ntTileAVX2", 8, ntTile{simd: simd{g, 8}, cols: 8})
	ntFamily(g, "ntWideAVX2", 4, ntTile{simd: simd{g, 8}, cols: 16})
	ntFamily(g, "ntWideAVX512", 8, ntTile{simd: simd{g, 16}, cols: 16})
}

// rowsOfB addresses rows; advance moves on to later columns of all of them.
type rowsOfB interface {
	at(row, disp int) Mem
	advance(g *gen, by Op)
}

// clampedRows has a pointer for each of 8 rows. If fewer exist, the last one is
// repeated, so that nothing beyond it is read.
type clampedRows struct {
	rows   []reg.GPVirtual
	offset reg.GPVirtual
}

func newClampedRows(g *gen, first, ld, rows reg.GPVirtual) clampedRows {
	p := clampedRows{rows: []reg.GPVirtual{first}, offset: g.GP64()}
	for i := 1; i < 8; i++ {
		prev, next := p.rows[i-1], g.GP64()
		g.LEAQ(Mem{Base: prev, Index: ld, Scale: 1}, next)
		g.CMPQ(rows, U8(i))
		g.CMOVQLE(prev, next)
		p.rows = append(p.rows, next)
	}
	g.XORQ(p.offset, p.offset)
	return p
}

func (p clampedRows) at(row, disp int) Mem {
	return Mem{Base: p.rows[row], Index: p.offset, Scale: 1, Disp: disp}
}

func (p clampedRows) advance(g *gen, by Op) { g.ADDQ(by, p.offset) }

// turn loads 4 columns (those of the mask) of as many rows as a vector has
// lanes, and gives the vectors of the columns.
func (s simd) turn(rows rowsOfB, first int, columns mask) [4]reg.VecVirtual {
	var v [4]reg.VecVirtual
	for i := range v {
		v[i] = s.vec()
		s.quarter(v[i], 0, rows.at(first+i, 0), columns)
		for q := 1; q < s.lanes/4; q++ {
			s.quarter(v[i], q, rows.at(first+4*q+i, 0), columns)
		}
	}
	var t, out [4]reg.VecVirtual
	for i := range t {
		t[i], out[i] = s.vec(), s.vec()
	}
	s.VUNPCKLPS(v[1], v[0], t[0])
	s.VUNPCKHPS(v[1], v[0], t[1])
	s.VUNPCKLPS(v[3], v[2], t[2])
	s.VUNPCKHPS(v[3], v[2], t[3])
	s.VUNPCKLPD(t[2], t[0], out[0])
	s.VUNPCKHPD(t[2], t[0], out[1])
	s.VUNPCKLPD(t[3], t[1], out[2])
	s.VUNPCKHPD(t[3], t[1], out[3])
	return out
}

// quarter loads 128 bits into part q of v. Part 0 comes first, it gives the other
// parts a value.
func (s simd) quarter(v reg.VecVirtual, q int, m Mem, columns mask) {
	var from Op = m
	switch {
	case columns.k != nil || columns.v != nil:
		x := s.XMM()
		from = x
		if s.lanes == 16 {
			s.VMOVUPS_Z(m, columns.k, x)
		} else {
			s.VMASKMOVPS(m, columns.v.AsX(), x)
		}
		if q == 0 && s.lanes == 16 {
			s.VPXORD(v, v, v)
		} else if q == 0 {
			s.VXORPS(v, v, v)
		}
	case q == 0 && s.lanes == 16:
		s.VBROADCASTF32X4(m, v)
		return
	case q == 0:
		s.VBROADCASTF128(m, v)
		return
	}
	if s.lanes == 16 {
		s.VINSERTF32X4(U8(q), from, v, v)
	} else {
		s.VINSERTF128(U8(q), from, v, v)
	}
}

// byFours runs body for every whole four columns, then for the rest: with their
// mask, and with stop, which skips the part of the body after a label when
// there is nothing after element l.
func (s simd) byFours(name string, body func(columns mask, stop func(l int, end string))) {
	s.byFoursOf(s.pointer("k"), name, body)
}

// byFoursOf is byFours with a register that counts the columns: where there are
// more, it has four less than the number of those left.
func (s simd) byFoursOf(k reg.GPVirtual, name string, body func(columns mask, stop func(l int, end string))) {
	label := func(of string) string { return of + name }
	s.SUBQ(U8(4), k)
	s.JL(LabelRef(label("rest")))
	s.Label(label("loop"))
	body(mask{}, func(int, string) {})
	s.SUBQ(U8(4), k)
	s.JGE(LabelRef(label("loop")))
	s.Label(label("rest"))
	s.ADDQ(U8(4), k)
	s.JZ(LabelRef(label("end")))
	var columns mask
	if s.lanes == 16 {
		columns = s.firstLanes(k)
	} else {
		columns.v = s.YMM()
		s.NEGQ(k)
		s.VMOVUPS(tailMasks(s.gen).Offset(64).Idx(k, 4), columns.v)
		s.NEGQ(k)
	}
	body(columns, func(l int, end string) {
		if l == 3 {
			s.Label(label(end))
			return
		}
		s.CMPQ(k, U8(l+1))
		s.JE(LabelRef(label(end)))
	})
	s.Label(label("end"))
}

func transposeTile(g *gen) {
	s := simd{g, 8}
	name := s.name("transpose")
	s.function(name, "func(dst *float32, step uintptr, src *float32, ld uintptr, rows, k int)",
		name+" stores element l of 8 rows of src, ld bytes apart, at dst + l*step bytes, l = 0..k-1 in order. "+
			"Fewer rows count as more of the last one: 8 elements are written always.")
	dst, step := s.pointer("dst"), s.pointer("step")
	rows := newClampedRows(g, s.pointer("src"), s.pointer("ld"), s.pointer("rows"))
	s.byFours("", func(columns mask, stop func(l int, end string)) {
		for i, v := range s.turn(rows, 0, columns) {
			s.VMOVUPS(v, Mem{Base: dst})
			s.ADDQ(step, dst)
			stop(i, "stored")
		}
		rows.advance(g, U8(16))
	})
	s.done()
}

// ntTile is the shape of a micro-kernel of A x B^T: rows of A by cols rows of B.
type ntTile struct {
	simd
	rows, cols int
}

// ntFamily is one function with a tile for each number of rows, 1 to most.
func ntFamily(g *gen, name string, most int, t ntTile) {
	signature := "func(rows int, c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, ldb uintptr, k int%s)"
	doc := fmt.Sprintf("%s sets a tile of C to the products of 1 to %d (rows) rows of A and %d rows of B, k in order. Leading dimensions are in bytes.", name, most, t.cols)
	extra, clamped := ", ahead uintptr", t.cols == 8
	if !clamped {
		doc += fmt.Sprintf(" Up to %d rows of A prefetch B's rows from ahead bytes after the first on.", aheadRows)
	} else {
		extra, doc = ", cols int", doc+" There may be fewer rows of B: cols."
	}
	g.function(name, fmt.Sprintf(signature, extra), doc)
	rows := t.pointer("rows")
	for i := 1; i < most; i++ {
		g.CMPQ(rows, U8(i))
		g.JE(LabelRef(fmt.Sprintf("rows%d", i)))
	}
	for t.rows = most; t.rows > 0; t.rows-- {
		g.Label(fmt.Sprintf("rows%d", t.rows))
		t.emit(clamped)
	}
}

// aheadRows is the number of rows of A up to which there are registers for
// prefetching.
const aheadRows = 4

// aheadOfB prefetches a line of each of 16 rows in four turns of four columns, of
// which a line of floats has four.
type aheadOfB struct {
	t              ntTile
	ld, line, p, k reg.GPVirtual
	label          string
}

func (t ntTile) newAheadOfB(first, ld, k reg.GPVirtual) *aheadOfB {
	a := &aheadOfB{t: t, ld: ld, line: t.pointer("ahead"), p: t.GP64(), k: k, label: fmt.Sprint("ahead", t.rows)}
	t.ADDQ(first, a.line)
	t.MOVQ(a.line, a.p)
	return a
}

func (a *aheadOfB) turn(rest bool) {
	if rest {
		return
	}
	t, next := a.t, a.t.GP64()
	t.LEAQ(Mem{Base: a.p, Index: a.ld, Scale: 2}, next)
	for _, m := range []Mem{{Base: a.p}, {Base: a.p, Index: a.ld, Scale: 1}, {Base: next}, {Base: next, Index: a.ld, Scale: 1}} {
		t.PREFETCHT0(m)
	}
	t.LEAQ(Mem{Base: next, Index: a.ld, Scale: 2}, a.p)
	t.TESTQ(U32(15), a.k)
	t.JNZ(LabelRef(a.label))
	t.ADDQ(U8(64), a.line)
	t.MOVQ(a.line, a.p)
	t.Label(a.label)
}

func (t ntTile) emit(clamped bool) {
	var b rowsOfB
	if clamped {
		b = newClampedRows(t.gen, t.pointer("b"), t.pointer("ldb"), t.pointer("cols"))
	} else {
		b = newRowPointers(t.gen, t.pointer("b"), t.pointer("ldb"), t.cols)
	}
	k := t.pointer("k")
	var ahead *aheadOfB
	if p, ok := b.(rowPointers); ok && t.rows <= aheadRows {
		ahead = t.newAheadOfB(p.base[0], p.ld, k)
	}
	a := newRowPointers(t.gen, t.pointer("a"), t.pointer("lda"), t.rows)
	groups := t.cols / t.lanes
	acc := each(t.rows*groups, func(int) reg.VecVirtual { return t.zero() })
	t.byFoursOf(k, fmt.Sprint(t.rows), func(columns mask, stop func(l int, end string)) {
		if ahead != nil {
			ahead.turn(columns.k != nil || columns.v != nil)
		}
		for j := range groups {
			for l, y := range t.turn(b, j*t.lanes, columns) {
				for i := range t.rows {
					x := t.vec()
					t.VBROADCASTSS(a.at(i, 4*l), x)
					t.VFMADD231PS(y, x, acc[i*groups+j])
				}
				stop(l, fmt.Sprintf("group%dof", j))
			}
		}
		a.advance(t.gen, U8(16))
		b.advance(t.gen, U8(16))
	})
	c := newRowPointers(t.gen, t.pointer("c"), t.pointer("ldc"), t.rows)
	var lanes mask
	if clamped {
		lanes.v = t.YMM()
		n := t.pointer("cols")
		t.NEGQ(n)
		t.VMOVUPS(tailMasks(t.gen).Offset(64).Idx(n, 4), lanes.v)
	}
	for i, v := range acc {
		t.store(v, c.at(i/groups, i%groups*t.bytes()), lanes)
	}
	t.done()
}
