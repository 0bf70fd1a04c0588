//go:build !amd64 || purego

package kernels

func maxWindowArch([]float32, []float32, int, int, int) bool { return false }

func meanWindowArch([]float32, []float32, int, int, int, float32) bool { return false }
