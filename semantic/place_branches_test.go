package semantic

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// TestBranchesWhereItPays: the towers run on two devices where the prediction for
// that is shorter, which depends on the link and on the sizes.
func TestBranchesWhereItPays(t *testing.T) {
	s := towers(t, 6, 512)
	require.Len(t, s.Branches, 2)
	placed := func(l Link, images int) *Placed {
		r := requestFor(t, s, clusterOf(2, l), PlaceBranches(), plan.Bindings{"images": images, "texts": 64})
		sch, err := Full().Schedule(s, r)
		require.NoError(t, err)
		return sch.Placed
	}
	used := func(p *Placed) int {
		n := 0
		for i := range p.Predicted.Devices {
			n += min(p.Predicted.Devices[i].Steps, 1)
		}
		return n
	}
	near := placed(fast, 64)
	require.Equal(t, 2, used(near))
	require.Contains(t, near.Why[0]+near.Why[1], "branch 1")
	require.Equal(t, 1, used(placed(slow, 64)), "the link costs more than a tower")
	require.Equal(t, 1, used(placed(Link{Rate: 1e9, Delay: 2 * time.Millisecond, Direct: true}, 1)), "one image is faster than the link")

	// The choice is the prediction's at every rate: it is never slower than either
	// of the two ways, and it changes once.
	changes, last := 0, 1
	for exp := 3.0; exp <= 10; exp += 0.25 {
		l := Link{Rate: math.Pow(10, exp), Delay: 10 * time.Microsecond, Direct: true}
		p := placed(l, 64)
		one, err := Full().Schedule(s, requestFor(t, s, clusterOf(2, l), PlaceSingle(), plan.Bindings{"images": 64, "texts": 64}))
		require.NoError(t, err)
		require.LessOrEqual(t, p.Predicted.Seconds, one.Placed.Predicted.Seconds*(1+1e-12))
		if n := used(p); n != last {
			changes, last = changes+1, n
		}
	}
	require.Equal(t, 1, changes)
	require.Equal(t, 2, last)
}

// TestManyBranches has more branches than are tried in all ways.
func TestManyBranches(t *testing.T) {
	g := lazy.NewGraph("many towers")
	w := &weightMaker{g: g}
	const hidden = 512
	var tops []*lazy.Tensor
	for i := range 12 {
		x := g.Input(fmt.Sprint("x", i), lazy.F32, "rows", hidden)
		for range 2 {
			x = lazy.ReLU(lazy.Linear(x, w.weight(hidden, hidden), w.weight(hidden)))
		}
		tops = append(tops, lazy.MatMul(x, w.weight(hidden, hidden)))
	}
	g.Output("y", lazy.ReLU(lazy.Concat(1, tops...)))
	s := analysed(t, g)
	require.Len(t, s.Branches, 12)
	in := inputFor(t, s, clusterOf(3, Link{Rate: 1e10, Delay: time.Microsecond, Direct: true}), plan.Bindings{"rows": 64})
	work := 0
	in.work = &work
	placed, err := PlaceBranches().Place(in)
	require.NoError(t, err)
	require.NoError(t, in.accept(&placed))
	require.Less(t, work, 2000)
	require.Less(t, placed.Predicted.Seconds, 0.5*in.Predict(everywhere(&in, 0)).Seconds)
}

// TestPredictOfParts checks the simulation against numbers made by hand: two
// units in a row on two devices.
func TestPredictOfParts(t *testing.T) {
	p := &plan.Plan{
		Values: []plan.Value{{Kind: plan.KindInput}, {Kind: plan.KindTemp}, {Kind: plan.KindTemp}},
		Steps:  []plan.Step{{In: []int{0}, Out: 1}, {In: []int{1}, Out: 2}},
		Inputs: []plan.Port{{Value: 0}}, Outputs: []plan.Output{{Value: 2, Place: plan.Download}},
	}
	in := PlaceInput{
		Plan: p, Cluster: clusterOf(2, Link{Rate: 100, Delay: time.Second, Direct: true}),
		bytes: []float64{200, 300, 400}, maker: []int{-1, 0, 1},
		Units: []Unit{
			{Steps: []int{0}, Seconds: []float64{5, 6}, Inputs: []int{0}, Scratch: 300},
			{Steps: []int{1}, Seconds: []float64{7, 8}, Reads: []int{1}, Outputs: []int{2}, Scratch: 400},
		},
	}
	got := in.Predict([]int{0, 0})
	require.InDelta(t, 3+5+7+5, got.Seconds, 1e-9) // input, units, output
	require.InDelta(t, 12, got.Interval, 1e-9)
	require.Equal(t, int64(400+200+400), got.Devices[0].Scratch)
	got = in.Predict([]int{0, 1})
	require.InDelta(t, 3+5+4+8+5, got.Seconds, 1e-9)
	require.InDelta(t, 8, got.Interval, 1e-9)
	require.Equal(t, []PlacedEdge{
		{Value: 0, From: ClientDevice, To: 0, Bytes: 200, Seconds: 3},
		{Value: 1, From: 0, To: 1, Bytes: 300, Seconds: 4, Direct: true},
		{Value: 2, From: 1, To: ClientDevice, Bytes: 400, Seconds: 5},
	}, got.Edges)
	in.Cluster.Links = nil // through the client, over two links
	got = in.Predict([]int{0, 1})
	require.InDelta(t, 3+5+4+4+8+5, got.Seconds, 1e-9)
	require.InDelta(t, 8, got.Edges[1].Seconds, 1e-9)
	require.False(t, got.Edges[1].Direct)
	require.InDelta(t, 8, in.Cluster.Between(0, 1).Seconds(300), 1e-9)
}
