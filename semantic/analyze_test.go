package semantic

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// labelled captures a labelled graph. Tensors are found by name; the last one
// wins where a name repeats.
func labelled(t testing.TB, name string, sizes map[string]int) (*lazy.Graph, func(string) *lazy.Tensor) {
	t.Helper()
	p, err := loadGraphs(t)[name].build(sizes)
	require.NoError(t, err)
	c, err := p.capture(nil)
	require.NoError(t, err)
	return c.graph, func(name string) *lazy.Tensor {
		var found *lazy.Tensor
		for _, n := range p.nodes {
			if n.name == name {
				found = c.at[n]
			}
		}
		require.NotNil(t, found, name)
		return found
	}
}

func TestHintsOverride(t *testing.T) {
	g, at := labelled(t, "gpt2", map[string]int{"layers": 1})
	s, err := Analyze(g,
		HintResidency(at("h"), ExternalOutput),
		HintModality(at("ids"), ModalityAudio),
		HintPhase(at("f"), PhaseFusion),
		HintBranch(at("f"), 2),
		HintCache(at("vin"), false),
	)
	require.NoError(t, err)
	require.Equal(t, ExternalOutput, s.Nodes[at("h").ID()].Residency)
	require.Equal(t, ModalityAudio, s.Nodes[at("tok").ID()].Modality)
	require.Equal(t, ModalityAudio, s.Nodes[at("x").ID()].Modality, "positions are a side input of audio")
	require.Equal(t, PhaseFusion, s.PhaseOf(at("f"), Profile{PhaseDecode}))
	require.Equal(t, PhaseDecode, s.PhaseOf(at("p"), Profile{PhaseDecode}))
	require.Equal(t, 2, s.Nodes[at("f").ID()].Branch)
	require.Equal(t, []int{at("f").ID()}, s.Branches[1].Nodes)
	require.Len(t, s.Caches, 1)
	require.Equal(t, ExternalInput, s.Nodes[at("vin").ID()].Residency)
	require.Equal(t, StatefulKVCache, s.Nodes[at("kin").ID()].Residency)
}

func TestHintOfACacheThatNobodyReads(t *testing.T) {
	g, at := labelled(t, "trap-concat", nil)
	s, err := Analyze(g, HintCache(at("seen"), true))
	require.NoError(t, err)
	require.Len(t, s.Caches, 1)
	require.Equal(t, at("seenn"), s.Caches[0].Update)
	require.Equal(t, "seq", s.Caches[0].Query.String())

	_, err = Analyze(g, HintCache(at("front"), true))
	require.ErrorIs(t, err, lazy.ErrCapture, "rows in front")
	_, err = Analyze(g, HintCache(at("ids"), true))
	require.ErrorIs(t, err, lazy.ErrCapture, "not carried")
}

func TestHintKeepsTensorsAlive(t *testing.T) {
	g, at := labelled(t, "llama-decode", nil)
	s, err := Analyze(g)
	require.NoError(t, err)
	require.True(t, s.Nodes[at("vrep0").ID()].Dead)
	s, err = Analyze(g, HintResidency(at("vrep0"), ExternalOutput))
	require.NoError(t, err)
	require.False(t, s.Nodes[at("vrep0").ID()].Dead)
}

func TestAnalyzeErrors(t *testing.T) {
	_, err := Analyze(nil)
	require.ErrorIs(t, err, lazy.ErrCapture)

	wrong := lazy.NewGraph("wrong")
	lazy.MatMul(wrong.Input("x", lazy.F32, 2, 3), wrong.Input("y", lazy.F32, 2, 3))
	_, err = Analyze(wrong)
	require.ErrorIs(t, err, lazy.ErrShape)

	g, other := lazy.NewGraph("a"), lazy.NewGraph("b")
	x := g.Input("x", lazy.F32, 2)
	for name, h := range map[string]Hint{
		"another graph": HintPhase(other.Input("y", lazy.F32, 2), PhaseDecode),
		"nil":           HintPhase(nil, PhaseDecode),
		"zero":          {},
		"branch":        HintBranch(x, -1),
		"branches":      HintBranch(x, 1<<40),
	} {
		_, err = Analyze(g, h)
		require.ErrorIs(t, err, lazy.ErrCapture, name)
	}
	s, err := Analyze(g)
	require.NoError(t, err)
	require.Len(t, s.Nodes, 1)
}

// TestAudio distinguishes a convolution over frames from one over an image.
func TestAudio(t *testing.T) {
	g := lazy.NewGraph("audio")
	mel := g.Input("mel", lazy.F32, "batch", 80, 100)
	filter := g.WeightF32("w", make([]float32, 4*80*3), 4, 80, 1, 3)
	x := lazy.ReLU(lazy.Conv2D(lazy.Reshape(mel, "batch", 80, 1, 100), filter, nil, lazy.Conv{Pad: [2]int{0, 1}}))
	g.Output("x", x)
	s, err := Analyze(g)
	require.NoError(t, err)
	require.Equal(t, ModalityAudio, s.Nodes[x.ID()].Modality)
	p, err := s.ProfileOf(nil)
	require.NoError(t, err)
	require.Equal(t, PhaseForward, p.Phase)
}

// TestSplitAttention reads old and new rows through separate products and joins
// the scores.
func TestSplitAttention(t *testing.T) {
	g := lazy.NewGraph("split")
	row := func(name string) *lazy.Tensor { return g.Input(name, lazy.F32, "batch", "seq", 8) }
	q, k, v := row("q"), row("k"), row("v")
	kin, vin := g.Input("kin", lazy.F32, "batch", "past", 8), g.Input("vin", lazy.F32, "batch", "past", 8)
	g.Carry(kin, lazy.Concat(1, kin, k))
	g.Carry(vin, lazy.Concat(1, vin, v))
	probs := lazy.Softmax(lazy.Concat(2, lazy.MatMul(q, kin, lazy.TransB), lazy.MatMul(q, k, lazy.TransB)), -1)
	past, seq := lazy.Dim("past"), lazy.Dim("seq")
	old := lazy.MatMul(lazy.Slice(probs, 2, plan.C(0), past), vin)
	g.Output("y", lazy.Add(old, lazy.MatMul(lazy.Slice(probs, 2, past, past.Add(seq)), v)))
	s, err := Analyze(g)
	require.NoError(t, err)
	require.Len(t, s.Caches, 2)
	require.Equal(t, "seq", s.Caches[0].Query.String())
}

// TestFoldedGroups folds the query heads of a group into the rows of the
// product: one new row is still one query row.
func TestFoldedGroups(t *testing.T) {
	g := lazy.NewGraph("folded")
	q := g.Input("q", lazy.F32, "batch", 2, 3, "seq", 8)
	k, v := g.Input("k", lazy.F32, "batch", 2, "seq", 8), g.Input("v", lazy.F32, "batch", 2, "seq", 8)
	kin, vin := g.Input("kin", lazy.F32, "batch", 2, "past", 8), g.Input("vin", lazy.F32, "batch", 2, "past", 8)
	kc, vc := lazy.Concat(2, kin, k), lazy.Concat(2, vin, v)
	g.Carry(kin, kc)
	g.Carry(vin, vc)
	s0 := lazy.MatMul(lazy.Reshape(q, "batch", 2, lazy.Dim("seq").Scale(3), 8), kc, lazy.TransB)
	g.Output("y", lazy.MatMul(lazy.Softmax(s0, -1), vc))
	s, err := Analyze(g)
	require.NoError(t, err)
	p, err := s.ProfileOf(plan.Bindings{"batch": 2, "seq": 1, "past": 5})
	require.NoError(t, err)
	require.Equal(t, PhaseDecode, p.Phase)
}

func TestCosts(t *testing.T) {
	g := lazy.NewGraph("cost")
	ids := g.Input("ids", lazy.I32, "batch", "seq")
	table := g.AddWeight(transport.Weight{Name: "t", Storage: plan.BF16, Shape: []int{100, 16}, Data: make([]byte, 3200)})
	w := g.AddWeight(transport.Weight{Name: "w", Storage: plan.BF16, Shape: []int{16, 4}, Data: make([]byte, 128), Hash: plan.Hash{1}})
	x := lazy.Embedding(table, ids)
	y := lazy.MatMul(x, w)
	z := lazy.Transpose(y, 0, 2, 1)
	dead := lazy.ReLU(x)
	g.Output("z", z)
	s, err := Analyze(g)
	require.NoError(t, err)
	b := plan.Bindings{"batch": 2, "seq": 5}
	costs, err := s.Costs(b)
	require.NoError(t, err)
	require.Equal(t, Cost{0, 10*16*2 + 10*4, 10 * 16 * 4}, costs[x.ID()], "gathered rows and indices")
	require.Equal(t, Cost{2 * 10 * 16 * 4, 10*16*4 + 16*4*2, 10 * 4 * 4}, costs[y.ID()], "bf16 weights")
	require.Zero(t, costs[z.ID()], "a view")
	require.Zero(t, costs[dead.ID()])
	require.InDelta(t, 1280.0/(640+128+160), costs[y.ID()].Intensity(), 1e-12)
	require.Zero(t, costs[z.ID()].Intensity())
	total, err := s.TotalCost(b)
	require.NoError(t, err)
	require.Equal(t, costs[x.ID()].Add(costs[y.ID()]), total)
	_, err = s.Costs(nil)
	require.ErrorIs(t, err, plan.ErrInvalid)
}

// TestCacheUpdateCost counts only the new rows of a cache.
func TestCacheUpdateCost(t *testing.T) {
	g, at := labelled(t, "gpt2", map[string]int{"layers": 1})
	s, err := Analyze(g)
	require.NoError(t, err)
	costs, err := s.Costs(plan.Bindings{"batch": 2, "seq": 1, "past": 1000})
	require.NoError(t, err)
	require.Equal(t, Cost{0, 2 * 16 * 4, 2 * 16 * 4}, costs[at("k").ID()])
}

func TestEdges(t *testing.T) {
	g := lazy.NewGraph("edges")
	x := g.Input("x", lazy.F32, "n", 64)
	w := g.WeightF32("w", make([]float32, 64*64), 64, 64)
	long := lazy.MatMul(x, w)
	short := lazy.ReLU(x)
	y := lazy.Add(long, lazy.Identity(short))
	lazy.Tanh(y)
	g.Output("y", y)
	s, err := Analyze(g)
	require.NoError(t, err)
	d := Device{FLOPS: 1e9, Bandwidth: 1e9}
	edges, err := s.EdgesOn(d, plan.Bindings{"n": 128})
	require.NoError(t, err)
	at := map[[2]int]Edge{}
	for _, e := range edges {
		at[[2]int{e.From, e.To}] = e
	}
	require.Len(t, edges, 6, "two into the product, one each, two into the sum")
	e := at[[2]int{long.ID(), y.ID()}]
	require.True(t, e.Critical)
	require.Equal(t, 128*64*4.0, e.Bytes)
	require.InEpsilon(t, e.Bytes/(2*128*64*64/1e9), e.Rate, 1e-9, "the product is bound by arithmetic")
	require.InEpsilon(t, d.Bandwidth/3, e.Demand, 1e-9, "a sum reads two and writes one")
	require.False(t, at[[2]int{x.ID(), short.ID()}].Critical)
	require.InEpsilon(t, d.Bandwidth, at[[2]int{w.ID(), long.ID()}].Rate, 1e-9)
	through := y.In()[1]
	require.InEpsilon(t, d.Bandwidth/2, at[[2]int{through.ID(), y.ID()}].Rate, 1e-9, "a view comes as fast as what it shows")
	_, err = s.Edges(nil)
	require.ErrorIs(t, err, plan.ErrInvalid)
}

func TestAnalyzeIsNearLinear(t *testing.T) {
	work := func(layers int) float64 {
		g, _ := labelled(t, "gpt2", map[string]int{"layers": layers})
		return testing.AllocsPerRun(3, func() {
			if _, err := Analyze(g); err != nil {
				t.Error(err)
			}
		})
	}
	small, large := work(24), work(192)
	require.Less(t, large, 10*small, "eight times the layers")
}

func TestMain(m *testing.M) {
	benchname.Declare(os.Stdout, "nodes/op assume=exact")
	os.Exit(m.Run())
}

func BenchmarkAnalyze(b *testing.B) {
	for _, name := range []string{"gpt2", "encoder-decoder", "clip"} {
		g, _ := labelled(b, name, map[string]int{"layers": 48, "more": 47})
		b.Run(benchname.Of("analyze", "genie", "graph="+name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Analyze(g); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(g.Tensors())), "nodes/op")
		})
	}
}
