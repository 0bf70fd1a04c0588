package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/op"
)

// TestDraw compares with the operator's own code: the same token for any
// parameters, including ties, NaN, infinities and masked logits.
func TestDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(71, 72))
	special := []float32{float32(math.NaN()), float32(math.Inf(-1)), -math.MaxFloat32, 0, 1}
	var s sampler
	chosen := map[int]bool{}
	for i := range 3000 {
		n := []int{1, 2, 17, 300, 3000}[rng.IntN(5)]
		logits := make([]float32, n)
		spread := []float64{0.01, 1, 10}[rng.IntN(3)]
		for j := range logits {
			switch logits[j] = float32(spread * rng.NormFloat64()); {
			case i%3 == 1:
				logits[j] = float32(math.Round(float64(logits[j]))) // ties
			case i%3 == 2 && rng.IntN(4) == 0:
				logits[j] = special[rng.IntN(len(special))]
			}
		}
		if i%100 == 7 {
			logits[rng.IntN(n)] = float32(math.Inf(1))
		}
		p := op.SampleParams{
			Temperature: []float32{0, -1, 0.1, 1, 3}[rng.IntN(5)],
			TopP:        []float32{1, 0.99, 0.5, 0, 2}[rng.IntN(5)],
			TopK:        []int{0, 1, 5, 40, 299, 5000}[rng.IntN(6)],
			Seed:        rng.Int64(), Counter: rng.Int64N(1000),
		}
		got := s.draw(p, logits, nil)
		require.Equal(t, p.Draw(logits), got, "%+v of %d logits", p, n)
		chosen[got] = true
	}
	require.Greater(t, len(chosen), 100)
}

func BenchmarkDraw(b *testing.B) {
	rng := rand.New(rand.NewPCG(73, 74))
	logits := make([]float32, 50257)
	for i := range logits {
		logits[i] = float32(2 * rng.NormFloat64())
	}
	for name, p := range map[string]op.SampleParams{
		"all":  {Temperature: 1, TopP: 1},
		"topk": {Temperature: 1, TopP: 1, TopK: 50},
		"topp": {Temperature: 0.4, TopP: 0.9}, // of 125 tokens
		"flat": {Temperature: 0.7, TopP: 0.9}, // of 4,000
	} {
		b.Run(benchname.Of("draw", "engine", "of="+name), func(b *testing.B) {
			var s sampler
			for b.Loop() {
				p.Counter++
				s.draw(p, logits, nil)
			}
		})
		b.Run(benchname.Of("draw", "operator", "of="+name), func(b *testing.B) {
			var s op.SampleScratch
			for b.Loop() {
				p.Counter++
				p.DrawScratch(logits, &s, nil)
			}
		})
	}
}
