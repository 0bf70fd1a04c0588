package kernels

import "slices"

// probeChains is the number of independent sums of a probe.
const probeChains = 12

// ProbeFMA multiplies and adds in registers, 12 independent vectors in each
// round, and returns the number of operations (a multiplication and an addition
// are two): the upper limit for the rate of products.
func ProbeFMA(rounds int) (flops int) {
	if rounds <= 0 {
		return 0
	}
	if lanes := probeFMAArch(rounds); lanes > 0 {
		return 2 * probeChains * lanes * rounds
	}
	var s [probeChains]float32
	for range rounds {
		for i := range s {
			s[i] += float32(s[i] * s[i])
		}
	}
	return 2 * probeChains * rounds
}

// ProbeRead reads s, except the remainder from multiples of 64 elements, and
// returns how many bytes it has read.
func ProbeRead(s []float32) (bytes int) {
	s = s[:len(s)&^63]
	if len(s) == 0 || probeReadArch(s) {
		return 4 * len(s)
	}
	_ = slices.Max(s)
	return 4 * len(s)
}
