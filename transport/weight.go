package transport

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/transport/plan"
)

// HashWeight is the content hash of a weight: BLAKE3-256 over the name of the
// storage type, a zero byte, the rank and the dimensions as little-endian
// uint64, then the bytes.
func HashWeight(storage plan.DType, shape []int, data []byte) plan.Hash {
	h := NewWeightHasher(storage, shape)
	_, _ = h.Write(data)
	return h.Sum()
}

// WeightHasher computes [HashWeight] over bytes that arrive in pieces.
type WeightHasher struct{ h *blake3.Hasher }

// NewWeightHasher starts the hash of a weight.
func NewWeightHasher(storage plan.DType, shape []int) WeightHasher {
	h := blake3.New()
	head := append([]byte(storage.String()), 0)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(shape)))
	for _, d := range shape {
		head = binary.LittleEndian.AppendUint64(head, uint64(d))
	}
	_, _ = h.Write(head)
	return WeightHasher{h}
}

// Write adds bytes; it never fails.
func (w WeightHasher) Write(p []byte) (int, error) { return w.h.Write(p) }

// Sum is the hash of what was written.
func (w WeightHasher) Sum() (h plan.Hash) {
	copy(h[:], w.h.Sum(nil))
	return h
}

// Weights is a [WeightSource] held in memory.
type Weights map[plan.Hash]Weight

// Weight implements [WeightSource].
func (w Weights) Weight(h plan.Hash) (Weight, error) {
	if x, ok := w[h]; ok {
		return x, nil
	}
	return Weight{}, fmt.Errorf("%w: no content with hash %v", ErrMissingWeight, h)
}

// Model implements [WeightSource]; weights in memory belong to no model.
func (Weights) Model() string { return "" }

func marshalMap(m map[string]int64) ([]byte, error) { return json.Marshal(m) }
