//go:build !amd64 || purego

package kernels

import "unsafe"

// Without assembly every architecture function returns that it did nothing, and
// the portable code does all the work.

func productPanels() int { return 1 }

func gemmPackedArch([]float32, int, []float32, int, []float32, int, int, int, int, int) bool {
	return false
}

func gemmBlockArch([]float32, int, []float32, int, []float32, int, int, int, int, bool) bool {
	return false
}

func gemmNNArch([]float32, int, []float32, int, []float32, int, int, int, int, int, bool) bool {
	return false
}

func gemmNTArch([]float32, int, []float32, int, []float32, int, int, int, int, int) bool {
	return false
}

func binaryArch(arithmetic, []float32, []float32, []float32) bool { return false }

func scalarArch(arithmetic, []float32, []float32, float32) bool { return false }

func pairArch(pairOp, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer, int) int { return 0 }

func selectArch(int, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer, int) int {
	return 0
}

func clipArch([]float32, []float32, float32, float32) bool { return false }

func powArch([]float32, []float32, []float32, *[powBlock / 8]uint16) (int, bool) { return 0, false }

func streamArch([]byte, []byte) int { return 0 }

func unaryArch(unary, []float32, []float32) bool { return false }

func expSumArch([]float32, []float32, float32) (float64, bool) { return 0, false }

func normaliseArch([]float32, []float32, float32, float32) bool { return false }

func normaliseAffineArch([]float32, []float32, []float32, []float32, float32, float32) bool {
	return false
}

func sumSquaredDistanceArch([]float32, float32) (float32, bool) { return 0, false }

func sumArch([]float32) (float32, bool) { return 0, false }

func maxArch([]float32) (float32, bool, bool) { return 0, false, false }

func f16ToF32Arch([]float32, []uint16) int { return 0 }

func f32ToF16Arch([]uint16, []float32) int { return 0 }

func bf16ToF32Arch([]float32, []uint16) int { return 0 }

func f32ToBF16Arch([]uint16, []float32) int { return 0 }

func packEightArch([]float32, []float32, int, int) bool { return false }

func probeFMAArch(int) int { return 0 }

func probeReadArch([]float32) bool { return false }
