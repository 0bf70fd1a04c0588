//go:build !unix

package engine

// mapped is zeroed memory; on this system it is on the Go heap.
func mapped(n int) ([]byte, error) { return make([]byte, n), nil }

func unmap([]byte) {}

func peakRSS() int64 { return 0 }
