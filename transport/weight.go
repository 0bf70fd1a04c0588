package transport

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"

	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport/plan"
)

// HashWeight is the content hash of a weight: BLAKE3-256 over the upper-case
// name of the storage type (F32), a zero byte, the rank and the dimensions as little-endian
// uint64, then the bytes.
func HashWeight(storage plan.DType, shape []int, data []byte) plan.Hash {
	h := NewWeightHasher(storage, shape)
	_, _ = h.Write(data)
	return h.Sum()
}

// Read calls f with the content, in its own goroutine and without a lock. If
// the content is a mapped file that was truncated, Read returns [ErrCorrupt]
// and f has stopped where it was.
func (w Weight) Read(f func(data []byte)) error { return w.read(w.Data, f) }

// CopyTo copies the content from offset on, as much as fits into dst, and
// returns the number of bytes. Its error is that of [Weight.Read].
func (w Weight) CopyTo(dst []byte, offset int) (n int, err error) {
	part := w.Data[offset:min(offset+len(dst), len(w.Data))]
	err = w.read(part, func(data []byte) { n = copy(dst, data) })
	return n, err
}

func (w Weight) read(data []byte, f func([]byte)) error {
	if w.File == "" {
		f(data)
		return nil
	}
	if err := memory.Guard(data, func() { f(data) }); err != nil {
		return fmt.Errorf("%w: weight %q of %s: %w", ErrCorrupt, w.Name, w.File, err)
	}
	return nil
}

// ContentError says that a weight does not have the hash that its source gave
// it: what the source has stored about the file is out of date. The weight was
// reported with Distrust (see [Weight]), so loading the model again gives the
// right hash. It wraps [ErrCorrupt].
type ContentError struct {
	Name, File string // of the weight; File is empty where it is not a mapped file
	Err        error
}

// Error names the weight and its file.
func (e *ContentError) Error() string {
	text := fmt.Sprintf("%v: weight %q", ErrCorrupt, e.Name)
	if e.File != "" {
		text += " of " + e.File
	}
	return text + " is not what its stored hash says: " + e.Err.Error()
}

// Unwrap gives the sentinel and what was found.
func (e *ContentError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }

// Widened is the content with f16 and bf16 elements converted to f32. Content
// of other types is returned as it is, without a copy. Its error is that of
// [Weight.Read].
func (w Weight) Widened() (out []byte, err error) {
	if w.Storage != plan.F16 && w.Storage != plan.BF16 {
		return w.Data, nil
	}
	err = w.Read(func([]byte) { out = w.widened() })
	return out, err
}

func (w Weight) widened() []byte {
	out := make([]byte, 0, 2*len(w.Data))
	for i := 0; i+1 < len(w.Data); i += 2 {
		h := binary.LittleEndian.Uint16(w.Data[i:])
		wide := uint32(h) << 16
		if w.Storage == plan.F16 {
			wide = halfBits(h)
		}
		out = binary.LittleEndian.AppendUint32(out, wide)
	}
	return out
}

// halfBits widens an IEEE 754 binary16 number to the bits of a binary32.
func halfBits(h uint16) uint32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch {
	case exp == 31:
		return sign | 0xff<<23 | frac<<13
	case exp != 0:
		return sign | (exp+112)<<23 | frac<<13
	case frac == 0:
		return sign
	}
	shift := uint32(bits.LeadingZeros32(frac) - 21)
	return sign | (113-shift)<<23 | (frac<<shift&1023)<<13
}

// WeightHasher computes [HashWeight] over bytes that arrive in pieces.
type WeightHasher struct{ h *blake3.Hasher }

// NewWeightHasher starts the hash of a weight.
func NewWeightHasher(storage plan.DType, shape []int) WeightHasher {
	h := blake3.New()
	_, _ = h.Write(weightHead(storage, shape))
	return WeightHasher{h}
}

// weightHead is the part of a weight's hash input that precedes the bytes.
func weightHead(storage plan.DType, shape []int) []byte {
	head := append([]byte(strings.ToUpper(storage.String())), 0)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(shape)))
	for _, d := range shape {
		head = binary.LittleEndian.AppendUint64(head, uint64(d))
	}
	return head
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

// Model implements [WeightSource]. Weights in memory belong to no model.
func (Weights) Model() string { return "" }

func marshalMap(m map[string]int64) ([]byte, error) { return json.Marshal(m) }
