package emulator

import "math/bits"

// lanes is the number of threads of a warp, and full the mask of all.
const (
	lanes = 32
	full  = 1<<lanes - 1
)

// row32 and row64 are a register of each thread of a warp.
type (
	row32 [lanes]uint32
	row64 [lanes]uint64
)

// execute executes an instruction in the threads of a mask that is not 0.
type execute func(w *warp, in *instruction, mask uint32)

// action is what an instruction does to the flow of a warp.
type action uint8

const (
	compute action = iota
	branch
	leave   // ret or exit
	barrier // bar.sync
	syncWarp
)

// moves tells which instructions move values, written or not.
type moves uint8

const (
	noMove moves = iota
	moveOne
	moveSelected // the first source where predicate c holds, else the second
	moveItself   // exec marks the destination
)

// instruction is a decoded instruction: its registers are slots of the files of
// a warp.
type instruction struct {
	exec    execute
	d, e    int32 // destinations
	a, b, c int32
	guard   int32 // the predicate, or -1
	not     bool  // of guard
	action  action
	moves   moves // how it moves values that may not be written
	from    [2]int32
	uses    []slot // registers that must be written
	sets    []slot // registers to mark as written
	target  int32  // of a branch
	meet    int32  // where the threads of a branch meet again, or -1
	mem     *access
	vector  []slot // the registers of a load, a store or a product
	line    int32
	op      string
}

// slot is a register: its file and its index there.
type slot struct {
	file  file
	width uint8 // in bytes
	at    int32
	mark  int32 // in the marks of written registers; -1 if it always is
}

// file is one of the three register files of a warp.
type file uint8

const (
	file32 file = iota // 8, 16 and 32 bits
	file64
	filePred
)

// each calls f for every lane of mask.
func each(mask uint32, f func(lane int)) {
	for ; mask != 0; mask &= mask - 1 {
		f(bits.TrailingZeros32(mask) & 31)
	}
}

func unary32(f func(a uint32) uint32) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a := &w.r32[in.d], &w.r32[in.a]
		if mask == full {
			for i := range d {
				d[i] = f(a[i])
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i])
		}
	}
}

func binary32(f func(a, b uint32) uint32) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a, b := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b]
		if mask == full {
			for i := range d {
				d[i] = f(a[i], b[i])
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i], b[i])
		}
	}
}

func ternary32(f func(a, b, c uint32) uint32) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a, b, c := &w.r32[in.d], &w.r32[in.a], &w.r32[in.b], &w.r32[in.c]
		if mask == full {
			for i := range d {
				d[i] = f(a[i], b[i], c[i])
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i], b[i], c[i])
		}
	}
}

func unary64(f func(a uint64) uint64) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a := &w.r64[in.d], &w.r64[in.a]
		if mask == full {
			for i := range d {
				d[i] = f(a[i])
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i])
		}
	}
}

func binary64(f func(a, b uint64) uint64) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a, b := &w.r64[in.d], &w.r64[in.a], &w.r64[in.b]
		if mask == full {
			for i := range d {
				d[i] = f(a[i], b[i])
			}
			return
		}
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i], b[i])
		}
	}
}

func ternary64(f func(a, b, c uint64) uint64) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a, b, c := &w.r64[in.d], &w.r64[in.a], &w.r64[in.b], &w.r64[in.c]
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i], b[i], c[i])
		}
	}
}

// shift64 has a second operand of 32 bits.
func shift64(f func(a uint64, b uint32) uint64) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a, b := &w.r64[in.d], &w.r64[in.a], &w.r32[in.b]
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i], b[i])
		}
	}
}

// narrow has an operand of 64 bits and a result of 32.
func narrow(f func(a uint64) uint32) execute {
	return func(w *warp, in *instruction, mask uint32) {
		d, a := &w.r32[in.d], &w.r64[in.a]
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(a[i])
		}
	}
}

// convert converts between registers of any width.
func convert(f func(a uint64) uint64, from, to file) execute {
	switch {
	case from == file32 && to == file32:
		return unary32(func(a uint32) uint32 { return uint32(f(uint64(a))) })
	case from == file64 && to == file64:
		return unary64(f)
	case from == file64:
		return narrow(func(a uint64) uint32 { return uint32(f(a)) })
	}
	return func(w *warp, in *instruction, mask uint32) {
		d, a := &w.r64[in.d], &w.r32[in.a]
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask) & 31
			d[i] = f(uint64(a[i]))
		}
	}
}
