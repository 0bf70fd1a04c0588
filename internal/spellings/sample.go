package spellings

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Value is a tensor in float64, row-major; integers and booleans too.
type Value struct {
	DType plan.DType
	Shape []int
	Data  []float64
}

// Array is v in its element type.
func (v Value) Array() *op.Array {
	a := op.NewArray(v.DType, v.Shape...)
	for i, x := range v.Data {
		switch v.DType {
		case plan.F32:
			binary.LittleEndian.PutUint32(a.Data[4*i:], math.Float32bits(float32(x)))
		case plan.Bool:
			a.Data[i] = byte(x)
		default:
			a.SetInt(i, int(x))
		}
	}
	return a
}

// Sizes binds every dimension of a concept: a constant one to its size, the
// others to small sizes that differ.
func (c *Concept) Sizes() plan.Bindings {
	b := plan.Bindings{}
	small := 2
	for _, d := range c.Dims {
		b[d.Name] = d.Size
		if d.Size == 0 {
			b[d.Name] = small
			small += 3
		}
	}
	return b
}

// Numbers are the parameters by name.
func (c *Concept) Numbers() map[string]float64 {
	out := map[string]float64{}
	for _, p := range c.Params {
		out[p.Name] = p.Value
	}
	return out
}

// Sample is random content of every input and weight at the given sizes: normal
// f32 values, integers from 0 to 31, booleans. Numbers are rounded to their
// types. A name has the same content whatever else the concept has.
func (c *Concept) Sample(seed uint64, sizes plan.Bindings) (map[string]Value, error) {
	out := map[string]Value{}
	for _, in := range c.Inputs {
		b := &builder{c: c, dims: map[string]plan.Dim{}}
		for k, n := range sizes {
			b.dims[k] = plan.C(n)
		}
		s, err := b.shape(in.shape)
		if err != nil {
			return nil, err
		}
		shape, err := constants(s, in.at)
		if err != nil {
			return nil, err
		}
		out[in.Name] = random(in.Name, seed, in.DType, shape)
	}
	return out, nil
}

func random(name string, seed uint64, dt plan.DType, shape []int) Value {
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	rng := rand.New(rand.NewPCG(seed, h)) //nolint:gosec // not secret
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := Value{DType: dt, Shape: shape, Data: make([]float64, n)}
	for i := range v.Data {
		switch dt {
		case plan.F32:
			v.Data[i] = float64(float32(1.5 * rng.NormFloat64()))
		case plan.Bool:
			v.Data[i] = float64(rng.IntN(2))
		default:
			v.Data[i] = float64(rng.IntN(32))
		}
	}
	return v
}
