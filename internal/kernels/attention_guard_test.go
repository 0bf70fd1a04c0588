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
			mem.reset()
			q, k, v := mem.copyOf(randoms(rng, s.Rows*s.Dim)), mem.copyOf(randoms(rng, s.Keys*s.Dim)), mem.copyOf(randoms(rng, s.Keys*s.ValueDim))
			out, work := guarded[float32](mem, s.Rows*s.ValueDim), guarded[float32](mem, s.Work())
			Attention(out, s.ValueDim, q, s.Dim, InOnePiece(k, s.Dim), InOnePiece(v, s.ValueDim), s, work, nil)
		}
	})
}
