package kernels

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

// Packed is a weight [K, N] in the layout of products, see packed.cuh. Elem is
// its storage format: F32, F16 or BF16.
type Packed struct {
	At   driver.Ptr
	Elem plan.DType
	K, N int
}

// The padding of packed weights.
const (
	packedRows = 64
	panelF32   = 8  // columns
	panel16    = 16 // columns
	panelStep  = 16 // rows of a fragment
)

func panelWidth(elem plan.DType) int {
	if elem == plan.F32 {
		return panelF32
	}
	return panel16
}

// roundUp is the least multiple of m that is not less than n.
func roundUp(n, m int) int { return (n + m - 1) / m * m }

// PackedBytes is the memory of a packed weight.
func PackedBytes(elem plan.DType, k, n int) int64 {
	return int64(roundUp(k, packedRows)) * int64(roundUp(n, panelWidth(elem))) * int64(elem.Size())
}

// checkPacked checks that kernels can count the weight's rows and columns.
func checkPacked(elem plan.DType, k, n int) error {
	if elem != plan.F32 && elem != plan.F16 && elem != plan.BF16 {
		return fmt.Errorf("genie: kernels: a packed weight of %v", elem)
	}
	if k < 0 || n < 0 || k > maxAxis || n > maxAxis {
		return fmt.Errorf("genie: kernels: a packed weight [%d, %d]", k, n)
	}
	return nil
}

// maxAxis bounds an axis, so that its padded size has 32 bits.
const maxAxis = math.MaxInt32 - 1<<10

// packArgs mirrors Pack of pack.cu.
type packArgs struct {
	dst, src                   driver.Ptr
	k, n, from, to, end, width uint32
	transposed, _              uint32
}

// Pack packs source rows from..to of a row-major weight [K, N], or [N, K] where
// transposed, with the row from at src. The rows may come in several pieces. The
// padding is stored with them, and that after the last row with the last piece.
func (s *Set) Pack(st driver.Stream, dst driver.Ptr, elem plan.DType, k, n int, src driver.Ptr, transposed bool, from, to int) error {
	if err := checkPacked(elem, k, n); err != nil {
		return err
	}
	rows, end, width := k, roundUp(k, packedRows), roundUp(n, panelWidth(elem))
	if transposed {
		rows, end, width = n, width, end
	}
	if from < 0 || from > to || to > rows {
		return fmt.Errorf("genie: kernels: pack rows %d to %d of %d", from, to, rows)
	}
	if to < rows {
		end = to
	}
	if k == 0 || n == 0 || from == to {
		return nil
	}
	a := packArgs{
		dst: dst, src: src, k: uint32(k), n: uint32(n), from: uint32(from), to: uint32(to), end: uint32(end), width: uint32(width),
		transposed: flag(transposed),
	}
	grid := driver.Dim{X: min((width+threads-1)/threads, 1<<10), Y: min(end-from, 1<<12), Z: 1}
	name := "pack_16"
	if elem == plan.F32 {
		name = "pack_32"
	}
	return launch(s, st, name, grid, driver.Dim{X: threads, Y: 1, Z: 1}, 0, &a)
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
