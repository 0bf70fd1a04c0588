package emulator

import (
	"cmp"
	"math"
)

// compare32 and compare64 compare register values.
type (
	compare32 func(a, b uint32) bool
	compare64 func(a, b uint64) bool
)

// integers finds a comparison of integers by its name.
func integers[T cmp.Ordered](op string) func(a, b T) bool {
	switch op {
	case "eq":
		return func(a, b T) bool { return a == b }
	case "ne":
		return func(a, b T) bool { return a != b }
	case "lt", "lo":
		return func(a, b T) bool { return a < b }
	case "le", "ls":
		return func(a, b T) bool { return a <= b }
	case "gt", "hi":
		return func(a, b T) bool { return a > b }
	case "ge", "hs":
		return func(a, b T) bool { return a >= b }
	}
	return nil
}

// floats finds a comparison of floats: the forms with u hold where one is a NaN.
func floats(op string) func(a, b float64) bool {
	switch op {
	case "num":
		return func(a, b float64) bool { return a == a && b == b }
	case "nan":
		return func(a, b float64) bool { return a != a || b != b }
	case "ne":
		return func(a, b float64) bool { return a < b || a > b }
	case "equ":
		return func(a, b float64) bool { return !(a < b || a > b) }
	case "neu":
		return func(a, b float64) bool { return a != b }
	case "ltu":
		return func(a, b float64) bool { return !(a >= b) }
	case "leu":
		return func(a, b float64) bool { return !(a > b) }
	case "gtu":
		return func(a, b float64) bool { return !(a <= b) }
	case "geu":
		return func(a, b float64) bool { return !(a < b) }
	case "eq", "lt", "le", "gt", "ge":
		return integers[float64](op)
	}
	return nil
}

// comparison finds the comparison of an instruction, over the bits of kind k.
func comparison(s *statement, k kind) (compare32, compare64) {
	op := s.op[1]
	switch k {
	case f32:
		f := floats(op)
		if f == nil {
			return nil, nil
		}
		ftz := s.has("ftz")
		return func(a, b uint32) bool {
			if ftz {
				a, b = flush(a), flush(b)
			}
			return f(float64(math.Float32frombits(a)), float64(math.Float32frombits(b)))
		}, nil
	case f64:
		if f := floats(op); f != nil {
			return nil, func(a, b uint64) bool { return f(math.Float64frombits(a), math.Float64frombits(b)) }
		}
	case s64:
		if f := integers[int64](op); f != nil {
			return nil, func(a, b uint64) bool { return f(int64(a), int64(b)) }
		}
	case u64, b64:
		if f := integers[uint64](op); f != nil {
			return nil, f
		}
	case s32:
		if f := integers[int32](op); f != nil {
			return func(a, b uint32) bool { return f(int32(a), int32(b)) }, nil
		}
	case u32, b32:
		if f := integers[uint32](op); f != nil {
			return f, nil
		}
	case s16:
		if f := integers[int16](op); f != nil {
			return func(a, b uint32) bool { return f(int16(a), int16(b)) }, nil
		}
	case u16, b16:
		if f := integers[uint16](op); f != nil {
			return func(a, b uint32) bool { return f(uint16(a), uint16(b)) }, nil
		}
	case f16, bf16:
		if f := floats(op); f != nil {
			h := halfOf(k)
			return func(a, b uint32) bool { return f(float64(h.from(a&0xffff)), float64(h.from(b&0xffff))) }, nil
		}
	default:
	}
	return nil, nil
}

// test sets bit i of the result where the operands of lane i compare.
func test(w *warp, in *instruction, narrow compare32, wide compare64) uint32 {
	p := uint32(0)
	if narrow != nil {
		a, b := &w.r32[in.a], &w.r32[in.b]
		for i := range a {
			if narrow(a[i], b[i]) {
				p |= 1 << i
			}
		}
		return p
	}
	a, b := &w.r64[in.a], &w.r64[in.b]
	for i := range a {
		if wide(a[i], b[i]) {
			p |= 1 << i
		}
	}
	return p
}

// setp decodes setp.CMP{.BOOL}.TYPE p{|q}, a, b{, {!}c}.
func (d *decoder) setp(s *statement) error {
	k := s.last()
	narrow, wide := comparison(s, k)
	if narrow == nil && wide == nil {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], pred); err != nil {
		return err
	}
	d.in.e = -1
	if s.args[0].also != "" && s.args[0].also != "_" {
		if d.in.e, err = d.result(&arg{kind: argName, name: s.args[0].also}, pred); err != nil {
			return err
		}
	}
	if err = d.sources(k, &s.args[1], &s.args[2]); err != nil {
		return err
	}
	if len(s.args) == 3 {
		if d.in.exec = fastCompare(s.op[1], k); d.in.exec != nil && d.in.e < 0 {
			return nil
		}
		d.in.exec = func(w *warp, in *instruction, mask uint32) {
			p := test(w, in, narrow, wide)
			w.preds[in.d] = w.preds[in.d]&^mask | p&mask
			if in.e >= 0 {
				w.preds[in.e] = w.preds[in.e]&^mask | ^p&mask
			}
		}
		return nil
	}
	if d.in.c, err = d.source(&s.args[3], pred); err != nil {
		return err
	}
	op, flip := s.op[2], uint32(0)
	if s.args[3].not {
		flip = full
	}
	if op != "and" && op != "or" && op != "xor" {
		return nil
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		p, c := test(w, in, narrow, wide), w.preds[in.c]^flip
		w.preds[in.d] = w.preds[in.d]&^mask | combinePredicates(op, p, c)&mask
		if in.e >= 0 {
			w.preds[in.e] = w.preds[in.e]&^mask | combinePredicates(op, ^p, c)&mask
		}
	}
	return nil
}

// fastCompare is a comparison with a loop of its own, or nil.
func fastCompare(op string, k kind) execute {
	switch {
	case k == s32 && (op == "ge" || op == "lt"):
		flip := uint32(0)
		if op == "ge" {
			flip = full
		}
		return func(w *warp, in *instruction, mask uint32) {
			p := uint32(0)
			a, b := &w.r32[in.a], &w.r32[in.b]
			for i := range a {
				p |= uint32((int64(int32(a[i]))-int64(int32(b[i])))>>63) & 1 << i
			}
			w.preds[in.d] = w.preds[in.d]&^mask | (p^flip)&mask
		}
	case k.width() == 4 && k != f32 && (op == "eq" || op == "ne"):
		flip := uint32(0)
		if op == "ne" {
			flip = full
		}
		return func(w *warp, in *instruction, mask uint32) {
			p := uint32(0)
			a, b := &w.r32[in.a], &w.r32[in.b]
			for i := range a {
				if a[i] == b[i] {
					p |= 1 << i
				}
			}
			w.preds[in.d] = w.preds[in.d]&^mask | (p^flip)&mask
		}
	}
	return nil
}

// set decodes set.CMP.DTYPE.STYPE: all ones, or 1.0, where the operands compare.
func (d *decoder) set(s *statement) error {
	t := s.types()
	if len(t) != 2 || len(s.args) != 3 || t[0].width() != 4 {
		return nil
	}
	narrow, wide := comparison(s, t[1])
	if narrow == nil && wide == nil {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], t[0]); err != nil {
		return err
	}
	if err = d.sources(t[1], &s.args[1], &s.args[2]); err != nil {
		return err
	}
	yes := uint32(full)
	if t[0] == f32 {
		yes = math.Float32bits(1)
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		p := test(w, in, narrow, wide)
		each(mask, func(i int) {
			w.r32[in.d][i] = yes & -(p >> i & 1)
		})
	}
	return nil
}

// testp decodes a test of a float.
func (d *decoder) testp(s *statement) error {
	k := s.last()
	if !k.float() {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], pred); err != nil {
		return err
	}
	a, err := d.operand(&s.args[1], k)
	if err != nil || a.file != fileOf(k) {
		return err
	}
	least := float64(math.SmallestNonzeroFloat32) * (1 << 23)
	if k == f64 {
		least = 0x1p-1022
	}
	f := map[string]func(x float64) bool{
		"finite":     func(x float64) bool { return x-x == 0 },
		"infinite":   func(x float64) bool { return math.IsInf(x, 0) },
		"number":     func(x float64) bool { return x == x },
		"notanumber": func(x float64) bool { return x != x },
		"normal":     func(x float64) bool { return math.Abs(x) >= least && !math.IsInf(x, 0) },
		"subnormal":  func(x float64) bool { return x != 0 && math.Abs(x) < least },
	}[s.op[1]]
	if f == nil {
		return nil
	}
	load := floatLoad(k, false)
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		each(mask, func(i int) {
			w.preds[in.d] &^= 1 << i
			if f(load(w.value(a, i))) {
				w.preds[in.d] |= 1 << i
			}
		})
	}
	return nil
}
