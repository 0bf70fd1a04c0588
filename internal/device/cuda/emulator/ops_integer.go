package emulator

import (
	"math"
	"math/bits"
	"strings"
)

// binary decodes an instruction of two operands.
func (d *decoder) binary(s *statement) error {
	k := s.last()
	op := s.op[0]
	switch {
	case k == pred:
		if err := d.all(s, pred); err != nil {
			return err
		}
		d.in.exec = logic(op)
		d.negated(s)
		return nil
	case op == "shl" || op == "shr":
		return d.shift(s, k)
	case op == "mul" && s.has("wide"):
		return d.wide(s, k)
	}
	if err := d.all(s, k); err != nil {
		return err
	}
	switch {
	case k == f32:
		d.in.exec = float32Binary(s)
	case k == f64:
		d.in.exec = float64Binary(s)
	case k == f16 || k == bf16 || k == f16x2 || k == bf16x2:
		d.in.exec = halfBinary(s, k)
	case s.has("sat") || s.has("cc"):
		return d.carry(s, k)
	case k.width() == 8:
		if f := integer64(s, k); f != nil {
			d.in.exec = binary64(f)
		}
		if fast, ok := fast64[op]; ok {
			d.in.exec = fast
		}
		if op == "mul" && s.has("lo") {
			d.in.exec = mulLo64
		}
	case k.width() == 4:
		if f := integer32(s, k); f != nil {
			d.in.exec = binary32(f)
		}
		if fast, ok := fast32[op]; ok {
			d.in.exec = fast
		}
		if op == "mul" && s.has("lo") {
			d.in.exec = mulLo32
		}
	case k.width() == 2:
		if f := integer16(s, k); f != nil {
			d.in.exec = binary32(f)
		}
	}
	return nil
}

// negated wraps a logical instruction of predicates of which some are negated.
func (d *decoder) negated(s *statement) {
	exec := d.in.exec
	if exec == nil {
		return
	}
	var flip [3]uint32
	flipped := false
	for i := 1; i < len(s.args) && i < 4; i++ {
		if s.args[i].not {
			flip[i-1], flipped = full, true
		}
	}
	if !flipped {
		return
	}
	op := s.op[0]
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		p := combinePredicates(op, w.preds[in.a]^flip[0], w.preds[in.b]^flip[1])
		w.preds[in.d] = w.preds[in.d]&^mask | p&mask
	}
}

func combinePredicates(op string, a, b uint32) uint32 {
	switch op {
	case "and":
		return a & b
	case "or":
		return a | b
	case "xor":
		return a ^ b
	}
	return b
}

func logic(op string) execute {
	switch op {
	case "and":
		return func(w *warp, in *instruction, mask uint32) {
			w.preds[in.d] = w.preds[in.d]&^mask | w.preds[in.a]&w.preds[in.b]&mask
		}
	case "or":
		return func(w *warp, in *instruction, mask uint32) {
			w.preds[in.d] = w.preds[in.d]&^mask | (w.preds[in.a]|w.preds[in.b])&mask
		}
	case "xor":
		return func(w *warp, in *instruction, mask uint32) {
			w.preds[in.d] = w.preds[in.d]&^mask | (w.preds[in.a]^w.preds[in.b])&mask
		}
	}
	return nil
}

// shift decodes shl and shr, whose second operand has 32 bits and is clamped.
func (d *decoder) shift(s *statement, k kind) error {
	var err error
	if d.in.d, err = d.result(&s.args[0], k); err != nil {
		return err
	}
	if d.in.a, err = d.source(&s.args[1], k); err != nil {
		return err
	}
	if d.in.b, err = d.source(&s.args[2], u32); err != nil {
		return err
	}
	left := s.op[0] == "shl"
	switch {
	case k.width() == 8 && left:
		d.in.exec = shift64(func(a uint64, b uint32) uint64 { return a << b })
	case k.width() == 8 && k.signed():
		d.in.exec = shift64(func(a uint64, b uint32) uint64 { return uint64(int64(a) >> b) })
	case k.width() == 8:
		d.in.exec = shift64(func(a uint64, b uint32) uint64 { return a >> b })
	case k.width() == 4 && left:
		d.in.exec = binary32(func(a, b uint32) uint32 { return a << b })
	case k.width() == 4 && k.signed():
		d.in.exec = binary32(func(a, b uint32) uint32 { return uint32(int32(a) >> b) })
	case k.width() == 4:
		d.in.exec = binary32(func(a, b uint32) uint32 { return a >> b })
	case k.width() == 2 && left:
		d.in.exec = binary32(func(a, b uint32) uint32 { return uint32(uint16(a) << b) })
	case k.width() == 2 && k.signed():
		d.in.exec = binary32(func(a, b uint32) uint32 { return uint32(uint16(int16(a) >> b)) })
	case k.width() == 2:
		d.in.exec = binary32(func(a, b uint32) uint32 { return uint32(uint16(a) >> b) })
	}
	return nil
}

// wide decodes mul.wide, whose result is twice as wide.
func (d *decoder) wide(s *statement, k kind) error {
	to := b64
	if k.width() == 2 {
		to = b32
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], to); err != nil {
		return err
	}
	if err = d.sources(k, &s.args[1], &s.args[2]); err != nil {
		return err
	}
	switch k {
	case u32:
		d.in.exec = mulWideU32
	case s32:
		d.in.exec = mulWideS32
	case u16:
		d.in.exec = binary32(func(a, b uint32) uint32 { return a & 0xffff * (b & 0xffff) })
	case s16:
		d.in.exec = binary32(func(a, b uint32) uint32 { return uint32(int32(int16(a)) * int32(int16(b))) })
	default:
	}
	return nil
}

func integer32(s *statement, k kind) func(a, b uint32) uint32 {
	signed := k.signed()
	switch s.op[0] {
	case "add":
		return func(a, b uint32) uint32 { return a + b }
	case "sub":
		return func(a, b uint32) uint32 { return a - b }
	case "mul":
		switch {
		case s.has("lo"):
			return func(a, b uint32) uint32 { return a * b }
		case s.has("hi") && signed:
			return func(a, b uint32) uint32 { return uint32(int64(int32(a)) * int64(int32(b)) >> 32) }
		case s.has("hi"):
			return func(a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) }
		}
	case "div", "rem":
		f := divide64(s.op[0], signed)
		if signed {
			return func(a, b uint32) uint32 { return uint32(f(uint64(int64(int32(a))), uint64(int64(int32(b))))) }
		}
		return func(a, b uint32) uint32 { return uint32(f(uint64(a), uint64(b))) }
	case "min":
		if signed {
			return func(a, b uint32) uint32 { return uint32(min(int32(a), int32(b))) }
		}
		return func(a, b uint32) uint32 { return min(a, b) }
	case "max":
		if signed {
			return func(a, b uint32) uint32 { return uint32(max(int32(a), int32(b))) }
		}
		return func(a, b uint32) uint32 { return max(a, b) }
	case "and":
		return func(a, b uint32) uint32 { return a & b }
	case "or":
		return func(a, b uint32) uint32 { return a | b }
	case "xor":
		return func(a, b uint32) uint32 { return a ^ b }
	}
	return nil
}

// divide64 is div or rem. A division by zero, whose result a GPU leaves open,
// gives all ones, and a remainder the dividend.
func divide64(op string, signed bool) func(a, b uint64) uint64 {
	div := op == "div"
	return func(a, b uint64) uint64 {
		switch {
		case b == 0 && div:
			return math.MaxUint64
		case b == 0:
			return a
		case signed && div:
			return uint64(int64(a) / int64(b))
		case signed:
			return uint64(int64(a) % int64(b))
		case div:
			return a / b
		}
		return a % b
	}
}

func integer64(s *statement, k kind) func(a, b uint64) uint64 {
	signed := k.signed()
	switch s.op[0] {
	case "add":
		return func(a, b uint64) uint64 { return a + b }
	case "sub":
		return func(a, b uint64) uint64 { return a - b }
	case "mul":
		switch {
		case s.has("lo"):
			return func(a, b uint64) uint64 { return a * b }
		case s.has("hi"):
			return func(a, b uint64) uint64 { return mulHi64(a, b, signed) }
		}
	case "div", "rem":
		return divide64(s.op[0], signed)
	case "min":
		if signed {
			return func(a, b uint64) uint64 { return uint64(min(int64(a), int64(b))) }
		}
		return func(a, b uint64) uint64 { return min(a, b) }
	case "max":
		if signed {
			return func(a, b uint64) uint64 { return uint64(max(int64(a), int64(b))) }
		}
		return func(a, b uint64) uint64 { return max(a, b) }
	case "and":
		return func(a, b uint64) uint64 { return a & b }
	case "or":
		return func(a, b uint64) uint64 { return a | b }
	case "xor":
		return func(a, b uint64) uint64 { return a ^ b }
	}
	return nil
}

func mulHi64(a, b uint64, signed bool) uint64 {
	hi, _ := bits.Mul64(a, b)
	if signed {
		hi -= uint64(int64(a)>>63)&b + uint64(int64(b)>>63)&a
	}
	return hi
}

// integer16 computes in 32 bits and keeps 16.
func integer16(s *statement, k kind) func(a, b uint32) uint32 {
	if s.op[0] == "mul" && s.has("hi") {
		if k.signed() {
			return func(a, b uint32) uint32 { return uint32(uint16(int32(int16(a)) * int32(int16(b)) >> 16)) }
		}
		return func(a, b uint32) uint32 { return uint32(uint16(a)) * uint32(uint16(b)) >> 16 }
	}
	f := integer32(s, map[bool]kind{false: u32, true: s32}[k.signed()])
	switch {
	case f == nil:
		return nil
	case k.signed():
		return func(a, b uint32) uint32 { return uint32(uint16(f(uint32(int32(int16(a))), uint32(int32(int16(b)))))) }
	}
	return func(a, b uint32) uint32 { return uint32(uint16(f(a&0xffff, b&0xffff))) }
}

// carry decodes add, sub and their forms with a carry or saturation.
func (d *decoder) carry(s *statement, k kind) error {
	if k != s32 && k != u32 && k != b32 {
		return nil // an unknown form
	}
	if s.has("sat") {
		if k != s32 {
			return nil
		}
		sign := map[string]int64{"add": 1, "sub": -1}[s.op[0]]
		if sign != 0 {
			d.in.exec = binary32(func(a, b uint32) uint32 {
				return uint32(min(max(int64(int32(a))+sign*int64(int32(b)), math.MinInt32), math.MaxInt32))
			})
		}
		return nil
	}
	op := strings.TrimSuffix(s.op[0], "c")
	with, sets := op != s.op[0], s.has("cc")
	if op != "add" && op != "sub" {
		return nil
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		each(mask, func(i int) {
			var carry, out, x uint32
			if with {
				carry = w.carries >> i & 1
			}
			if op == "add" {
				x, out = bits.Add32(w.r32[in.a][i], w.r32[in.b][i], carry)
			} else {
				x, out = bits.Sub32(w.r32[in.a][i], w.r32[in.b][i], carry)
			}
			w.r32[in.d][i] = x
			if sets {
				w.carries = w.carries&^(1<<i) | out<<i
			}
		})
	}
	return nil
}
