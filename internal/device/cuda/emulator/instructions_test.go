package emulator_test

import (
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// edges are operands at which instructions go wrong.
var edges32 = []uint64{
	0, 1, 2, 3, 31, 32, 33, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
	0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00800000, 0x007fffff, 0x00400000, 0x7f7fffff, 0x4b000001, 0x4f000000, 0xcf000000, 0x3effffff, 0x34000000,
}

var edges64 = []uint64{
	0, 1, 2, 31, 32, 63, 64, 65, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1<<63 - 1, 1 << 63, 1<<63 + 1, math.MaxUint64, math.MaxUint64 - 1,
	0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x0010000000000000, 0x000fffffffffffff, 0x7fefffffffffffff,
	0x3690000000000000, 0x47efffffffffffff, 0x47f0000000000000, 0x3810000000000000, 0x380fffffffffffff, 0x3e70000000000000, 0x43e0000000000000,
}

// operands are n random operands of a width, and edges.
func operands(r *rand.Rand, n, width int) []uint64 {
	edges := edges32
	if width == 8 {
		edges = edges64
	}
	all := make([]uint64, n)
	for i := range all {
		switch r.IntN(4) {
		case 0:
			all[i] = edges[r.IntN(len(edges))]
		case 1: // a float near one
			if all[i] = uint64(math.Float32bits(float32(r.NormFloat64()))); width == 8 {
				all[i] = math.Float64bits(r.NormFloat64())
			}
		case 2:
			all[i] = r.Uint64N(100)
		default:
			all[i] = r.Uint64()
		}
		if width < 8 {
			all[i] &= 1<<(8*width) - 1
		}
	}
	return all
}

// instructionCase is an instruction and what it does to the bits of operands.
type instructionCase struct {
	name  string
	body  string
	types []string
	want  func(a, b, c uint64) uint64
}

func f32of(x uint64) float32 { return math.Float32frombits(uint32(x)) }
func f64of(x uint64) float64 { return math.Float64frombits(x) }

func bits32of(x float32) uint64 {
	if x != x {
		return 0x7fffffff
	}
	return uint64(math.Float32bits(x))
}

func bits64of(x float64) uint64 {
	if x != x {
		return 0x7fffffffffffffff
	}
	return math.Float64bits(x)
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// check executes a case on random operands.
func (c instructionCase) check(t *testing.T, m *machine) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 1000
	columns := make([][]uint64, 0, 3)
	for _, ty := range c.types[1:] {
		columns = append(columns, operands(r, n, width(ty)))
	}
	got := m.apply(c.body, c.types, columns...)
	for i := range n {
		var x [3]uint64
		for j := range columns {
			x[j] = columns[j][i]
		}
		want := c.want(x[0], x[1], x[2])
		if w := width(c.types[0]); w < 8 {
			want &= 1<<(8*w) - 1
		}
		if got[i] != want {
			require.Failf(t, c.name, "%#x %#x %#x: %#x, want %#x", x[0], x[1], x[2], got[i], want)
		}
	}
}

func run(t *testing.T, cases []instructionCase) {
	m := open(t, emulator.Options{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.check(t, m) })
	}
}

var (
	d2 = []string{"b32", "b32", "b32"}
	d3 = []string{"b32", "b32", "b32", "b32"}
	q2 = []string{"b64", "b64", "b64"}
	q3 = []string{"b64", "b64", "b64", "b64"}
	h2 = []string{"b16", "b16", "b16"}
	d1 = []string{"b32", "b32"}
	q1 = []string{"b64", "b64"}
)

func s32(x uint64) int64 { return int64(int32(x)) }

// TestIntegers compares integer instructions with Go's arithmetic.
func TestIntegers(t *testing.T) {
	run(t, []instructionCase{
		{"add32", "add.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return a + b }},
		{"sub32", "sub.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return a - b }},
		{"mul.lo32", "mul.lo.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return a * b }},
		{"mul.hi.u32", "mul.hi.u32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return a * b >> 32 }},
		{"mul.hi.s32", "mul.hi.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return uint64(s32(a) * s32(b) >> 32) }},
		{"mul.wide.u32", "mul.wide.u32 %d, %a, %b;", []string{"b64", "b32", "b32"}, func(a, b, _ uint64) uint64 { return a * b }},
		{"mul.wide.s32", "mul.wide.s32 %d, %a, %b;", []string{"b64", "b32", "b32"}, func(a, b, _ uint64) uint64 { return uint64(s32(a) * s32(b)) }},
		{"mul.wide.s16", "mul.wide.s16 %d, %a, %b;", []string{"b32", "b16", "b16"}, func(a, b, _ uint64) uint64 { return uint64(int32(int16(a)) * int32(int16(b))) }},
		{"mad.lo.s32", "mad.lo.s32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 { return a*b + c }},
		{"mad.hi.u32", "mad.hi.u32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 { return a*b>>32 + c }},
		{"mad.wide.s32", "mad.wide.s32 %d, %a, %b, %c;", []string{"b64", "b32", "b32", "b64"}, func(a, b, c uint64) uint64 { return uint64(s32(a)*s32(b)) + c }},
		{"div.s32", "div.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 {
			if b == 0 {
				return math.MaxUint64
			}
			return uint64(s32(a) / s32(b))
		}},
		{"rem.u32", "rem.u32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 {
			if b == 0 {
				return a
			}
			return a % b
		}},
		{"div.s64", "div.s64 %d, %a, %b;", q2, func(a, b, _ uint64) uint64 {
			if b == 0 {
				return math.MaxUint64
			}
			return uint64(int64(a) / int64(b))
		}},
		{"min.s32", "min.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return uint64(min(s32(a), s32(b))) }},
		{"max.u32", "max.u32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return max(a, b) }},
		{"max.s64", "max.s64 %d, %a, %b;", q2, func(a, b, _ uint64) uint64 { return uint64(max(int64(a), int64(b))) }},
		{"add64", "add.s64 %d, %a, %b;", q2, func(a, b, _ uint64) uint64 { return a + b }},
		{"mul.lo64", "mul.lo.s64 %d, %a, %b;", q2, func(a, b, _ uint64) uint64 { return a * b }},
		{"mul.hi.u64", "mul.hi.u64 %d, %a, %b;", q2, func(a, b, _ uint64) uint64 { hi, _ := bits.Mul64(a, b); return hi }},
		{"mul.hi.s64", "mul.hi.s64 %d, %a, %b;", q2, func(a, b, _ uint64) uint64 {
			p := new(big.Int).Mul(big.NewInt(int64(a)), big.NewInt(int64(b)))
			return uint64(new(big.Int).Rsh(p, 64).Int64())
		}},
		{"mad.lo.u64", "mad.lo.u64 %d, %a, %b, %c;", q3, func(a, b, c uint64) uint64 { return a*b + c }},
		{"shl.b32", "shl.b32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return uint64(uint32(a) << min(b, 32)) }},
		{"shr.u32", "shr.u32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return a >> min(b, 32) }},
		{"shr.s32", "shr.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return uint64(s32(a) >> min(b, 31)) }},
		{"shl.b64", "shl.b64 %d, %a, %b;", []string{"b64", "b64", "b32"}, func(a, b, _ uint64) uint64 { return a << min(b, 64) }},
		{"shr.s64", "shr.s64 %d, %a, %b;", []string{"b64", "b64", "b32"}, func(a, b, _ uint64) uint64 { return uint64(int64(a) >> min(b, 63)) }},
		{"add16", "add.s16 %d, %a, %b;", h2, func(a, b, _ uint64) uint64 { return a + b }},
		{"mul.lo16", "mul.lo.s16 %d, %a, %b;", h2, func(a, b, _ uint64) uint64 { return a * b }},
		{"min.s16", "min.s16 %d, %a, %b;", h2, func(a, b, _ uint64) uint64 { return uint64(min(int16(a), int16(b))) }},
		{"shr.s16", "shr.s16 %d, %a, %b;", []string{"b16", "b16", "b32"}, func(a, b, _ uint64) uint64 { return uint64(int16(a) >> min(b, 15)) }},
		{"and.or.xor.not", "and.b32 %r2, %a, %b; or.b32 %r3, %r2, %c; xor.b32 %r4, %r3, %a; not.b32 %d, %r4;", d3, func(a, b, c uint64) uint64 { return ^((a&b | c) ^ a) }},
		{"abs.neg", "abs.s32 %r2, %a; neg.s32 %d, %r2;", d1, func(a, _, _ uint64) uint64 { return -uint64(max(s32(a), -s32(a))) }},
		{"add.cc", "add.cc.u32 %r2, %a, %b; addc.u32 %d, %c, 0;", d3, func(a, b, c uint64) uint64 { return (a+b)>>32 + c }},
		{"mad.lo.cc", "mad.lo.cc.u32 %r2, %a, %b, %c; madc.hi.u32 %d, %a, %b, 0;", d3, func(a, b, c uint64) uint64 {
			return a*b>>32 + (a*b&math.MaxUint32+c)>>32
		}},
		{"add.sat", "add.sat.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return uint64(min(max(s32(a)+s32(b), math.MinInt32), math.MaxInt32)) }},
	})
}

// TestBits compares instructions on bits with Go's, or with their definition bit
// by bit.
func TestBits(t *testing.T) {
	run(t, []instructionCase{
		{"popc.b32", "popc.b32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return uint64(bits.OnesCount64(a)) }},
		{"popc.b64", "popc.b64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 { return uint64(bits.OnesCount64(a)) }},
		{"clz.b32", "clz.b32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return uint64(bits.LeadingZeros32(uint32(a))) }},
		{"clz.b64", "clz.b64 %d, %a;", []string{"b32", "b64"}, func(a, _, _ uint64) uint64 { return uint64(bits.LeadingZeros64(a)) }},
		{"brev.b32", "brev.b32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return uint64(bits.Reverse32(uint32(a))) }},
		{"brev.b64", "brev.b64 %d, %a;", q1, func(a, _, _ uint64) uint64 { return bits.Reverse64(a) }},
		{"bfind.u32", "bfind.u32 %d, %a;", d1, func(a, _, _ uint64) uint64 { return uint64(bits.Len64(a) - 1) }},
		{"bfe.u32", "bfe.u32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 { return fieldOf(a, b, c, 32, false) }},
		{"bfe.s32", "bfe.s32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 { return fieldOf(a, b, c, 32, true) }},
		{"bfe.s64", "bfe.s64 %d, %a, %b, %c;", []string{"b64", "b64", "b32", "b32"}, func(a, b, c uint64) uint64 { return fieldOf(a, b, c, 64, true) }},
		{"bfi.b32", "bfi.b32 %d, %a, %b, %c, 7;", d3, func(a, b, c uint64) uint64 {
			for i := range uint64(7) {
				if p := c&255 + i; p < 32 {
					b = b&^(1<<p) | a>>i&1<<p
				}
			}
			return b
		}},
		{"prmt", "prmt.b32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 {
			r := uint64(0)
			for i := range 4 {
				sel := c >> (4 * i) & 15
				v := (b<<32 | a) >> (8 * (sel & 7)) & 255
				if sel&8 != 0 {
					v = v >> 7 * 255
				}
				r |= v << (8 * i)
			}
			return r
		}},
		{"lop3", "lop3.b32 %d, %a, %b, %c, 0xb8;", d3, func(a, b, c uint64) uint64 {
			r := uint64(0)
			for i := range 32 {
				index := a>>i&1<<2 | b>>i&1<<1 | c>>i&1
				r |= 0xb8 >> index & 1 << i
			}
			return r
		}},
		{"shf.l.wrap", "shf.l.wrap.b32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 { return (b<<32 | a) << (c & 31) >> 32 }},
		{"shf.r.clamp", "shf.r.clamp.b32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 { return (b<<32 | a) >> min(c, 32) }},
		{"dp4a", "dp4a.s32.u32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 {
			for i := range 4 {
				c += uint64(int64(int8(a>>(8*i))) * int64(uint8(b>>(8*i))))
			}
			return c
		}},
		{"sad", "sad.u32 %d, %a, %b, %c;", d3, func(a, b, c uint64) uint64 { return max(a, b) - min(a, b) + c }},
		{"mov.pack", "mov.b64 %rd9, {%a, %b}; mov.b64 {%r2, %r3}, %rd9; mov.b64 %d, {%r3, %r2};", []string{"b64", "b32", "b32"}, func(a, b, _ uint64) uint64 { return a<<32 | b }},
		{"selp", "setp.lt.s32 %p1, %a, %b; selp.b32 %d, %a, %c, %p1;", d3, func(a, b, c uint64) uint64 {
			if s32(a) < s32(b) {
				return a
			}
			return c
		}},
		{"setp.and", "setp.lt.u32 %p1, %a, %c; setp.ge.and.s32 %p2|%p3, %a, %b, !%p1; selp.b32 %r2, 1, 0, %p2; selp.b32 %r3, 2, 0, %p3; or.b32 %d, %r2, %r3;", d3, func(a, b, c uint64) uint64 {
			if a < c {
				return 0
			}
			return 2 - truth(s32(a) >= s32(b))
		}},
		{"set", "set.gt.u32.s32 %d, %a, %b;", d2, func(a, b, _ uint64) uint64 { return -truth(s32(a) > s32(b)) }},
		{"guards", "mov.b32 %d, %a; setp.gt.s32 %p1, %a, %b; @%p1 add.s32 %d, %d, %c; @!%p1 sub.s32 %d, %d, %c;", d3, func(a, b, c uint64) uint64 {
			if s32(a) > s32(b) {
				return a + c
			}
			return a - c
		}},
	})
}

// fieldOf is bfe by its definition.
func fieldOf(a, b, c uint64, width int, signed bool) uint64 {
	pos, n := int(b&255), int(c&255)
	sign := uint64(0)
	if signed && n > 0 {
		sign = a >> min(pos+n-1, width-1) & 1
	}
	r := uint64(0)
	for i := range width {
		bit := sign
		if i < n && pos+i < width {
			bit = a >> (pos + i) & 1
		}
		r |= bit << i
	}
	return r
}
