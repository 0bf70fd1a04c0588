package main

import (
	"math/rand/v2"

	"github.com/genie-sdk/go/lazy"
)

// The sizes of the network.
const (
	features = 12
	hidden   = 32
	classes  = 5
)

// network is a perceptron with one hidden layer.
type network struct {
	w1, b1, w2, b2 []float32 // [features, hidden], [hidden], [hidden, classes], [classes]
}

// newNetwork makes a network with random weights.
func newNetwork(seed uint64) *network {
	r := rand.New(rand.NewPCG(seed, 0))
	floats := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64()) / 3
		}
		return v
	}
	return &network{floats(features * hidden), floats(hidden), floats(hidden * classes), floats(classes)}
}

// capture writes the network down as a lazy program: nothing is computed. The
// batch stays open until a run binds it.
func (n *network) capture() (x, scores *lazy.Tensor, err error) {
	g := lazy.NewGraph("perceptron")
	x = g.Input("x", lazy.F32, "batch", features)
	h := lazy.ReLU(lazy.Linear(x, g.WeightF32("w1", n.w1, features, hidden), g.WeightF32("b1", n.b1, hidden)))
	scores = g.Output("scores", lazy.Linear(h, g.WeightF32("w2", n.w2, hidden, classes), g.WeightF32("b2", n.b2, classes)))
	return x, scores, g.Err()
}

// forward is the same network in plain Go, in float64.
func (n *network) forward(x []float32) []float64 {
	var out []float64
	for ; len(x) >= features; x = x[features:] {
		h := make([]float64, hidden)
		for j := range h {
			sum := float64(n.b1[j])
			for i := range features {
				sum += float64(x[i]) * float64(n.w1[i*hidden+j])
			}
			h[j] = max(sum, 0)
		}
		for k := range classes {
			sum := float64(n.b2[k])
			for j := range h {
				sum += h[j] * float64(n.w2[j*classes+k])
			}
			out = append(out, sum)
		}
	}
	return out
}
