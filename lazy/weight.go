package lazy

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weightValue is a weight, widened to its compute type, as Gorgonia's value.
func weightValue(w transport.Weight) (gorgonia.Value, error) {
	a, err := weightArray(w)
	if err != nil {
		return nil, err
	}
	return valueOf(a)
}

// weightArray copies a weight and widens it to its compute type.
func weightArray(w transport.Weight) (*op.Array, error) {
	dt := w.Storage
	if dt == plan.F16 || dt == plan.BF16 {
		dt = plan.F32
	}
	a := op.NewArray(dt, w.Shape...)
	switch w.Storage {
	case plan.F16, plan.BF16:
		out := a.F32()
		for i := range out {
			h := uint16(w.Data[2*i]) | uint16(w.Data[2*i+1])<<8
			if w.Storage == plan.BF16 {
				out[i] = math.Float32frombits(uint32(h) << 16)
			} else {
				out[i] = halfToFloat(h)
			}
		}
	default:
		if copy(a.Data, w.Data) != len(a.Data) {
			return nil, fmt.Errorf("%w: weight %q has %d bytes for %v%v", ErrShape, w.Name, len(w.Data), w.Storage, w.Shape)
		}
	}
	return a, nil
}

// halfToFloat widens an IEEE 754 binary16 number.
func halfToFloat(h uint16) float32 {
	sign := float64(1 - 2*int(h>>15))
	exp, frac := int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return float32(sign * math.Ldexp(frac, -24))
	case 31:
		if frac != 0 {
			return float32(math.NaN())
		}
		return float32(math.Inf(int(sign)))
	}
	return float32(sign * math.Ldexp(1+frac/1024, exp-15))
}
