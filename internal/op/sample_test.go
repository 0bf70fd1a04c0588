package op

import (
	"cmp"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/transport/plan"
)

// naiveProbs is what temperature, top-k and top-p leave of the softmax,
// computed by the definition in float64.
func naiveProbs(p SampleParams, logits []float32) []float64 {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	if p.TopK > 0 && p.TopK < len(order) {
		order = order[:p.TopK]
	}
	w := make([]float64, len(logits))
	sum := 0.0
	for _, i := range order {
		w[i] = math.Exp((float64(logits[i]) - float64(logits[order[0]])) / float64(p.Temperature))
		sum += w[i]
	}
	out := make([]float64, len(logits))
	kept := 0.0
	for _, i := range order {
		out[i] = w[i]
		kept += w[i]
		if p.TopP < 1 && kept >= float64(p.TopP)*sum {
			break
		}
	}
	for i := range out {
		out[i] /= kept
	}
	return out
}

func randomLogits(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64() * 3)
	}
	return v
}

// TestSampleDistribution draws 20,000 tokens for each setting and compares
// the counts with the naive probabilities by the chi-square statistic.
func TestSampleDistribution(t *testing.T) {
	logits := randomLogits(rand.New(rand.NewPCG(1, 2)), 24)
	logits[7] = logits[3] // a tie
	for _, p := range []SampleParams{
		{Temperature: 1, TopP: 1},
		{Temperature: 0.7, TopP: 1},
		{Temperature: 3, TopP: 1, TopK: 5},
		{Temperature: 1.5, TopP: 0.8},
		{Temperature: 2, TopP: 0.6, TopK: 12},
		{Temperature: 1, TopP: 0.01},
		{Temperature: 1, TopP: 1, TopK: 1},
		{Temperature: 1, TopP: 1, TopK: 1000},
	} {
		const draws = 20000
		want := naiveProbs(p, logits)
		got := make([]int, len(logits))
		for i := range draws {
			p.Seed, p.Counter = 42, int64(i)
			got[p.Draw(logits)]++
		}
		chi, df := 0.0, -1.0
		for i, w := range want {
			if w == 0 {
				require.Zero(t, got[i], "%+v drew %d, which is cut off", p, i)
				continue
			}
			d := float64(got[i]) - w*draws
			chi += d * d / (w * draws)
			df++
		}
		// Five standard deviations of the chi-square distribution.
		require.LessOrEqual(t, chi, df+5*math.Sqrt(2*max(df, 1)), "%+v: counts %v", p, got)
	}
}

// golden is what seed 1 draws in TestSampleDeterministic.
var golden = []int{25, 30, 25, 24, 25, 24, 18, 25, 25, 25, 18, 0}

func TestSampleDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const b, v = 5, 37
	in := []*Array{
		FromF32(randomLogits(rng, b*v), b, v), NewArray(plan.F32, b), NewArray(plan.F32, b),
		NewArray(plan.I32, b), NewArray(plan.I64, b), NewArray(plan.I64, b),
	}
	for i := range b {
		in[1].F32()[i], in[2].F32()[i] = float32(i)*0.5, 1-0.1*float32(i)
		in[3].I32()[i], in[4].I64()[i], in[5].I64()[i] = int32(7*i), int64(-i), int64(i*i)
	}
	out := NewArray(plan.I32, b)
	require.NoError(t, Sample{}.Eval(out, in, nil))
	for i := range b {
		one := make([]*Array, len(in))
		for j, a := range in {
			one[j] = &Array{DType: a.DType, Shape: slices.Clone(a.Shape), Strides: a.Strides, Data: a.Data[i*a.Strides[0]*a.DType.Size():]}
			one[j].Shape[0] = 1
		}
		alone := NewArray(plan.I32, 1)
		require.NoError(t, Sample{}.Eval(alone, one, nil))
		require.Equal(t, out.I32()[i], alone.I32()[0], "row %d differs alone", i)
	}
	// The draws never change: a change here changes users' generations.
	p := SampleParams{Temperature: 1, TopP: 0.95, TopK: 20, Seed: 1}
	var got []int
	for i := range 12 {
		p.Counter = int64(i)
		got = append(got, p.Draw(in[0].F32()[:v]))
	}
	require.Equal(t, golden, got)
}

func TestSampleEdges(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	warm := SampleParams{Temperature: 1, TopP: 1}
	for _, c := range []struct {
		name   string
		p      SampleParams
		logits []float32
		want   []int
	}{
		{"greedy takes the first largest", SampleParams{TopP: 1}, []float32{1, 3, 3, 2}, []int{1}},
		{"negative temperature is greedy", SampleParams{Temperature: -1, TopP: 1}, []float32{1, 3}, []int{1}},
		{"NaN temperature is greedy", SampleParams{Temperature: nan, TopP: 1}, []float32{1, 3}, []int{1}},
		{"tiny temperature", SampleParams{Temperature: 1e-45, TopP: 1}, []float32{1, 1.5, 1}, []int{1}},
		{"NaN is never drawn", warm, []float32{nan, 0, nan}, []int{1}},
		{"all NaN", warm, []float32{nan, nan}, []int{0}},
		{"+Inf wins", warm, []float32{3, inf, inf}, []int{1}},
		{"-Inf is never drawn", warm, []float32{-inf, 0, -inf}, []int{1}},
		{"-Inf at infinite temperature", SampleParams{Temperature: inf, TopP: 1}, []float32{-inf, 0, -inf, 1}, []int{1, 3}},
		{"all -Inf", warm, []float32{-inf, -inf}, []int{0}},
		{"top-p zero", SampleParams{Temperature: 1}, []float32{1, 2, 2}, []int{1}},
		{"top-k negative means all", SampleParams{Temperature: 1, TopP: 1, TopK: -1}, []float32{0, 0}, []int{0, 1}},
		{"ties are cut by index", SampleParams{Temperature: 1, TopP: 1, TopK: 2}, []float32{1, 1, 1}, []int{0, 1}},
		{"one token", warm, []float32{-5}, []int{0}},
		{"largest floats", warm, []float32{math.MaxFloat32, -math.MaxFloat32}, []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen []int
			for i := range 64 {
				c.p.Counter = int64(i)
				if d := c.p.Draw(c.logits); !slices.Contains(seen, d) {
					seen = append(seen, d)
				}
			}
			require.ElementsMatch(t, c.want, seen)
		})
	}
}

func TestUniform(t *testing.T) {
	var sum, sq float64
	const n = 100000
	for i := range n {
		u := Uniform(9, uint64(i))
		require.True(t, u >= 0 && u < 1)
		sum += u
		sq += u * u
	}
	require.InDelta(t, 0.5, sum/n, 0.005)
	require.InDelta(t, 1.0/12, sq/n-sum/n*sum/n, 0.002)
	require.NotEqual(t, Uniform(1, 0), Uniform(0, 1), "seed and counter are not the same thing")
}

// TestExpDet compares with Euler's series in 200 bits.
func TestExpDet(t *testing.T) {
	require.Equal(t, 1.0, expDet(0))
	require.Zero(t, expDet(-746))
	require.Zero(t, expDet(math.Inf(-1)))
	rng := rand.New(rand.NewPCG(7, 8))
	worst := 0.0
	for i := range 2000 {
		x := -rng.Float64() * math.Pow(10, float64(i%4)-1)
		if x < -700 {
			continue
		}
		want := new(big.Float).SetPrec(200).SetInt64(1)
		term := new(big.Float).SetPrec(200).SetInt64(1)
		h := new(big.Float).SetPrec(200).Quo(big.NewFloat(x), big.NewFloat(1<<10)) // exp(x) = exp(x/1024)^1024
		for n := int64(1); n < 30; n++ {
			term.Mul(term, h).Quo(term, new(big.Float).SetInt64(n))
			want.Add(want, term)
		}
		for range 10 {
			want.Mul(want, want)
		}
		rel, _ := new(big.Float).Quo(new(big.Float).Sub(big.NewFloat(expDet(x)), want), want).Float64()
		worst = max(worst, math.Abs(rel))
	}
	require.Less(t, worst, 1e-14)
}

func BenchmarkDraw(b *testing.B) {
	logits := randomLogits(rand.New(rand.NewPCG(1, 2)), 50257)
	for name, p := range map[string]SampleParams{
		"plain": {Temperature: 1, TopP: 1}, "topk": {Temperature: 1, TopP: 1, TopK: 50}, "topp": {Temperature: 1, TopP: 0.9},
	} {
		b.Run(benchname.Of("draw", "operator", "of="+name), func(b *testing.B) {
			b.ReportAllocs()
			var s SampleScratch
			for b.Loop() {
				p.Counter++
				p.DrawScratch(logits, &s, nil)
			}
		})
	}
}
