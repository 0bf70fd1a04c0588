package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	cpukernels "github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// everyExact is a slack with which every draw adds as the reference does.
const everyExact = math.MaxUint64 / 2

// draws are logits with the parameters of each row.
type draws struct {
	logits *op.Array
	params []op.SampleParams
}

// run draws on the device.
func (d *draws) run(m *machine, slack uint64, counter plan.DType) []int32 {
	m.t.Helper()
	b, v := d.logits.Shape[0], d.logits.Shape[1]
	temperature, topP, topK := op.NewArray(plan.F32, b), op.NewArray(plan.F32, b), op.NewArray(plan.I32, b)
	seed, count := op.NewArray(plan.I64, b), op.NewArray(counter, b)
	for i, p := range d.params {
		temperature.F32()[i], topP.F32()[i], topK.I32()[i] = p.Temperature, p.TopP, int32(p.TopK)
		seed.I64()[i] = p.Seed
		count.SetInt(i, int(p.Counter))
	}
	a := &Sampling{
		Out: m.alloc(4 * b), Logits: m.upload(d.logits), Temperature: m.upload(temperature), TopP: m.upload(topP), TopK: m.upload(topK),
		Seed: m.upload(seed), Counter: m.upload(count), Scratch: m.alloc(SampleScratch(b, v)),
	}
	require.NoError(m.t, m.set.sample(m.st, a, slack))
	return m.ints(a.Out, b)
}

// reference draws by the operator's reference.
func (d *draws) reference() (tokens []int32) {
	v := d.logits.Shape[1]
	row := make([]float32, v)
	for i, p := range d.params {
		for j := range row {
			row[j] = d.logits.F32()[i*d.logits.Strides[0]+j*d.logits.Strides[1]]
		}
		tokens = append(tokens, int32(p.Draw(row)))
	}
	return tokens
}

// logits of several kinds.
var logitKinds = map[string]func(rng *rand.Rand, f []float32){
	"normal": func(rng *rand.Rand, f []float32) {
		for i := range f {
			f[i] = float32(3*rng.NormFloat64()) - 40
		}
	},
	"flat": func(rng *rand.Rand, f []float32) {
		for i := range f {
			f[i] = float32(rng.NormFloat64()) * 1e-3
		}
	},
	"equal": func(_ *rand.Rand, f []float32) {
		for i := range f {
			f[i] = 2
		}
	},
	"few values": func(rng *rand.Rand, f []float32) {
		for i := range f {
			f[i] = []float32{0, float32(math.Copysign(0, -1)), 1, -1}[rng.IntN(4)]
		}
	},
	"wide": func(rng *rand.Rand, f []float32) {
		for i := range f {
			f[i] = float32(rng.NormFloat64() * math.Exp(80*rng.Float64()))
		}
	},
	"odd": func(rng *rand.Rand, f []float32) {
		odd := []float32{float32(math.NaN()), float32(math.Inf(-1)), -math.MaxFloat32, 0, 1, 2}
		for i := range f {
			f[i] = odd[rng.IntN(6)]
		}
	},
	"infinite": func(rng *rand.Rand, f []float32) {
		odd := []float32{float32(math.NaN()), float32(math.Inf(1)), 0}
		for i := range f {
			f[i] = odd[rng.IntN(3)]
		}
	},
	"no candidate": func(rng *rand.Rand, f []float32) {
		for i := range f {
			f[i] = []float32{float32(math.NaN()), float32(math.Inf(-1))}[rng.IntN(2)]
		}
	},
	"highest": func(rng *rand.Rand, f []float32) {
		for i := range f {
			f[i] = []float32{math.MaxFloat32, -math.MaxFloat32}[rng.IntN(2)]
		}
	},
}

// sampleParams are parameters of all kinds.
func sampleParams(rng *rand.Rand, vocab int) op.SampleParams {
	pick := func(f ...float32) float32 { return f[rng.IntN(len(f))] }
	return op.SampleParams{
		Temperature: pick(0, -1, 1, 1, 0.7, 1.3, 1e-3, 1e-45, 1e30, float32(math.NaN()), float32(math.Inf(1))),
		TopP:        pick(1, 1, 0.9, 0.5, 0.25, 0.1, 0, -1, 1-1.0/(1<<24), 2, float32(math.NaN())),
		TopK:        []int{0, 0, 1, 2, 5, vocab / 2, vocab - 1, vocab, vocab + 1, -1}[rng.IntN(10)],
		Seed:        rng.Int64() - rng.Int64(), Counter: int64(int32(rng.Uint32())),
	}
}

// TestSample draws the tokens of the reference, whether sums are added by one
// thread or not.
func TestSample(t *testing.T) {
	m := newMachine(t)
	for kind, fill := range logitKinds {
		for i, vocab := range []int{1, 4, 77, 2500} {
			t.Run(fmt.Sprintf("%s/vocab=%d", kind, vocab), func(t *testing.T) {
				rng := newRand(uint64(vocab))
				const batch = 5
				d := draws{logits: strided(plan.F32, 3*(i%2), []int{0, 1}, batch, vocab)}
				fill(rng, d.logits.F32())
				for round := range 4 {
					if vocab > 100 && round > 0 {
						break
					}
					d.params = nil
					for range batch {
						d.params = append(d.params, sampleParams(rng, vocab))
					}
					want := d.reference()
					require.Equal(t, want, d.run(m, 0, plan.I32), "%v", d.params)
					require.Equal(t, want, d.run(m, everyExact, plan.I64), "%v", d.params)
				}
			})
		}
	}
}

// TestSampleRounding has sums whose rounding decides: 256 weights of 1 and 512 of
// a little more than a half, each of which loses that little when the reference
// adds it. So half of its sum is 256, and half of the exact sum is more.
func TestSampleRounding(t *testing.T) {
	m := newMachine(t)
	const low, temperature = -0.86134416, 1.242657
	weight := make([]float64, 1)
	cpukernels.DrawWeights(weight, []float32{low}, 0, temperature, nil)
	require.InDelta(t, 0.5, weight[0], 1e-14)
	require.Greater(t, weight[0], 0.5)
	require.Equal(t, 256.5, 256+weight[0])
	const batch = 12
	d := draws{logits: op.NewArray(plan.F32, batch, 768)}
	for i := range d.logits.F32() {
		if i%768 >= 256 {
			d.logits.F32()[i] = low
		}
	}
	for i := range batch {
		d.params = append(d.params, op.SampleParams{Temperature: temperature, TopP: 0.5, Seed: int64(i)})
	}
	require.Equal(t, d.reference(), d.run(m, 0, plan.I64))
}

// TestSampleVocabulary draws from a vocabulary of GPT-2's size, in columns.
func TestSampleVocabulary(t *testing.T) {
	m := newMachine(t)
	rng := newRand(5)
	const vocab = 50257
	d := draws{logits: op.NewArray(plan.F32, vocab, 3)}
	d.logits.Shape, d.logits.Strides = []int{3, vocab}, []int{1, 3}
	logitKinds["normal"](rng, d.logits.F32())
	d.params = []op.SampleParams{
		{Temperature: 1, TopP: 1, Seed: 3, Counter: 1},
		{Temperature: 0.8, TopP: 0.95, Seed: 4, Counter: 2},
		{Temperature: 1, TopP: 0.9, TopK: 50, Seed: 5, Counter: 3},
	}
	require.Equal(t, d.reference(), d.run(m, 0, plan.I64))
}

// TestSampleManyRows has more rows than blocks.
func TestSampleManyRows(t *testing.T) {
	m := newMachine(t)
	rng := newRand(6)
	const vocab = 1200
	d := draws{logits: normal(rng, op.NewArray(plan.F32, 70, vocab))}
	for i := range 70 {
		d.params = append(d.params, op.SampleParams{Temperature: float32(i % 3), TopP: 0.8, Seed: int64(i)})
	}
	require.Less(t, selectGrid(70, sampleRow(vocab)), 70)
	require.Equal(t, d.reference(), d.run(m, 0, plan.I64))
}

func TestSampleRefuses(t *testing.T) {
	m := newMachine(t)
	one := func(dt plan.DType) Tensor { return Tensor{256, dt, []int{2}, []int{1}} }
	good := Sampling{
		Out: 256, Logits: Tensor{256, plan.F32, []int{2, 3}, []int{3, 1}}, Temperature: one(plan.F32), TopP: one(plan.F32),
		TopK: one(plan.I32), Seed: one(plan.I64), Counter: one(plan.I32), Scratch: 256,
	}
	for name, spoil := range map[string]func(a *Sampling){
		"logits of integers": func(a *Sampling) { a.Logits.DType = plan.I32 },
		"a vector":           func(a *Sampling) { a.Logits = one(plan.F32) },
		"no tokens":          func(a *Sampling) { a.Logits.Shape = []int{2, 0} },
		"seeds of i32":       func(a *Sampling) { a.Seed.DType = plan.I32 },
		"another batch":      func(a *Sampling) { a.TopP.Shape = []int{3} },
		"no scratch memory":  func(a *Sampling) { a.Scratch = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			spoil(&a)
			require.Error(t, m.set.Sample(m.st, &a))
		})
	}
}

// axesOf are shapes with an order of axes in memory.
var axesOf = []struct{ shape, order []int }{
	{[]int{7}, []int{0}},
	{[]int{1, 3000}, []int{0, 1}},
	{[]int{5, 37}, []int{1, 0}},
	{[]int{3, 4, 65}, []int{0, 1, 2}},
	{[]int{3, 4, 65}, []int{2, 0, 1}},
	{[]int{2, 0, 3}, []int{0, 1, 2}},
}

func TestArgMax(t *testing.T) {
	m := newMachine(t)
	rng := newRand(7)
	for kind, fill := range logitKinds {
		for _, c := range axesOf {
			if len(c.shape) > 2 && kind != "odd" {
				continue
			}
			x := strided(plan.F32, 1, c.order, c.shape...)
			fill(rng, x.F32())
			for axis := -1; axis < len(c.shape)-1; axis++ {
				o := op.ArgMax{Axis: axis}
				n := c.shape[(axis+len(c.shape))%len(c.shape)]
				if x.Len() > 1000*n {
					continue
				}
				if n == 0 {
					require.ErrorIs(t, m.set.ArgMax(m.st, 256, m.upload(x), axis), op.ErrShape)
					continue
				}
				want := op.NewArray(plan.I32, x.Len()/n)
				require.NoError(t, o.Eval(want, []*op.Array{x}, nil))
				got := m.alloc(len(want.Data))
				require.NoError(t, m.set.ArgMax(m.st, got, m.upload(x), axis))
				require.Equal(t, want.I32(), m.ints(got, want.Len()), "%s %v %v axis %d", kind, c.shape, c.order, axis)
			}
		}
	}
}

func TestTopK(t *testing.T) {
	m := newMachine(t)
	rng := newRand(8)
	for kind, fill := range logitKinds {
		for _, c := range axesOf {
			x := strided(plan.F32, 1, c.order, c.shape...)
			fill(rng, x.F32())
			n := c.shape[len(c.shape)-1]
			for _, k := range []int{1, 3, n/2 + 1, n} {
				o := op.TopK{K: k, Indices: rng.IntN(2) == 0}
				rows := x.Len() / n
				want := op.NewArray(plan.F32, rows*k)
				want.DType = map[bool]plan.DType{false: plan.F32, true: plan.I32}[o.Indices]
				require.NoError(t, o.Eval(want, []*op.Array{x}, nil))
				got := m.alloc(len(want.Data))
				require.NoError(t, m.set.TopK(m.st, o, got, m.upload(x), m.alloc(TopKScratch(rows, k))))
				require.Equal(t, want.I32(), m.ints(got, want.Len()), "%s %v %v %+v", kind, c.shape, c.order, o)
			}
		}
	}
	require.Error(t, m.set.TopK(m.st, op.TopK{K: 8}, 256, Tensor{256, plan.F32, []int{7}, []int{1}}, 256))
}
