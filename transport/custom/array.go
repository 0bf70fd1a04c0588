package custom

import (
	"fmt"
	"unsafe"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Float32s is the elements of an f32 array. It shares the array's memory.
func (a Array) Float32s() []float32 { return elements[float32](a, plan.F32) }

// Int32s is the elements of an i32 array. It shares the array's memory.
func (a Array) Int32s() []int32 { return elements[int32](a, plan.I32) }

// Int64s is the elements of an i64 array. It shares the array's memory.
func (a Array) Int64s() []int64 { return elements[int64](a, plan.I64) }

// Bools is the elements of a bool array: any byte but 0 is true. It shares the
// array's memory.
func (a Array) Bools() []byte { return elements[byte](a, plan.Bool) }

// elements panics for another type, which fails the run as any panic of an
// operator.
func elements[T any](a Array, want plan.DType) []T {
	if a.DType != want {
		panic(fmt.Errorf("%w: the array is %v, not %v", transport.ErrDType, a.DType, want))
	}
	if len(a.Data) == 0 {
		return nil
	}
	var z T
	n := len(a.Data) / int(unsafe.Sizeof(z))
	return unsafe.Slice((*T)(unsafe.Pointer(&a.Data[0])), n)[:n:n]
}
