package kernels

import (
	"encoding/binary"
	"math"
	"testing"
)

// FuzzHalves compares conversions of element types, on this machine's path and
// element by element, with arithmetic in float64: a narrow number widens
// exactly and narrows to itself, and a wide one becomes the nearer of its two
// neighbours, the even one in a tie. A few numbers are repeated to a length of
// up to 80, with a tail that no vector width divides: short inputs are quickly
// made shorter.
func FuzzHalves(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 255, 255, 127, 127, 1, 0, 0, 0, 0, 0, 128, 255, 0, 240, 127, 71, 0, 0, 128, 51}, byte(6))
	f.Add([]byte{0, 0, 128, 63, 37, 74, 111, 148, 185, 222, 3, 40}, byte(70))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 128, 255, 0, 240, 127, 71, 0, 0, 128, 51, 255, 255, 127, 127}, byte(33))
	f.Fuzz(func(t *testing.T, b []byte, length byte) {
		numbers := min(len(b)/4, 16)
		if numbers == 0 {
			return
		}
		wide := make([]float32, int(length)%80+1)
		for i := range wide {
			wide[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*(i%numbers):]))
		}
		for name, c := range map[string]struct {
			narrow func([]uint16, []float32)
			widen  func([]float32, []uint16)
			inf    uint16
		}{"f16": {F32ToF16, F16ToF32, 0x7c00}, "bf16": {F32ToBF16, BF16ToF32, 0x7f80}} {
			half, back := make([]uint16, len(wide)), make([]float32, len(wide))
			one, alone, again := make([]uint16, 1), make([]float32, 1), make([]uint16, 1)
			c.narrow(half, wide)
			c.widen(back, half)
			for i, x := range wide {
				c.narrow(one, wide[i:i+1])
				c.widen(alone, one)
				if one[0] != half[i] || math.Float32bits(alone[0]) != math.Float32bits(back[i]) {
					t.Fatalf("%s: %g is %04x among others and %04x alone", name, x, half[i], one[0])
				}
				if x != x {
					if back[i] == back[i] {
						t.Fatalf("%s: NaN became %g", name, back[i])
					}
					continue
				}
				if c.narrow(again, back[i:i+1]); again[0] != half[i] {
					t.Fatalf("%s: %04x does not narrow to itself but to %04x", name, half[i], again[0])
				}
				checkNearest(t, name, x, half[i], c.inf, c.widen)
			}
		}
	})
}

// checkNearest compares a rounding with those one step away.
func checkNearest(t *testing.T, name string, x float32, got, inf uint16, widen func([]float32, []uint16)) {
	v, of := make([]float32, 2), make([]uint16, 2)
	value := func(h uint16) float64 {
		if h&0x7fff == inf { // stands for the number that would come after the greatest
			of[0], of[1] = inf-1, inf-2
			widen(v, of)
			return 2*float64(v[0]) - float64(v[1])
		}
		of[0] = h
		widen(v[:1], of[:1])
		return math.Abs(float64(v[0]))
	}
	if math.IsInf(float64(x), 0) {
		if got&0x7fff != inf {
			t.Fatalf("%s: infinity became %04x", name, got)
		}
		return
	}
	if (got&0x8000 != 0) != math.Signbit(float64(x)) {
		t.Fatalf("%s: the sign of %g is lost in %04x", name, x, got)
	}
	want, magnitude := math.Abs(float64(x)), got&0x7fff
	off := math.Abs(value(magnitude) - want)
	if magnitude == inf && want >= value(inf) {
		return
	}
	for _, other := range []uint16{magnitude - 1, magnitude + 1} {
		if other > inf { // around zero and infinity there is nothing
			continue
		}
		if d := math.Abs(value(other) - want); d < off || d == off && magnitude&1 == 1 {
			t.Fatalf("%s: %g became %04x, %04x is nearer", name, x, got, other)
		}
	}
}
