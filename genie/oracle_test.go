package genie_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestOracle runs random programs on the engine, under the policy that rewrites
// nothing, under the one that rewrites most and under one that puts an operator behind
// each, and compares with Gorgonia's
// TapeMachine on the instantiated graph.
func TestOracle(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("GENIE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	n := 150
	if testing.Short() {
		n = 20
	}
	clients := []*genie.Client{}
	for _, p := range []semantic.Policy{semantic.Blind(), semantic.Full(), everywhere()} {
		c, err := genie.Open(context.Background(), "local:", genie.WithPolicy(p))
		require.NoError(t, err)
		defer c.Close()
		clients = append(clients, c)
	}
	for i := range n {
		r := &randomProgram{rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		r.build()
		for range 2 { // two sets of sizes on one plan
			r.check(t, clients, fmt.Sprintf("GENIE_SEED=%d program %d", seed, i))
		}
	}
}

// randomProgram is a graph of random operators over inputs with symbolic
// dimensions, and a few outputs, some of them slices.
type randomProgram struct {
	rng     *rand.Rand
	g       *lazy.Graph
	nodes   []*lazy.Tensor // f32
	outputs []*lazy.Tensor
}

func (r *randomProgram) data(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.rng.NormFloat64())
	}
	return out
}

func (r *randomProgram) pick() *lazy.Tensor { return r.nodes[r.rng.IntN(len(r.nodes))] }

func (r *randomProgram) build() {
	r.g = lazy.NewGraph("random")
	r.nodes = []*lazy.Tensor{
		r.g.Input("x", lazy.F32, "a", "b", 6),
		r.g.Input("y", lazy.F32, "a", "b", 6),
		r.g.WeightF32("w", r.data(36), 6, 6),
		lazy.Embedding(r.g.WeightF32("table", r.data(30), 5, 6), r.g.Input("idx", lazy.I32, "a", "b")),
	}
	for len(r.nodes) < 25 {
		if n := r.op(); len(n.Shape()) > 0 && len(n.Shape()) < 6 {
			r.nodes = append(r.nodes, n)
		}
	}
	for len(r.outputs) < 3 {
		o := r.pick()
		if last := o.Dim(1); r.rng.IntN(2) == 0 && len(o.Shape()) > 1 {
			if s := lazy.Slice(o, 1, last.Sub(plan.C(1)), last); s.Err() == nil {
				o = s
			}
		}
		r.outputs = append(r.outputs, o)
	}
}

func (r *randomProgram) op() *lazy.Tensor {
	x := r.pick()
	rank := len(x.Shape())
	switch r.rng.IntN(14) {
	case 0:
		return lazy.Add(x, r.alike(x))
	case 1:
		return lazy.Mul(x, r.alike(x))
	case 2:
		return lazy.Sub(x, r.alike(x))
	case 3:
		return lazy.GELUTanh(x)
	case 4:
		return lazy.Tanh(x)
	case 5:
		return lazy.Softmax(x, r.rng.IntN(rank))
	case 6:
		perm := r.rng.Perm(rank)
		return lazy.Transpose(x, perm...)
	case 7:
		axis := r.rng.IntN(rank)
		return lazy.Concat(axis, x, x)
	case 8:
		if n, ok := x.Dim(-1).Const(); ok && n == 6 && rank >= 2 {
			return lazy.MatMul(x, r.nodes[2])
		}
		return lazy.ReLU(x)
	case 9:
		if rank >= 2 {
			return lazy.MatMul(x, x, lazy.TransB)
		}
		return lazy.ReLU(x)
	case 10:
		axis := r.rng.IntN(rank)
		return lazy.Slice(x, axis, plan.C(0), x.Dim(axis))
	case 11:
		if n, ok := x.Dim(-1).Const(); ok && n%2 == 0 {
			dims := make([]any, 0, rank+1)
			for _, d := range x.Shape()[:rank-1] {
				dims = append(dims, d)
			}
			return lazy.Reshape(x, append(dims, 2, n/2)...)
		}
		return lazy.Identity(x)
	case 12:
		return lazy.Mean(x, r.rng.IntN(rank))
	default:
		if n, ok := x.Dim(-1).Const(); ok && n >= 2 {
			return lazy.SliceN(x, -1, 1, n)
		}
		return lazy.Scale(x, .5)
	}
}

// alike is a node of the same shape, x itself if there is no other.
func (r *randomProgram) alike(x *lazy.Tensor) *lazy.Tensor {
	for range 10 {
		if y := r.pick(); y.Shape().Equal(x.Shape()) {
			return y
		}
	}
	return x
}

func (r *randomProgram) check(t *testing.T, clients []*genie.Client, who string) {
	t.Helper()
	require.NoError(t, r.g.Err(), who)
	a, b := 1+r.rng.IntN(3), 1+r.rng.IntN(4)
	idx := make([]int32, a*b)
	for i := range idx {
		idx[i] = int32(r.rng.IntN(5))
	}
	feed := genie.Feed{
		"x": genie.Float32s(r.data(a*b*6), a, b, 6), "y": genie.Float32s(r.data(a*b*6), a, b, 6), "idx": genie.Int32s(idx, a, b),
	}
	ctx := context.Background()
	inst, err := lazygorgonia.Instantiate(r.g, plan.Bindings{"a": a, "b": b})
	require.NoError(t, err, who)
	for _, in := range r.g.Inputs() {
		x, err := feed[in.Name()].Tensor(ctx)
		require.NoError(t, err)
		require.NoError(t, inst.Feed(in, x), who)
	}
	vm := gorgonia.NewTapeMachine(inst.ExprGraph)
	require.NoError(t, vm.RunAll(), who)
	defer vm.Close()
	for _, c := range clients {
		s, err := c.NewSession(ctx)
		require.NoError(t, err)
		out, err := s.Run(ctx, feed, r.outputs...)
		require.NoError(t, err, who)
		for i, o := range r.outputs {
			want, err := inst.Value(o)
			require.NoError(t, err, who)
			got, err := out[i].Tensor(ctx)
			require.NoError(t, err)
			require.Equal(t, want.Shape, got.Shape, "%s output %v", who, o)
			requireNear(t, want, got, fmt.Sprintf("%s output %v", who, o))
		}
		require.NoError(t, s.Close())
	}
}

// requireNear allows 1e-4 of the largest magnitude.
func requireNear(t *testing.T, want, got transport.Tensor, who string) {
	t.Helper()
	hi := 1.0
	at := func(b []byte, i int) float64 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	for i := range want.Elements() {
		if v := math.Abs(at(want.Data, i)); !math.IsInf(v, 0) {
			hi = max(hi, v)
		}
	}
	for i := range want.Elements() {
		w, g := at(want.Data, i), at(got.Data, i)
		if math.Abs(w-g) > 1e-4*hi || math.IsNaN(w) != math.IsNaN(g) {
			require.InDelta(t, w, g, 1e-4*hi, "%s element %d", who, i)
		}
	}
}
