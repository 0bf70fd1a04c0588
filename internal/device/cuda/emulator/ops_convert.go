package emulator

import "math"

// cvt decodes a conversion.
func (d *decoder) cvt(s *statement) error {
	t := s.types()
	if len(t) < 2 {
		return nil
	}
	to, from := t[0], t[1]
	if to.pairs() {
		return d.pack(s, to, from)
	}
	if len(s.args) != 2 {
		return nil
	}
	f := conversion(s, to, from)
	if f == nil {
		return nil
	}
	a, err := d.operand(&s.args[1], from)
	if err != nil {
		return err
	}
	r, err := d.destination(s.args[0].name)
	if err != nil {
		return err
	}
	if a.file == filePred || r.file == filePred {
		return nil
	}
	d.in.a, d.in.d = a.at, r.at
	if r.width == 2 {
		inner := f
		f = func(x uint64) uint64 { return inner(x) & 0xffff }
	}
	d.in.exec = convert(f, a.file, r.file)
	switch {
	case from == u32 && to == u64 && a.file == file32 && r.file == file64:
		d.in.exec = widenU32
	case from == s32 && to == s64 && a.file == file32 && r.file == file64:
		d.in.exec = widenS32
	case (to == u32 || to == s32) && (from == u64 || from == s64) && len(s.op) == 3 && a.file == file64 && r.file == file32:
		d.in.exec = narrow64
	}
	return nil
}

// pack decodes cvt of two float32s to a packed pair: the first operand is the
// upper half.
func (d *decoder) pack(s *statement, to, from kind) error {
	if from != f32 || len(s.args) != 3 || s.has("relu") || s.has("satfinite") {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], b32); err != nil {
		return err
	}
	if err = d.sources(f32, &s.args[1], &s.args[2]); err != nil {
		return err
	}
	r := roundingOf(s)
	of := math.Float32frombits
	if to == bf16x2 {
		d.in.exec = binary32(func(a, b uint32) uint32 { return bfloat16(of(a), r)<<16 | bfloat16(of(b), r) })
	} else {
		d.in.exec = binary32(func(a, b uint32) uint32 {
			return float16(float64(of(a)), r)<<16 | float16(float64(of(b)), r)
		})
	}
	return nil
}

// conversion is the function of a conversion, from the low bits of a register.
func conversion(s *statement, to, from kind) func(x uint64) uint64 {
	sat, ftz := s.has("sat"), s.has("ftz")
	toFloat := to.float() || to == f16 || to == bf16 || to == tf32
	fromFloat := from.float() || from == f16 || from == bf16
	switch {
	case !toFloat && !fromFloat:
		return integerConversion(to, from, sat)
	case !toFloat:
		return floatToInteger(s, to, from, ftz)
	}
	if sat && to != f32 && to != f64 {
		return nil
	}
	store := floatStore(s, to, sat, ftz)
	r, whole := integral(s)
	switch {
	case store == nil:
		return nil
	case fromFloat && to == from:
		// A rounding to an integer, or a saturation.
		load := floatLoad(from, ftz)
		return func(x uint64) uint64 {
			v := load(x)
			if whole {
				v = roundIntegral(v, r)
			}
			return store(v)
		}
	case fromFloat:
		load := floatLoad(from, ftz)
		return func(x uint64) uint64 { return store(load(x)) }
	case to == f64:
		return integerToFloat64(from, roundingOf(s))
	}
	// An integer to a narrower float: its low bits tell only whether it is exact.
	return func(x uint64) uint64 {
		negative, magnitude := signMagnitude(x, from)
		for magnitude >= 1<<53 {
			magnitude = magnitude>>1 | magnitude&1
			if magnitude < 1<<53 {
				return store(shifted(magnitude, from, x, negative))
			}
		}
		v := float64(magnitude)
		if negative {
			v = -v
		}
		return store(v)
	}
}

// shifted is magnitude, of which low bits were dropped, scaled back.
func shifted(magnitude uint64, from kind, x uint64, negative bool) float64 {
	_, whole := signMagnitude(x, from)
	v := float64(magnitude)
	for whole >= 1<<53 {
		whole >>= 1
		v *= 2
	}
	if negative {
		return -v
	}
	return v
}

func signMagnitude(x uint64, from kind) (bool, uint64) {
	v := extend(x, from)
	if from.signed() && int64(v) < 0 {
		return true, -v
	}
	return false, v
}

// extend is the low bits of a register as 64 bits, by kind.
func extend(x uint64, k kind) uint64 {
	n := 64 - 8*k.width()
	if k.signed() {
		return uint64(int64(x<<n) >> n)
	}
	return x << n >> n
}

func integerConversion(to, from kind, sat bool) func(x uint64) uint64 {
	if !sat {
		// The result fills a register that may be wider than its type.
		return func(x uint64) uint64 { return extend(extend(x, from), to) }
	}
	return func(x uint64) uint64 {
		negative, magnitude := signMagnitude(x, from)
		bits := 8 * to.width()
		switch {
		case to.signed() && negative:
			return -min(magnitude, 1<<(bits-1))
		case to.signed():
			return min(magnitude, 1<<(bits-1)-1)
		case negative:
			return 0
		case bits == 64:
			return magnitude
		}
		return min(magnitude, 1<<bits-1)
	}
}

func integerToFloat64(from kind, r rounding) func(x uint64) uint64 {
	return func(x uint64) uint64 {
		negative, magnitude := signMagnitude(x, from)
		v := float64(magnitude)
		rest := float64(0)
		if v >= 1<<64 {
			rest = -1
		} else if uint64(v) != magnitude {
			rest = float64(int64(magnitude - uint64(v)))
		}
		if negative {
			v, rest = -v, -rest
		}
		return bits64of(adjust(v, rest, r))
	}
}

// integral is the rounding of a float to an integer, if the instruction asks.
func integral(s *statement) (rounding, bool) {
	for _, m := range s.op[1:] {
		switch m {
		case "rni":
			return nearest, true
		case "rzi":
			return toZero, true
		case "rmi":
			return down, true
		case "rpi":
			return up, true
		}
	}
	return nearest, false
}

func roundIntegral(x float64, r rounding) float64 {
	switch r {
	case toZero:
		return math.Trunc(x)
	case down:
		return math.Floor(x)
	case up:
		return math.Ceil(x)
	default:
		return math.RoundToEven(x)
	}
}

// floatToInteger saturates, and makes a NaN zero, or the least number of 64 bits.
func floatToInteger(s *statement, to, from kind, ftz bool) func(x uint64) uint64 {
	load := floatLoad(from, ftz)
	r, whole := integral(s)
	if !whole || load == nil {
		return nil
	}
	bits := 8 * to.width()
	low, high := 0.0, math.Ldexp(1, bits)
	if to.signed() {
		low, high = -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)
	}
	most := uint64(1)<<bits - 1
	if to.signed() {
		most = uint64(1)<<(bits-1) - 1
	}
	return func(x uint64) uint64 {
		v := roundIntegral(load(x), r)
		switch {
		case v != v:
			if bits == 64 {
				return 1 << 63
			}
			return 0
		case v >= high:
			return most
		case v <= low && to.signed():
			return uint64(int64(low))
		case v <= low:
			return 0
		case to.signed():
			return uint64(int64(v))
		}
		return uint64(v)
	}
}

// floatLoad reads a float as a float64.
func floatLoad(from kind, ftz bool) func(x uint64) float64 {
	switch from {
	case f32:
		return func(x uint64) float64 {
			v := uint32(x)
			if ftz {
				v = flush(v)
			}
			return float64(math.Float32frombits(v))
		}
	case f64:
		return math.Float64frombits
	case f16:
		return func(x uint64) float64 { return float64(fromFloat16(uint32(x) & 0xffff)) }
	case bf16:
		return func(x uint64) float64 { return float64(fromBfloat16(uint32(x) & 0xffff)) }
	default:
		return nil
	}
}

// floatStore rounds a float64 to a float of kind to.
func floatStore(s *statement, to kind, sat, ftz bool) func(v float64) uint64 {
	r := roundingOf(s)
	if s.has("relu") || s.has("satfinite") {
		return nil
	}
	switch to {
	case f32:
		return func(v float64) uint64 {
			y := round32(v, r)
			if math.IsInf(float64(y), 0) && !math.IsInf(v, 0) && (r == toZero || r == down && v > 0 || r == up && v < 0) {
				y = math.Nextafter32(y, 0)
			}
			x := bits32of(y)
			if ftz {
				x = flush(x)
			}
			if sat {
				x = saturate(x)
			}
			return uint64(x)
		}
	case f64:
		return func(v float64) uint64 {
			if sat && !(v > 0) {
				return 0
			}
			if sat {
				v = min(v, 1)
			}
			return bits64of(v)
		}
	case f16:
		return func(v float64) uint64 { return uint64(float16(v, r)) }
	case bf16:
		return func(v float64) uint64 {
			if r == nearest {
				return uint64(bfloat16(oddFloat32(v), r))
			}
			return uint64(bfloat16(round32(v, r), r))
		}
	case tf32:
		if !s.has("rna") {
			return nil
		}
		return func(v float64) uint64 { return uint64(tensorFloat32(float32(v))) }
	default:
		return nil
	}
}

// tensorFloat32 keeps 10 bits of the fraction, rounding halves away from zero.
func tensorFloat32(v float32) uint32 {
	x := math.Float32bits(v)
	if v != v {
		return nan32
	}
	if x&0x7f800000 != 0x7f800000 {
		x += 0x1000
	}
	return x &^ 0x1fff
}
