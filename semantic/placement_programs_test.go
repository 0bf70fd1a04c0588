package semantic

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weightMaker makes weights of any size over the same memory, which nothing reads.
type weightMaker struct {
	g    *lazy.Graph
	data []byte
	n    int
}

func (w *weightMaker) weight(shape ...int) *lazy.Tensor {
	size := 4
	for _, d := range shape {
		size *= d
	}
	if size > len(w.data) {
		w.data = make([]byte, size)
	}
	w.n++
	name := fmt.Sprint("w", w.n)
	return w.g.AddWeight(transport.Weight{Name: name, Storage: plan.F32, Shape: shape, Data: w.data[:size], Hash: plan.HashEncoded([]byte(name))})
}

// decoder is a language model with the sizes of GPT-2's.
func decoder(t testing.TB, layers, hidden, heads, vocab int) *SRG {
	t.Helper()
	g := lazy.NewGraph(fmt.Sprintf("decoder of %d layers", layers))
	w := &weightMaker{g: g}
	ids := g.Input("ids", lazy.I32, "batch", "seq")
	table := w.weight(vocab, hidden)
	x := lazy.Embedding(table, ids)
	split := func(x *lazy.Tensor) *lazy.Tensor {
		return lazy.Transpose(lazy.Reshape(x, lazy.Dim("batch"), lazy.Dim("seq"), heads, hidden/heads), 0, 2, 1, 3)
	}
	for i := range layers {
		h := lazy.LayerNorm(x, w.weight(hidden), w.weight(hidden), 1e-5)
		cached := func(name string) *lazy.Tensor {
			past := g.Input(fmt.Sprint(name, i), lazy.F32, "batch", heads, "past", hidden/heads)
			all := lazy.Concat(2, past, split(lazy.Linear(h, w.weight(hidden, hidden), w.weight(hidden))))
			g.Carry(past, all)
			return all
		}
		q := split(lazy.Linear(h, w.weight(hidden, hidden), w.weight(hidden)))
		k, v := cached("k"), cached("v")
		a := lazy.MatMul(lazy.Softmax(lazy.CausalMask(lazy.Scale(lazy.MatMul(q, k, lazy.TransB), .125), nil), -1), v)
		a = lazy.Reshape(lazy.Transpose(a, 0, 2, 1, 3), lazy.Dim("batch"), lazy.Dim("seq"), hidden)
		x = lazy.Add(x, lazy.Linear(a, w.weight(hidden, hidden), w.weight(hidden)))
		h = lazy.LayerNorm(x, w.weight(hidden), w.weight(hidden), 1e-5)
		h = lazy.GELUTanh(lazy.Linear(h, w.weight(hidden, 4*hidden), w.weight(4*hidden)))
		x = lazy.Add(x, lazy.Linear(h, w.weight(4*hidden, hidden), w.weight(hidden)))
	}
	x = lazy.LayerNorm(x, w.weight(hidden), w.weight(hidden), 1e-5)
	g.Output("next", lazy.ArgMax(lazy.Reshape(lazy.MatMul(lazy.Last(x, 1), table, lazy.TransB), lazy.Dim("batch"), vocab), -1))
	return analysed(t, g)
}

// towers is a model of two branches of layers, of images and of text, and their
// scores.
func towers(t testing.TB, layers, hidden int) *SRG {
	t.Helper()
	g := lazy.NewGraph("towers")
	w := &weightMaker{g: g}
	tower := func(x *lazy.Tensor) *lazy.Tensor {
		for range layers {
			x = lazy.ReLU(lazy.Linear(x, w.weight(hidden, hidden), w.weight(hidden)))
		}
		return lazy.MatMul(x, w.weight(hidden, hidden))
	}
	image := lazy.ReLU(g.Input("image", lazy.F32, "images", hidden))
	text := lazy.Mean(lazy.Embedding(w.weight(500, hidden), g.Input("ids", lazy.I32, "texts", 8)), 1)
	g.Output("scores", lazy.MatMul(tower(image), tower(lazy.Reshape(text, lazy.Dim("texts"), hidden)), lazy.TransB))
	return analysed(t, g)
}

func analysed(t testing.TB, g *lazy.Graph) *SRG {
	t.Helper()
	require.NoError(t, g.Err())
	s, err := Analyze(g)
	require.NoError(t, err)
	return s
}

var (
	decodeSizes  = plan.Bindings{"batch": 1, "seq": 1, "past": 72}
	prefillSizes = plan.Bindings{"batch": 1, "seq": 72, "past": 0}
)

// fast and slow are links that are no bound, and that are.
var (
	fast = Link{Rate: 1e9, Delay: 50 * time.Microsecond, Direct: true}
	slow = Link{Rate: 1e3, Delay: 50 * time.Millisecond, Direct: true}
)

func clusterOf(n int, l Link) *Cluster { return UniformCluster(n, ReferenceDevice(), l) }

// requestFor is a request for a placed plan.
func requestFor(t testing.TB, s *SRG, c *Cluster, p Placement, sizes plan.Bindings) Request {
	t.Helper()
	profile, err := s.ProfileOf(sizes)
	require.NoError(t, err)
	return Request{Profile: profile, Cluster: c, Placement: p, Sizes: sizes}
}

// inputFor is what a placement is given for a request.
func inputFor(t testing.TB, s *SRG, c *Cluster, sizes plan.Bindings) PlaceInput {
	t.Helper()
	var in PlaceInput
	_, err := Full().Schedule(s, requestFor(t, s, c, placeFunc(func(x PlaceInput) (Placed, error) {
		in = x
		return x.Placed(everywhere(&x, 0), nil), nil
	}), sizes))
	require.NoError(t, err)
	return in
}

// placeFunc is a placement of a third party.
type placeFunc func(PlaceInput) (Placed, error)

func (placeFunc) Name() string { return "function" }

func (f placeFunc) Place(in PlaceInput) (Placed, error) { return f(in) }
