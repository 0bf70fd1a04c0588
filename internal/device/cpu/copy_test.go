package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// TestCopyImage transposes images of any bits by blocks and element by element.
func TestCopyImage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		shape := []int{1 + rng.IntN(3), 1 + rng.IntN(40), 1 + rng.IntN(12), 1 + rng.IntN(12)}
		n := shape[0] * shape[1] * shape[2] * shape[3]
		c, h, w := shape[1], shape[2], shape[3]
		layouts := [2][]int{{c * h * w, h * w, w, 1}, {c * h * w, 1, c * w, c}}
		from := rng.IntN(2)
		in := op.Array{DType: plan.I32, Shape: shape, Strides: layouts[from], Data: make([]byte, 4*n)}
		for i := range in.I32() {
			in.I32()[i] = int32(rng.Uint32())
		}
		out := op.Array{DType: plan.I32, Shape: shape, Strides: layouts[1-from], Data: make([]byte, 4*n+4)}
		out.I32()[n] = 42
		copyStrided(&out, &in, nil)
		for i := range n {
			p := [4]int{i / (c * h * w), i / (h * w) % c, i / w % h, i % w}
			a, b := 0, 0
			for d := range p {
				a += p[d] * in.Strides[d]
				b += p[d] * out.Strides[d]
			}
			require.Equal(t, in.I32()[a], out.I32()[b], fmt.Sprint(shape, p))
		}
		require.EqualValues(t, 42, out.I32()[n])
	}
}
