package emulator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The layouts of fragments are those of the PTX ISA: lane l is in group l/4 and
// at place l%4 of it.
//
//	mma.m16n8k16 of 16-bit elements: A has 4 registers of two elements,
//	(row g, k 2p+{0,1}), (row g+8, same k), (row g, k+8), (row g+8, k+8);
//	B has 2, (k 2p+{0,1}, column g) and (k+8, column g);
//	C has 4 floats, (row g, columns 2p+{0,1}) and (row g+8, same columns).
//	mma.m16n8k8 of 16-bit elements: the first half of that.
//	mma.m16n8k8 of tf32: A has 4 registers of one element, (g, p), (g+8, p),
//	(g, p+4), (g+8, p+4); B has 2, (k p, column g) and (k p+4, column g).
//
// The products are exact in float32. They are added to C in ascending k, each
// sum rounded to nearest; a tensor core may order and round them otherwise.

// product is the shape of an mma.
type product struct {
	k      int
	half   half // of 16-bit elements
	tf32   bool
	a, b   int // registers of the operands
	a1, b1 [4]slot
	c, d   [4]slot
}

// mma decodes mma.sync.aligned.SHAPE.row.col.f32.AB.AB.f32.
func (d *decoder) mma(s *statement) error {
	t := s.types()
	if !s.has("sync") || !s.has("aligned") || !s.has("row") || !s.has("col") || len(t) != 4 || t[0] != f32 || t[3] != f32 || t[1] != t[2] {
		return nil
	}
	p := product{}
	switch {
	case s.has("m16n8k16") && (t[1] == f16 || t[1] == bf16):
		p.k, p.a, p.b, p.half = 16, 4, 2, halfOf(t[1])
	case s.has("m16n8k8") && (t[1] == f16 || t[1] == bf16):
		p.k, p.a, p.b, p.half = 8, 2, 1, halfOf(t[1])
	case s.has("m16n8k8") && t[1] == tf32:
		p.k, p.a, p.b, p.tf32 = 8, 4, 2, true
	case s.has("m16n8k4") && t[1] == tf32:
		p.k, p.a, p.b, p.tf32 = 4, 2, 1, true
	default:
		return nil
	}
	for i, n := range []int{4, p.a, p.b, 4} {
		if len(s.args[i].parts) != n {
			return fmt.Errorf("operand %d has not %d registers", i, n)
		}
	}
	for _, f := range []struct {
		to    []slot
		parts []arg
	}{{p.a1[:], s.args[1].parts}, {p.b1[:], s.args[2].parts}, {p.c[:], s.args[3].parts}} {
		for i := range f.parts {
			r, err := d.operand(&f.parts[i], f32)
			if err != nil {
				return err
			}
			if f.to[i] = r; r.file != file32 {
				return errors.New("a register has not 4 bytes")
			}
		}
	}
	for i := range p.d {
		r, err := d.destination(s.args[0].parts[i].name)
		if err != nil {
			return err
		}
		if p.d[i] = r; r.file != file32 {
			return errors.New("a register has not 4 bytes")
		}
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		if mask != full {
			w.fail(in, mask, BarrierDivergence, fmt.Sprintf("only lanes %#x of the warp execute it", mask))
			return
		}
		if w.product == nil {
			w.product = &matrices{}
		}
		w.product.multiply(w, &p)
	}
	return nil
}

// matrices is room for the operands of a product.
type matrices struct {
	a [16][16]float32 // by k, then row
	b [16][8]float32  // by k, then column
	c [16][8]float32
}

func (m *matrices) multiply(w *warp, p *product) {
	for l := range lanes {
		g, at := l/4, l%4
		for i := range p.a {
			x := w.r32[p.a1[i].at][l]
			row := g + 8*(i&1)
			if p.tf32 {
				m.a[at+4*(i/2)][row] = math.Float32frombits(x &^ 0x1fff)
			} else {
				k := 2*at + 8*(i/2)
				m.a[k][row], m.a[k+1][row] = p.half.from(x&0xffff), p.half.from(x>>16)
			}
		}
		for i := range p.b {
			x := w.r32[p.b1[i].at][l]
			if p.tf32 {
				m.b[at+4*i][g] = math.Float32frombits(x &^ 0x1fff)
			} else {
				k := 2*at + 8*i
				m.b[k][g], m.b[k+1][g] = p.half.from(x&0xffff), p.half.from(x>>16)
			}
		}
		for i := range 4 {
			m.c[g+8*(i/2)][2*at+i&1] = math.Float32frombits(w.r32[p.c[i].at][l])
		}
	}
	for k := range p.k {
		b := &m.b[k]
		for row := range 16 {
			a, c := m.a[k][row], &m.c[row]
			for n := range c {
				c[n] += float32(a * b[n])
			}
		}
	}
	for l := range lanes {
		g, at := l/4, l%4
		for i := range 4 {
			w.r32[p.d[i].at][l] = bits32of(m.c[g+8*(i/2)][2*at+i&1])
		}
	}
}

// ldmatrix decodes the load of one, two or four matrices of 8 rows of 16 bytes:
// lane i gives the address of row i%8 of matrix i/8.
func (d *decoder) ldmatrix(s *statement) error {
	if err := d.access(&s.args[1]); err != nil {
		return err
	}
	m := d.in.mem
	m.space, m.bytes, m.element = shared, 16, 2
	parts := s.args[0].parts
	n := 0
	for _, x := range []int{1, 2, 4} {
		if s.has(fmt.Sprintf("x%d", x)) {
			n = x
		}
	}
	if n == 0 || len(parts) != n || s.last() != b16 || !s.has("m8n8") {
		return nil
	}
	for i := range parts {
		r, err := d.destination(parts[i].name)
		if err != nil {
			return err
		}
		if r.file != file32 || r.width != 4 {
			return errors.New("a register has not 4 bytes")
		}
		d.in.vector = append(d.in.vector, r)
	}
	trans := s.has("trans")
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		if mask != full {
			w.fail(in, mask, BarrierDivergence, fmt.Sprintf("only lanes %#x of the warp execute it", mask))
			return
		}
		var rows [lanes][8]uint16
		for lane := range 8 * len(in.vector) {
			r, at := w.memory(in, lane, w.address(m, lane), m)
			if r == nil {
				return
			}
			if p := w.hold(r, at); p != nil && !w.check(in, lane, r, p, at, m, reads, nil) {
				return
			}
			for i := range rows[lane] {
				rows[lane][i] = binary.LittleEndian.Uint16(r.data[at+uint64(2*i):])
			}
		}
		for i, to := range in.vector {
			for l := range lanes {
				low, high := rows[8*i+l/4][l%4*2], rows[8*i+l/4][l%4*2+1]
				if trans {
					low, high = rows[8*i+l%4*2][l/4], rows[8*i+l%4*2+1][l/4]
				}
				w.r32[to.at][l] = uint32(low) | uint32(high)<<16
			}
		}
	}
	return nil
}
