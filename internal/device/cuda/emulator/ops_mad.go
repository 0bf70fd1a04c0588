package emulator

import "math/bits"

// multiplyAdd decodes mad of integers.
func (d *decoder) multiplyAdd(s *statement, k kind) error {
	to := k
	if s.has("wide") {
		to = map[kind]kind{u16: u32, s16: s32, u32: u64, s32: s64}[k]
	}
	if len(s.args) != 4 || to == none {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], to); err != nil {
		return err
	}
	if err = d.sources(k, &s.args[1], &s.args[2]); err != nil {
		return err
	}
	if d.in.c, err = d.source(&s.args[3], to); err != nil {
		return err
	}
	signed := k.signed()
	if s.has("cc") || s.op[0] == "madc" {
		d.in.exec = multiplyCarry(s, k)
		return nil
	}
	switch {
	case s.has("wide") && k.width() == 4:
		d.in.exec = func(w *warp, in *instruction, mask uint32) {
			each(mask, func(i int) {
				a, b := w.r32[in.a][i], w.r32[in.b][i]
				p := uint64(a) * uint64(b)
				if signed {
					p = uint64(int64(int32(a)) * int64(int32(b)))
				}
				w.r64[in.d][i] = p + w.r64[in.c][i]
			})
		}
	case s.has("wide"):
		d.in.exec = ternary32(func(a, b, c uint32) uint32 {
			if signed {
				return uint32(int32(int16(a))*int32(int16(b))) + c
			}
			return a&0xffff*(b&0xffff) + c
		})
	case k.width() == 8:
		hi := s.has("hi")
		d.in.exec = ternary64(func(a, b, c uint64) uint64 {
			if hi {
				return mulHi64(a, b, signed) + c
			}
			return a*b + c
		})
	case k.width() == 4 && s.has("lo"):
		d.in.exec = ternary32(func(a, b, c uint32) uint32 { return a*b + c })
	case k.width() == 4 && s.has("hi") && len(s.op) == 3:
		d.in.exec = ternary32(func(a, b, c uint32) uint32 {
			if signed {
				return uint32(int64(int32(a))*int64(int32(b))>>32) + c
			}
			return uint32(uint64(a)*uint64(b)>>32) + c
		})
	case k.width() == 2 && s.has("lo"):
		d.in.exec = ternary32(func(a, b, c uint32) uint32 { return uint32(uint16(a*b + c)) })
	}
	return nil
}

// multiplyCarry is mad.cc and madc of 32 bits.
func multiplyCarry(s *statement, k kind) execute {
	if k.width() != 4 {
		return nil
	}
	with, sets, hi, signed := s.op[0] == "madc", s.has("cc"), s.has("hi"), k.signed()
	return func(w *warp, in *instruction, mask uint32) {
		each(mask, func(i int) {
			a, b := w.r32[in.a][i], w.r32[in.b][i]
			p := uint64(a) * uint64(b)
			if signed {
				p = uint64(int64(int32(a)) * int64(int32(b)))
			}
			if hi {
				p >>= 32
			}
			carry := uint32(0)
			if with {
				carry = w.carries >> i & 1
			}
			x, out := bits.Add32(uint32(p), w.r32[in.c][i], carry)
			w.r32[in.d][i] = x
			if sets {
				w.carries = w.carries&^(1<<i) | out<<i
			}
		})
	}
}

// dp4a decodes the product of four bytes with four, added to an integer.
func (d *decoder) dp4a(s *statement) error {
	t := s.types()
	if len(t) != 2 || len(s.args) != 4 {
		return nil
	}
	if err := d.all(s, b32); err != nil {
		return err
	}
	part := func(x uint32, i int, signed bool) int32 {
		if signed {
			return int32(int8(x >> (8 * i)))
		}
		return int32(uint8(x >> (8 * i)))
	}
	d.in.exec = ternary32(func(a, b, c uint32) uint32 {
		sum := int32(c)
		for i := range 4 {
			sum += part(a, i, t[0].signed()) * part(b, i, t[1].signed())
		}
		return uint32(sum)
	})
	return nil
}
