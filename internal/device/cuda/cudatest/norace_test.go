//go:build !race

package cudatest_test

// raceEnabled reports whether the race detector slows everything down.
const raceEnabled = false
