//go:build unix

package kernels

import (
	"math/rand/v2"
	"testing"
)

func TestAttentionStaysInBounds(t *testing.T) {
	eachGuard(t, func(_ *testing.T, mem *arena) {
		rng := rand.New(rand.NewPCG(39, 40))
		for range 300 {
			s := randomAttention(rng)
			s.Keys = min(s.Keys, 60)
			s.Dim, s.ValueDim = min(s.Dim, 50), min(s.ValueDim, 50)
			s.Heads = 1 + rng.IntN(4)
			s.Rows = min(s.Rows, 50)
			s.QHead, s.OutHead, s.Mask = s.Rows*s.Dim, s.Rows*s.ValueDim, randomMask(rng, &s)
			mem.reset()
			if s.Mask.Add != nil {
				s.Mask.Add = mem.copyOf(s.Mask.Add)
			} else if s.Mask.May != nil {
				s.Mask.May = guarded[byte](mem, len(s.Mask.May))
			}
			q, k, v := mem.copyOf(randoms(rng, s.Heads*s.Rows*s.Dim)), mem.copyOf(randoms(rng, s.Keys*s.Dim)), mem.copyOf(randoms(rng, s.Keys*s.ValueDim))
			out, work := guarded[float32](mem, s.Heads*s.Rows*s.ValueDim), guarded[float32](mem, s.Work())
			Attention(out, s.ValueDim, q, s.Dim, InOnePiece(k, s.Dim), InOnePiece(v, s.ValueDim), s, work, nil)
		}
	})
}
