package route

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/genie-sdk/go/transport/plan"
)

// ErrFilter is a filter that cannot be read.
var ErrFilter = errors.New("genie: not a filter of hashes")

// MaxFilterBytes is the most memory that a filter takes, in a table and in a
// directory.
const MaxFilterBytes = 64 << 10

const (
	filterMagic  = 0xb1
	filterHeader = 4 // magic, probes, two bytes that are zero
	mostProbes   = 16
	// saturated is the share of set bits from which a filter is not believed: at the
	// size that [NewFilter] makes, half are set.
	saturated = 0.65
)

// Key names a weight or a block of a prefix in filters. Keys are hints: two things
// with one key cost time, and never a wrong result.
type Key uint64

// KeyOf is the key of a hash.
func KeyOf(h plan.Hash) Key { return Key(binary.LittleEndian.Uint64(h[:8])) }

// Filter is a set of keys in a few bytes (a Bloom filter): of a key in it, Has is
// true; of another one it is true for about one in a hundred. The zero value holds
// nothing. Filters that are read by others are no longer added to.
type Filter struct {
	probes uint8
	words  []uint64
}

// NewFilter makes a filter for up to n keys, about ten bits for each, as far as
// [MaxFilterBytes] go.
func NewFilter(n int) *Filter {
	n = min(max(n, 1), MaxFilterBytes)
	words := min((n*10+63)/64, (MaxFilterBytes-filterHeader)/8)
	return &Filter{probes: 7, words: make([]uint64, words)}
}

// Add adds a key.
func (f *Filter) Add(k Key) {
	if len(f.words) == 0 {
		*f = *NewFilter(1)
	}
	a, b := spread(k)
	n := uint64(len(f.words)) * 64
	for i := range uint64(f.probes) {
		at := within(a+i*b, n)
		f.words[at/64] |= 1 << (at % 64)
	}
}

// Has reports whether the key was probably added.
func (f *Filter) Has(k Key) bool {
	if f == nil || len(f.words) == 0 {
		return false
	}
	a, b := spread(k)
	n := uint64(len(f.words)) * 64
	for i := range uint64(f.probes) {
		at := within(a+i*b, n)
		if f.words[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

// size is the memory of the filter in bytes.
func (f *Filter) size() int {
	if f == nil {
		return 0
	}
	return 8 * len(f.words)
}

// Fill is the share of bits that are set.
func (f *Filter) Fill() float64 {
	if f == nil || len(f.words) == 0 {
		return 0
	}
	set := 0
	for _, w := range f.words {
		set += bits.OnesCount64(w)
	}
	return float64(set) / float64(64*len(f.words))
}

// Saturated reports whether the filter says of nearly every key that it is there,
// because more was added than it was made for, or to attract requests.
func (f *Filter) Saturated() bool { return f.Fill() > saturated }

// MarshalBinary encodes the filter.
func (f *Filter) MarshalBinary() ([]byte, error) {
	if f == nil || len(f.words) == 0 {
		return nil, nil
	}
	out := make([]byte, filterHeader, filterHeader+8*len(f.words))
	out[0], out[1] = filterMagic, f.probes
	for _, w := range f.words {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out, nil
}

// UnmarshalBinary decodes a filter. What is too large or not a filter is
// [ErrFilter].
func (f *Filter) UnmarshalBinary(data []byte) error {
	if len(data) == 0 {
		*f = Filter{}
		return nil
	}
	body := len(data) - filterHeader
	switch {
	case len(data) > MaxFilterBytes:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrFilter, len(data), MaxFilterBytes)
	case body < 8 || body%8 != 0:
		return fmt.Errorf("%w: %d bytes", ErrFilter, len(data))
	case data[0] != filterMagic || data[2] != 0 || data[3] != 0:
		return fmt.Errorf("%w: it begins with %x", ErrFilter, data[:filterHeader])
	case data[1] == 0 || data[1] > mostProbes:
		return fmt.Errorf("%w: %d probes a key", ErrFilter, data[1])
	}
	words := make([]uint64, body/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(data[filterHeader+8*i:])
	}
	*f = Filter{probes: data[1], words: words}
	return nil
}

// spread makes two independent numbers of a key (Kirsch and Mitzenmacher, "Less
// hashing, same performance": the probes are a + i*b).
func spread(k Key) (a, b uint64) {
	a = mix(uint64(k))
	return a, mix(a) | 1
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// within maps x evenly to [0, n) without a division.
func within(x, n uint64) uint64 {
	hi, _ := bits.Mul64(x, n)
	return hi
}
