//go:build !race

package kernels

const pooledAllocs = 0
