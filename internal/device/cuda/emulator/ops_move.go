package emulator

import (
	"errors"
	"math"
	"math/bits"
)

// mov decodes a move: of a register, a constant, an address, or between a
// register and a vector of narrower ones.
func (d *decoder) mov(s *statement) error {
	k := s.last()
	if k == none {
		return errors.New("it has no type")
	}
	switch {
	case s.args[0].kind == argVector:
		return d.unpackVector(s, k)
	case s.args[1].kind == argVector:
		return d.packVector(s, k)
	}
	r, err := d.destination(s.args[0].name)
	if err != nil {
		return err
	}
	before := len(d.in.uses)
	a, err := d.operand(&s.args[1], k)
	if err != nil {
		return err
	}
	if r.file != fileOf(k) || a.file != r.file {
		return errors.New("the registers are of another size")
	}
	d.moving(before, a.mark, -1, moveOne)
	d.in.d, d.in.a = r.at, a.at
	d.in.exec = map[file]execute{file32: move32, file64: move64, filePred: movePredicate}[r.file]
	if s.args[1].not {
		d.in.exec = func(w *warp, in *instruction, mask uint32) {
			w.preds[in.d] = w.preds[in.d]&^mask | ^w.preds[in.a]&mask
		}
	}
	return nil
}

// moving makes the uses after the first n of an instruction those of a move: its
// destination is written where they are.
func (d *decoder) moving(n int, first, second int32, m moves) {
	d.in.uses = d.in.uses[:n]
	d.in.moves, d.in.from = m, [2]int32{first, second}
}

func (d *decoder) unpackVector(s *statement, k kind) error {
	a, err := d.operand(&s.args[1], k)
	if err != nil {
		return err
	}
	parts := s.args[0].parts
	if len(parts) == 0 || k.width()%len(parts) != 0 || a.file != fileOf(k) {
		return errors.New("the vector has another size")
	}
	for i := range parts {
		r, err := d.destination(parts[i].name)
		if err != nil {
			return err
		}
		d.in.vector = append(d.in.vector, r)
	}
	n := 8 * k.width() / len(parts)
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			x := w.value(a, i)
			for _, r := range in.vector {
				w.set(r, i, x&(1<<n-1))
				x >>= n
			}
		}
	}
	return nil
}

func (d *decoder) packVector(s *statement, k kind) error {
	r, err := d.destination(s.args[0].name)
	if err != nil {
		return err
	}
	parts := s.args[1].parts
	if len(parts) == 0 || k.width()%len(parts) != 0 || r.file != fileOf(k) {
		return errors.New("the vector has another size")
	}
	n := 8 * k.width() / len(parts)
	of := map[int]kind{8: b8, 16: b16, 32: b32}[n]
	for i := range parts {
		a, err := d.operand(&parts[i], of)
		if err != nil {
			return err
		}
		d.in.vector = append(d.in.vector, a)
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			x := uint64(0)
			for j, a := range in.vector {
				x |= w.value(a, i) & (1<<n - 1) << (j * n)
			}
			w.set(r, i, x)
		}
	}
	return nil
}

// selp decodes the selection of an operand by a predicate.
func (d *decoder) selp(s *statement) error {
	k := s.last()
	var err error
	if d.in.c, err = d.source(&s.args[3], pred); err != nil {
		return err
	}
	if d.in.d, err = d.result(&s.args[0], k); err != nil {
		return err
	}
	before := len(d.in.uses)
	a, err := d.operand(&s.args[1], k)
	if err != nil {
		return err
	}
	b, err := d.operand(&s.args[2], k)
	if err != nil {
		return err
	}
	if a.file != fileOf(k) || b.file != fileOf(k) || k == pred {
		return errors.New("the registers are of another size")
	}
	if s.args[3].not {
		a, b = b, a
	}
	d.moving(before, a.mark, b.mark, moveSelected)
	d.in.a, d.in.b = a.at, b.at
	if k.width() == 8 {
		d.in.exec = select64
	} else {
		d.in.exec = select32
	}
	return nil
}

func select32(w *warp, in *instruction, mask uint32) {
	p := w.preds[in.c]
	d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		x := b[i]
		if p>>i&1 != 0 {
			x = a[i]
		}
		d[i] = x
	}
}

func select64(w *warp, in *instruction, mask uint32) {
	p := w.preds[in.c]
	d, a, b := &w.r64[in.d], &w.r64[in.a], &w.r64[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		x := b[i]
		if p>>i&1 != 0 {
			x = a[i]
		}
		d[i] = x
	}
}

// slct decodes the selection of an operand by the sign of the third.
func (d *decoder) slct(s *statement) error {
	t := s.types()
	if len(t) != 2 || t[1] != s32 && t[1] != f32 || s.has("ftz") {
		return nil
	}
	var err error
	if d.in.c, err = d.source(&s.args[3], t[1]); err != nil {
		return err
	}
	if d.in.d, err = d.result(&s.args[0], t[0]); err != nil {
		return err
	}
	if err = d.sources(t[0], &s.args[1], &s.args[2]); err != nil {
		return err
	}
	positive := func(x uint32) bool { return int32(x) >= 0 }
	if t[1] == f32 {
		positive = func(x uint32) bool { return math.Float32frombits(x) >= 0 }
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		each(mask, func(i int) {
			from := in.b
			if positive(w.r32[in.c][i]) {
				from = in.a
			}
			if t[0].width() == 8 {
				w.r64[in.d][i] = w.r64[from][i]
			} else {
				w.r32[in.d][i] = w.r32[from][i]
			}
		})
	}
	return nil
}
