package emulator

import (
	"math/bits"
)

// unary decodes an instruction of one operand.
func (d *decoder) unary(s *statement) error {
	k := s.last()
	op := s.op[0]
	if op == "popc" || op == "clz" || op == "bfind" {
		return d.count(s, k)
	}
	if err := d.all(s, k); err != nil {
		return err
	}
	switch {
	case k == pred && op == "not":
		d.in.exec = func(w *warp, in *instruction, mask uint32) {
			w.preds[in.d] = w.preds[in.d]&^mask | ^w.preds[in.a]&mask
		}
	case k == f32:
		d.in.exec = float32Unary(s)
	case k == f64:
		d.in.exec = float64Unary(s)
	case k == f16 || k == bf16 || k == f16x2 || k == bf16x2:
		d.in.exec = halfUnary(s, k)
	case k.width() == 8:
		if f := bits64(op); f != nil {
			d.in.exec = unary64(f)
		}
	case k.width() == 4:
		if f := bits32(op); f != nil {
			d.in.exec = unary32(f)
		}
	case k.width() == 2:
		if f := bits32(op); f != nil && op != "brev" {
			d.in.exec = unary32(func(a uint32) uint32 { return uint32(uint16(f(uint32(int32(int16(a)))))) })
		}
	}
	return nil
}

// count decodes popc, clz and bfind, whose result has 32 bits.
func (d *decoder) count(s *statement, k kind) error {
	var err error
	if d.in.d, err = d.result(&s.args[0], b32); err != nil {
		return err
	}
	if err = d.sources(k, &s.args[1]); err != nil {
		return err
	}
	shift := s.has("shiftamt")
	f := map[string]func(a uint64) uint64{
		"popc": func(a uint64) uint64 { return uint64(bits.OnesCount64(a)) },
		"clz":  func(a uint64) uint64 { return uint64(bits.LeadingZeros64(a) - 64 + 8*k.width()) },
		"bfind": func(a uint64) uint64 {
			if k == s32 && int32(a) < 0 {
				a = uint64(^uint32(a))
			} else if k == s64 && int64(a) < 0 {
				a = ^a
			}
			at := bits.Len64(a) - 1
			if shift && at >= 0 {
				at = 8*k.width() - 1 - at
			}
			return uint64(uint32(int32(at)))
		},
	}[s.op[0]]
	d.in.exec = convert(f, fileOf(k), file32)
	return nil
}

func bits32(op string) func(a uint32) uint32 {
	switch op {
	case "not":
		return func(a uint32) uint32 { return ^a }
	case "neg":
		return func(a uint32) uint32 { return -a }
	case "abs":
		return func(a uint32) uint32 {
			if int32(a) < 0 {
				return -a
			}
			return a
		}
	case "cnot":
		return func(a uint32) uint32 {
			if a == 0 {
				return 1
			}
			return 0
		}
	case "brev":
		return bits.Reverse32
	}
	return nil
}

func bits64(op string) func(a uint64) uint64 {
	switch op {
	case "not":
		return func(a uint64) uint64 { return ^a }
	case "neg":
		return func(a uint64) uint64 { return -a }
	case "abs":
		return func(a uint64) uint64 {
			if int64(a) < 0 {
				return -a
			}
			return a
		}
	case "cnot":
		return func(a uint64) uint64 {
			if a == 0 {
				return 1
			}
			return 0
		}
	case "brev":
		return bits.Reverse64
	}
	return nil
}

// ternary decodes an instruction of three operands, or more.
func (d *decoder) ternary(s *statement) error {
	k := s.last()
	switch s.op[0] {
	case "bfi":
		return d.insert(s, k)
	case "bfe":
		return d.extract(s, k)
	case "lop3":
		return d.lop3(s)
	case "addc", "subc":
		if err := d.all(s, k); err != nil {
			return err
		}
		return d.carry(s, k)
	case "madc":
		return d.multiplyAdd(s, k)
	case "mad":
		if !k.float() {
			return d.multiplyAdd(s, k)
		}
	case "dp4a":
		return d.dp4a(s)
	}
	if err := d.all(s, k); err != nil {
		return err
	}
	switch {
	case len(s.args) != 4:
	case s.op[0] == "fma" || s.op[0] == "mad":
		d.in.exec = fusedMultiplyAdd(s, k)
	case s.op[0] == "prmt" && k == b32 && len(s.op) == 2:
		d.in.exec = ternary32(permute)
	case s.op[0] == "shf" && k == b32:
		d.in.exec = funnel(s.has("l"), s.has("clamp"))
	case s.op[0] == "sad" && k == u32:
		d.in.exec = ternary32(func(a, b, c uint32) uint32 { return c + max(a, b) - min(a, b) })
	case s.op[0] == "sad" && k == s32:
		d.in.exec = ternary32(func(a, b, c uint32) uint32 {
			return c + uint32(max(int32(a), int32(b))) - uint32(min(int32(a), int32(b)))
		})
	}
	return nil
}

// permute selects four bytes of eight.
func permute(a, b, selector uint32) uint32 {
	x := uint64(b)<<32 | uint64(a)
	r := uint32(0)
	for i := range 4 {
		s := selector >> (4 * i) & 15
		v := uint32(x>>(8*(s&7))) & 0xff
		if s&8 != 0 {
			v = uint32(int32(int8(v))>>7) & 0xff
		}
		r |= v << (8 * i)
	}
	return r
}

func funnel(left, clamp bool) execute {
	return ternary32(func(a, b, c uint32) uint32 {
		n := c & 31
		if clamp {
			n = min(c, 32)
		}
		x := uint64(b)<<32 | uint64(a)
		if left {
			return uint32(x << n >> 32)
		}
		return uint32(x >> n)
	})
}

// lop3 decodes a logical function of three operands by its table.
func (d *decoder) lop3(s *statement) error {
	if len(s.args) != 5 || s.args[4].kind != argNumber || s.last() != b32 {
		return nil // an unknown form
	}
	short := *s
	short.args = s.args[:4]
	if err := d.all(&short, b32); err != nil {
		return err
	}
	table := uint32(s.args[4].number)
	d.in.exec = ternary32(func(a, b, c uint32) uint32 {
		r := uint32(0)
		for i := range uint32(8) {
			if table>>i&1 != 0 {
				r |= (a ^ (i>>2&1 - 1)) & (b ^ (i>>1&1 - 1)) & (c ^ (i&1 - 1))
			}
		}
		return r
	})
	return nil
}

// insert decodes bfi: the low bits of the first operand into the second.
func (d *decoder) insert(s *statement, k kind) error {
	if len(s.args) != 5 {
		return nil
	}
	var err error
	var from, into, at, n int32
	for _, f := range []struct {
		to *int32
		a  *arg
		k  kind
	}{{&from, &s.args[1], k}, {&into, &s.args[2], k}, {&at, &s.args[3], u32}, {&n, &s.args[4], u32}} {
		if *f.to, err = d.source(f.a, f.k); err != nil {
			return err
		}
	}
	if d.in.d, err = d.result(&s.args[0], k); err != nil {
		return err
	}
	if k.width() == 4 {
		d.in.exec = func(w *warp, in *instruction, mask uint32) {
			each(mask, func(i int) {
				p, c := min(w.r32[at][i]&0xff, 32), min(w.r32[n][i]&0xff, 32)
				m := uint32(uint64(1)<<c-1) << p
				w.r32[in.d][i] = w.r32[into][i]&^m | w.r32[from][i]<<p&m
			})
		}
	} else if k.width() == 8 {
		d.in.exec = func(w *warp, in *instruction, mask uint32) {
			each(mask, func(i int) {
				p, c := min(w.r32[at][i]&0xff, 64), min(w.r32[n][i]&0xff, 64)
				m := (uint64(1)<<c - 1) << p
				w.r64[in.d][i] = w.r64[into][i]&^m | w.r64[from][i]<<p&m
			})
		}
	}
	return nil
}

// extract decodes bfe: a field of bits, with its sign.
func (d *decoder) extract(s *statement, k kind) error {
	if len(s.args) != 4 {
		return nil
	}
	var err error
	var a slot
	if a, err = d.operand(&s.args[1], k); err != nil {
		return err
	}
	if d.in.b, err = d.source(&s.args[2], u32); err != nil {
		return err
	}
	if d.in.c, err = d.source(&s.args[3], u32); err != nil {
		return err
	}
	to, err := d.destination(s.args[0].name)
	if err != nil {
		return err
	}
	if a.file != fileOf(k) || to.file != a.file {
		return nil
	}
	width := uint32(8 * k.width())
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		each(mask, func(i int) {
			w.set(to, i, field(w.value(a, i), w.r32[in.b][i]&0xff, w.r32[in.c][i]&0xff, width, k.signed()))
		})
	}
	return nil
}

// field is n bits of x from bit p on.
func field(x uint64, p, n, width uint32, signed bool) uint64 {
	r := uint64(0)
	if p < width {
		r = x >> p
	}
	count := min(n, 64)
	r &= uint64(1)<<count - 1
	if signed && n > 0 {
		sign := x >> min(p+n-1, width-1) & 1
		if sign != 0 && min(n, width-min(p, width)) < width {
			r |= ^uint64(0) << min(n, width-min(p, width))
		}
	}
	return r
}
