package op

import (
	"math"

	"github.com/genie-sdk/go/transport/plan"
)

// Widen is an element of a half format as float32: the plain version of the
// kernels that convert many at once.
func Widen(t plan.DType, x uint16) float32 {
	if t == plan.BF16 {
		return math.Float32frombits(uint32(x) << 16)
	}
	sign, exp, frac := uint32(x>>15)<<31, uint32(x>>10&31), uint32(x&1023)
	switch exp {
	case 0: // a multiple of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(frac)/(1<<24)))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
