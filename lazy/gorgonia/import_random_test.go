package gorgonia_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/genie"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
)

// randomGraph composes operators at random on an input [batch, 6] or
// [batch, 2, 6, 6]. The choices depend on the seed alone, so that one seed gives
// one program for every batch; weights depend on their names.
type randomGraph struct {
	*graphBuilder

	choose *rand.Rand
	batch  int
	nodes  gorgonia.Nodes
	n      int
}

func newRandomGraph(seed uint64, batch int) *randomGraph {
	r := &randomGraph{graphBuilder: newGraphBuilder(), choose: rand.New(rand.NewPCG(seed, 1)), batch: batch}
	shape := []int{batch, 6}
	if r.choose.IntN(2) == 0 {
		shape = []int{batch, 2, 6, 6}
	}
	r.nodes = gorgonia.Nodes{r.in("x", shape...)}
	for range 10 {
		if y, err := r.step(r.nodes[r.choose.IntN(len(r.nodes))]); err == nil && y != nil {
			r.nodes = append(r.nodes, y)
		}
	}
	return r
}

// weight has values that depend on its number alone.
func (r *randomGraph) weight(shape ...int) *gorgonia.Node {
	r.n++
	r.rng = rand.New(rand.NewPCG(uint64(r.n), 2))
	return r.w(fmt.Sprintf("w%d", r.n), shape...)
}

var errUnsuited = errors.New("the operator does not suit the shape")

// step applies an operator. Gorgonia refuses some, and panics for others.
func (r *randomGraph) step(x *gorgonia.Node) (y *gorgonia.Node, err error) {
	kind, a, c := r.choose.IntN(16), r.choose.IntN(4), r.choose.IntN(1000)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errUnsuited, p)
		}
	}()
	s := x.Shape()
	if len(s) == 0 {
		return nil, errUnsuited
	}
	ones := make([]int, len(s))
	var along []byte
	for i := range s {
		if ones[i] = 1; i == a {
			ones[i] = s[i]
		} else {
			along = append(along, byte(i))
		}
	}
	vector := func() *gorgonia.Node { // of the size of an axis, which is not the batch
		if a == 0 || a >= len(s) || s[0] != r.batch {
			panic(errUnsuited)
		}
		return r.weight(ones...)
	}
	switch kind {
	case 0:
		return []unaryFunc{gorgonia.Tanh, gorgonia.Sigmoid, gorgonia.Rectify, gorgonia.Neg}[a](x)
	case 1:
		return []unaryFunc{gorgonia.Abs, gorgonia.Square, gorgonia.Cube, gorgonia.Expm1}[a](must(gorgonia.Tanh(x))) // all continuous
	case 2:
		return []binaryFunc{gorgonia.Add, gorgonia.Sub, gorgonia.HadamardProd, gorgonia.MaxBetween}[a](x, must(gorgonia.Tanh(x)))
	case 3:
		return gorgonia.BroadcastAdd(x, vector(), nil, along)
	case 4:
		return gorgonia.BroadcastHadamardProd(x, vector(), nil, along)
	case 5:
		return gorgonia.BroadcastSub(vector(), x, along, nil)
	case 6:
		return gorgonia.Transpose(x, r.choose.Perm(len(s))...)
	case 7:
		return gorgonia.SoftMax(must(gorgonia.Tanh(x)), a%len(s))
	case 8:
		if axis := c % len(s); axis >= 2 && axis < len(s)-1 { // Gorgonia is wrong there, see importTraps
			return nil, errUnsuited
		}
		return []func(*gorgonia.Node, ...int) (*gorgonia.Node, error){gorgonia.Sum, gorgonia.Mean, gorgonia.Max, gorgonia.Mean}[a](x, c%len(s))
	case 9:
		return gorgonia.Concat(a%len(s), x, must(gorgonia.Neg(x)))
	case 10:
		return gorgonia.LeakyRelu(x, 0.1)
	case 11:
		if len(s) != 2 || s[1] == r.batch {
			return nil, errUnsuited
		}
		return gorgonia.Mul(x, r.weight(s[1], 1+c%5))
	case 12:
		return gorgonia.Reshape(x, tensor.Shape{s[0], s.TotalSize() / s[0]})
	case 13:
		if len(s) < 2 || s[1] < 3 || s[1] == r.batch || s[0] != r.batch {
			return nil, errUnsuited
		}
		return gorgonia.Slice(x, nil, gorgonia.S(1, 3))
	case 14:
		k := 1 + c%3
		if len(s) != 4 || s[2] < k || s[3] < k { // Gorgonia accepts a window larger than the image
			return nil, errUnsuited
		}
		return gorgonia.Conv2d(x, r.weight(1+a, s[1], k, k), tensor.Shape{k, k}, []int{c % 2, 1}, []int{1, 1 + c%2}, []int{1, 1})
	}
	return gorgonia.MaxPool2D(x, tensor.Shape{2, 2}, [][]int{{0, 0}, {1, 1}, {0, 1, 0, 1}, {1, 0, 1, 0}}[a], []int{1 + c%2, 1})
}

// operators are the operators of the program, in order.
func (r *randomGraph) operators() string {
	var out []string
	for _, n := range r.nodes {
		out = append(out, fmt.Sprintf("%T", n.Op()))
	}
	return fmt.Sprint(out)
}

// interpret computes a node with Gorgonia's operators, each on copies of its
// operands and in new memory: without the machine's faults about memory.
func interpret(t *testing.T, n *gorgonia.Node, known map[*gorgonia.Node]gorgonia.Value, operands func(*gorgonia.Node) []*gorgonia.Node) gorgonia.Value {
	t.Helper()
	if v, ok := known[n]; ok {
		return v
	}
	v := n.Value()
	if kids := operands(n); len(kids) > 0 {
		in := make([]gorgonia.Value, len(kids))
		for i, k := range kids {
			var err error
			in[i], err = gorgonia.CloneValue(interpret(t, k, known, operands))
			require.NoError(t, err)
		}
		var err error
		v, err = n.Op().Do(in...)
		require.NoError(t, err)
	}
	known[n] = v
	return v
}

// TestImportRandom imports random programs with a named batch of 7 and runs them
// for other batches. GENIE_SEED repeats a failure.
func TestImportRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("GENIE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	count := 200
	if testing.Short() {
		count = 20
	}
	s := session(t, "local:")
	named := 0
	for i := range uint64(count) {
		id := fmt.Sprintf("GENIE_SEED=%d program %d", seed, i)
		r := newRandomGraph(seed+i, 7)
		dims := []any{"batch"}
		for _, d := range r.inputs[0].Shape()[1:] {
			dims = append(dims, d)
		}
		y := r.nodes[len(r.nodes)-1]
		p, err := lazygorgonia.Import(r.g, gorgonia.Nodes{y}, lazygorgonia.WithInput(r.inputs[0], "", dims...))
		batches := []int{7, 23}
		if err != nil { // the batch came to where it cannot be named
			require.ErrorIs(t, err, lazygorgonia.ErrNotImported, id)
			p, batches = r.imported(t, gorgonia.Nodes{y}), batches[:1]
		} else {
			named++
		}
		for _, batch := range batches {
			other := newRandomGraph(seed+i, batch)
			if other.operators() != r.operators() { // another axis has that size by chance
				continue
			}
			want := machineNumbers(t, interpret(t, other.nodes[len(r.nodes)-1], map[*gorgonia.Node]gorgonia.Value{}, lazygorgonia.Children))
			got, err := s.Run(t.Context(), genie.Feed{"x": other.feed["x"]}, p.Outputs()[0].Tensor)
			require.NoError(t, err, id)
			requireNear(t, want, numbers(t, got[0]), fmt.Sprintf("%s batch %d", id, batch))
		}
	}
	require.Greater(t, named, count/2, "too few programs have a named batch")
}
