//go:build !amd64 || purego

package kernels

func turnPanelArch([]float32, []float32, int, int, int) bool { return false }

func prefetchRows([]float32, int, int, int) {}

func hideWhereZeroArch([]float32, []byte) int { return 0 }

func scaleWeightedArch(_, _, _ []float32, _, _ float32) bool { return false }

func rotateHalvesArch(_, _, _, _, _, _ []float32) bool { return false }

func rotatePairsArch(_, _, _, _ []float32) int { return 0 }
