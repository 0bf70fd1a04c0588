package micro

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// kind is how the numbers of a tensor follow from their positions.
type kind uint8

const (
	signed   kind = iota // multiples of 1/1024 in [-2, 2)
	positive             // multiples of 1/4096 in [0.5, 1.5): variances
	integer              // whole numbers in [-8, 8): sums of them are exact
	tripled              // 1, 2, 3, 1, 2, 3, …: the weights of such sums
	row                  // i32 in [0, tableRows)
)

// tableRows is the number of rows of a download's table.
const tableRows = 4

// leaf is a leaf tensor of a case.
type leaf struct {
	name  string
	salt  uint32 // distinguishes the leaves of one case
	kind  kind
	shape []int
}

func (l leaf) elements() int { return transport.Tensor{Shape: l.shape}.Elements() }

func (l leaf) dtype() plan.DType {
	if l.kind == row {
		return plan.I32
	}
	return plan.F32
}

// mix is the integer hash lowbias32 of Chris Wellons' hash-prospector. Any
// language can generate the same numbers in a few lines, as
// testdata/scripts/make_micro_goldens.py does.
func mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}

// salted spreads a salt over the bits of a position; it wraps.
func salted(salt uint32) uint32 { return salt * 0x9e3779b9 }

// at is the element at position i as float32; all are exact.
func (l leaf) at(i int) float32 {
	h := mix(uint32(i) + salted(l.salt))
	switch l.kind {
	case positive:
		return float32(h>>20)/4096 + 0.5
	case integer:
		return float32(int(h>>28) - 8)
	case tripled:
		return float32(i%3 + 1)
	case row:
		return float32(h % tableRows)
	case signed:
	}
	return float32(int(h>>20)-2048) / 1024
}

// tensor is the leaf with its numbers.
func (l leaf) tensor() transport.Tensor {
	n := l.elements()
	data := make([]byte, 0, 4*n)
	for i := range n {
		if l.kind == row {
			data = binary.LittleEndian.AppendUint32(data, uint32(l.at(i)))
		} else {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(l.at(i)))
		}
	}
	return transport.Tensor{DType: l.dtype(), Shape: l.shape, Data: data}
}
