//go:build race

package kernels

// pooledAllocs is how often a call may allocate although its scratch is pooled:
// under the race detector sync.Pool drops some of what it is given.
const pooledAllocs = 1
