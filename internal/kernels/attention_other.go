//go:build !amd64 || purego

package kernels

func turnPanelArch([]float32, []float32, int, int, int) bool { return false }
