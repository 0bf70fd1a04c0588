package memory_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/memory"
)

// TestSlabs takes and gives back pieces at random and looks that none is
// written by the owner of another.
func TestSlabs(t *testing.T) {
	var s memory.Slabs
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	type piece struct {
		b    []byte
		mark byte
	}
	var held []piece
	check := func(p piece) {
		for _, at := range []int{0, len(p.b) / 2, len(p.b) - 1} {
			require.Equal(t, p.mark, p.b[at])
		}
	}
	for i := range 3000 {
		if len(held) > 0 && rng.IntN(5) < 2 {
			k := rng.IntN(len(held))
			check(held[k])
			s.Free(held[k].b)
			held[k] = held[len(held)-1]
			held = held[:len(held)-1]
			continue
		}
		n := 1 + rng.IntN(200<<10)
		if i%500 == 0 {
			n = 65 << 20 // larger than a slab
		}
		alloc := s.Alloc
		if i%2 == 0 {
			alloc = s.AllocZero
		}
		b, err := alloc(n)
		require.NoError(t, err)
		require.Len(t, b, n)
		if i%2 == 0 {
			require.Equal(t, n, bytes.Count(b, []byte{0}))
		}
		require.Zero(t, uintptr(unsafe.Pointer(&b[0]))%64)
		p := piece{b, byte(i)}
		for at := range b {
			b[at] = p.mark
		}
		held = append(held, p)
	}
	for _, p := range held {
		check(p)
		s.Free(p.b)
	}
	b, err := s.Alloc(0)
	require.NoError(t, err)
	s.Free(b)
}
