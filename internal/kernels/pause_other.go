//go:build !amd64 || purego

package kernels

// Pause is for loops that wait for another processor; here it does nothing.
func Pause() {}
