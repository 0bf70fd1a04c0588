package op

import (
	"slices"
	"unsafe"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Array is a strided view of memory. Data begins at element [0, 0, ...] and
// extends at least to the last element; strides count elements.
type Array struct {
	DType   plan.DType
	Shape   []int
	Strides []int
	Data    []byte
}

// NewArray allocates a contiguous array of zeros on the Go heap.
func NewArray(dt plan.DType, shape ...int) *Array {
	return &Array{dt, shape, ContiguousStrides(shape), make([]byte, product(shape)*dt.Size())}
}

// FromF32 makes a contiguous array over v.
func FromF32(v []float32, shape ...int) *Array {
	a := &Array{DType: plan.F32, Shape: shape, Strides: ContiguousStrides(shape)}
	if len(v) > 0 {
		a.Data = unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*4)
	}
	return a
}

// ContiguousStrides are the row-major strides of shape.
func ContiguousStrides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// Len is the number of elements.
func (a *Array) Len() int { return product(a.Shape) }

// Contiguous reports whether the elements are row-major without gaps.
func (a *Array) Contiguous() bool {
	n := 1
	for i, v := range slices.Backward(a.Shape) {
		if v != 1 && a.Strides[i] != n {
			return false
		}
		n *= v
	}
	return true
}

func view[T any](a *Array) []T {
	var z T
	if len(a.Data) < int(unsafe.Sizeof(z)) { // no elements, or smaller ones of another type
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&a.Data[0])), len(a.Data)/int(unsafe.Sizeof(z)))
}

// F32 is the memory as float32.
func (a *Array) F32() []float32 { return view[float32](a) }

// U16 is the memory as 16-bit words, the bits of f16 or bf16 elements.
func (a *Array) U16() []uint16 { return view[uint16](a) }

// I8 is the memory as int8.
func (a *Array) I8() []int8 { return view[int8](a) }

// I32 is the memory as int32.
func (a *Array) I32() []int32 { return view[int32](a) }

// I64 is the memory as int64.
func (a *Array) I64() []int64 { return view[int64](a) }

// Bytes is the memory as bytes.
func (a *Array) Bytes() []byte { return a.Data }

// Int is the index at element offset off of an i32 or i64 array.
func (a *Array) Int(off int) int {
	if a.DType == plan.I32 {
		return int(a.I32()[off])
	}
	return int(a.I64()[off])
}

// SetInt writes an index at element offset off of an i32 or i64 array.
func (a *Array) SetInt(off, v int) {
	if a.DType == plan.I32 {
		a.I32()[off] = int32(v)
		return
	}
	a.I64()[off] = int64(v)
}

// SetBool writes an element of a bool array.
func (a *Array) SetBool(off int, v bool) {
	a.Data[off] = 0
	if v {
		a.Data[off] = 1
	}
}

// BroadcastStrides are a's strides seen at shape: zero where a repeats one
// element.
func (a *Array) BroadcastStrides(shape []int) []int {
	s := make([]int, len(shape))
	skip := len(shape) - len(a.Shape)
	for i := range a.Shape {
		if a.Shape[i] != 1 {
			s[skip+i] = a.Strides[i]
		}
	}
	return s
}

const (
	// elementWork is the work of one element, as [halt.Counter] counts it: with
	// large strides each element misses the caches, and its page may have to be
	// mapped.
	elementWork = 16
	// positionWork is the work of a position of [walk], in elements, in
	// addition to the computation there.
	positionWork = 4
	// innerWork is the number of inner-loop elements processed between two halt
	// checks.
	innerWork = 1 << 10
)

// walk calls f with the element offsets of every position of shape, in
// row-major order, for each of the stride lists. work is the work of f, in
// elements. When ask says stop, in f or here, it returns [ErrHalted].
func walk(shape []int, ask *halt.Counter, work int, f func(off []int), strides ...[]int) error {
	n := product(shape)
	if n == 0 {
		return nil
	}
	work = elementWork * (positionWork + min(work, halt.Every))
	idx := make([]int, len(shape))
	off := make([]int, len(strides))
	for range n {
		if f(off); ask.Stop(work) {
			return ErrHalted
		}
		for d := len(shape) - 1; d >= 0; d-- {
			idx[d]++
			for i, s := range strides {
				off[i] += s[d]
			}
			if idx[d] < shape[d] {
				break
			}
			for i, s := range strides {
				off[i] -= s[d] * shape[d]
			}
			idx[d] = 0
		}
	}
	return nil
}

// rows walks all axes but one: f gets the offset of the first element along
// axis in each array.
func rows(shape []int, axis int, ask *halt.Counter, f func(off []int), strides ...[]int) error {
	outer := append([]int(nil), shape...)
	outer[axis] = 1
	if shape[axis] == 0 {
		return nil
	}
	return walk(outer, ask, shape[axis], f, strides...)
}

func copyArray(out, in *Array, h halt.Func) error {
	size := in.DType.Size()
	ask := h.Counter()
	return walk(in.Shape, &ask, 1, func(o []int) {
		copy(out.Data[o[0]*size:o[0]*size+size], in.Data[o[1]*size:o[1]*size+size])
	}, out.Strides, in.Strides)
}
