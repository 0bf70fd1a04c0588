package emulator

import "math/bits"

// What kernels execute most has loops of its own, without a call in each lane.

var fast32 = map[string]execute{
	"add": func(w *warp, in *instruction, mask uint32) {
		d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
		if mask == full {
			for i := range d {
				d[i] = a[i] + b[i]
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = a[i] + b[i]
		}
	},
	"sub": func(w *warp, in *instruction, mask uint32) {
		d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
		if mask == full {
			for i := range d {
				d[i] = a[i] - b[i]
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = a[i] - b[i]
		}
	},
}

var fast64 = map[string]execute{
	"add": func(w *warp, in *instruction, mask uint32) {
		d, a, b := &w.r64[in.d], &w.r64[in.a], &w.r64[in.b]
		if mask == full {
			for i := range d {
				d[i] = a[i] + b[i]
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = a[i] + b[i]
		}
	},
}

func mulLo32(w *warp, in *instruction, mask uint32) {
	d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
	if mask == full {
		for i := range d {
			d[i] = a[i] * b[i]
		}
		return
	}
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = a[i] * b[i]
	}
}

func mulLo64(w *warp, in *instruction, mask uint32) {
	d, a, b := &w.r64[in.d], &w.r64[in.a], &w.r64[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = a[i] * b[i]
	}
}

func mulWideU32(w *warp, in *instruction, mask uint32) {
	d, a, b := &w.r64[in.d], &w.r32[in.a], &w.r32[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = uint64(a[i]) * uint64(b[i])
	}
}

func mulWideS32(w *warp, in *instruction, mask uint32) {
	d, a, b := &w.r64[in.d], &w.r32[in.a], &w.r32[in.b]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = uint64(int64(int32(a[i])) * int64(int32(b[i])))
	}
}

func move32(w *warp, in *instruction, mask uint32) {
	if mask == full {
		w.r32[in.d] = w.r32[in.a]
		return
	}
	d, a := &w.r32[in.d], &w.r32[in.a]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = a[i]
	}
}

func move64(w *warp, in *instruction, mask uint32) {
	if mask == full {
		w.r64[in.d] = w.r64[in.a]
		return
	}
	d, a := &w.r64[in.d], &w.r64[in.a]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = a[i]
	}
}

func movePredicate(w *warp, in *instruction, mask uint32) {
	w.preds[in.d] = w.preds[in.d]&^mask | w.preds[in.a]&mask
}

func widenU32(w *warp, in *instruction, mask uint32) {
	d, a := &w.r64[in.d], &w.r32[in.a]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = uint64(a[i])
	}
}

func widenS32(w *warp, in *instruction, mask uint32) {
	d, a := &w.r64[in.d], &w.r32[in.a]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = uint64(int64(int32(a[i])))
	}
}

func narrow64(w *warp, in *instruction, mask uint32) {
	d, a := &w.r32[in.d], &w.r64[in.a]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & 31
		d[i] = uint32(a[i])
	}
}
