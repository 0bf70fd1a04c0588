package kernels

import (
	"errors"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

// Packed is a matrix [K, N] in the layout that products read.
type Packed struct {
	At   driver.Ptr
	Elem plan.DType
	K, N int
}

// PackedBytes is the size of a packed matrix.
func PackedBytes(elem plan.DType, k, n int) int64 { return int64(elem.Size()) * int64(k) * int64(n) }

// Pack packs rows of a matrix.
func (*Set) Pack(driver.Stream, driver.Ptr, plan.DType, int, int, driver.Ptr, bool, int, int) error {
	return errors.New("genie: there is no kernel for packing")
}
