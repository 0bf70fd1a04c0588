//go:build !amd64 || purego

package kernels

func elementsAt[E uint16 | int8]([]E) *byte { return nil }

func gemmNarrowArch(narrowType, []float32, int, []float32, int, *byte, int, int, int, int, int) bool {
	return false
}
