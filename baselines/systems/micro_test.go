package systems

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func random(rng *rand.Rand, shape ...int) Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return F32(x, shape...)
}

// microCase is an operator with its inputs and its result in float64.
type microCase struct {
	held, in map[string]Tensor
	want     []float64
}

func microCases() map[string]microCase {
	rng := rand.New(rand.NewPCG(1, 2))
	cases := map[string]microCase{}
	x, w, b := random(rng, 5, 7), random(rng, 7, 3), random(rng, 3)
	product := matrixProduct(x, w, nil)
	cases["matmul"] = microCase{map[string]Tensor{"weight": w}, map[string]Tensor{"x": x}, product}
	cases["linear"] = microCase{map[string]Tensor{"weight": w, "bias": b}, map[string]Tensor{"x": x}, matrixProduct(x, w, b.Float32s())}
	one := random(rng, 7, 1)
	cases["upload"] = microCase{map[string]Tensor{"weight": one}, map[string]Tensor{"x": x}, matrixProduct(x, one, nil)}
	image, filter := random(rng, 1, 2, 5, 5), random(rng, 2, 2, 3, 3)
	cases["conv"] = microCase{map[string]Tensor{"weight": filter}, map[string]Tensor{"x": image}, convolved(image, filter)}
	norm := map[string]Tensor{"weight": random(rng, 2), "bias": random(rng, 2), "running_mean": random(rng, 2), "running_var": F32([]float32{0.5, 2}, 2)}
	cases["batch_norm"] = microCase{norm, map[string]Tensor{"x": image}, normalised(image, norm)}
	q, k, v := random(rng, 1, 2, 4, 3), random(rng, 1, 2, 4, 3), random(rng, 1, 2, 4, 3)
	cases["attention"] = microCase{nil, map[string]Tensor{"q": q, "k": k, "v": v}, attended(q, k, v)}
	big := random(rng, 1<<10, 1<<8) // 1 MiB: large enough for Ray's object store
	var plus []float64
	for _, v := range big.Float32s() {
		plus = append(plus, float64(v+1))
	}
	cases["echo"] = microCase{nil, map[string]Tensor{"x": big}, plus}
	table := random(rng, 4, 6)
	var rows []float64
	for _, r := range []int{3, 0, 3} {
		for _, v := range table.Float32s()[6*r : 6*r+6] {
			rows = append(rows, float64(v))
		}
	}
	index := i32([][]int{{3, 0, 3}})
	index.Shape = []int{3}
	cases["download"] = microCase{map[string]Tensor{"weight": table}, map[string]Tensor{"index": index}, rows}
	return cases
}

func matrixProduct(x, w Tensor, bias []float32) []float64 {
	m, k, n := x.Shape[0], x.Shape[1], w.Shape[1]
	a, b, y := x.Float32s(), w.Float32s(), make([]float64, m*n)
	for i := range m {
		for j := range n {
			if bias != nil {
				y[i*n+j] = float64(bias[j])
			}
			for l := range k {
				y[i*n+j] += float64(a[i*k+l]) * float64(b[l*n+j])
			}
		}
	}
	return y
}

// convolved is a convolution with padding 1 of images [1, c, s, s] by [c, c, 3, 3].
func convolved(x, w Tensor) []float64 {
	c, s := x.Shape[1], x.Shape[2]
	a, f, y := x.Float32s(), w.Float32s(), make([]float64, c*s*s)
	for i := range y {
		o, oy, ox := i/(s*s), i/s%s, i%s
		for j := range 9 * c {
			iy, ix := oy-1+j/3%3, ox-1+j%3
			if iy >= 0 && iy < s && ix >= 0 && ix < s {
				y[i] += float64(a[(j/9*s+iy)*s+ix]) * float64(f[o*9*c+j])
			}
		}
	}
	return y
}

func normalised(x Tensor, p map[string]Tensor) []float64 {
	plane, y := x.Shape[2]*x.Shape[3], make([]float64, len(x.Data)/4)
	at := func(name string, c int) float64 { return float64(p[name].Float32s()[c]) }
	for i, v := range x.Float32s() {
		c := i / plane
		y[i] = (float64(v)-at("running_mean", c))/math.Sqrt(at("running_var", c)+1e-5)*at("weight", c) + at("bias", c)
	}
	return y
}

// attended is causal attention over [1, heads, rows, width].
func attended(q, k, v Tensor) []float64 {
	rows, width := q.Shape[2], q.Shape[3]
	a, b, c, y := q.Float32s(), k.Float32s(), v.Float32s(), make([]float64, len(q.Data)/4)
	for h := range q.Shape[1] {
		head := h * rows * width
		for i := range rows {
			sum, weights := 0.0, make([]float64, i+1)
			for j := range weights {
				for d := range width {
					weights[j] += float64(a[head+i*width+d]) * float64(b[head+j*width+d])
				}
				weights[j] = math.Exp(weights[j] / math.Sqrt(float64(width)))
				sum += weights[j]
			}
			for j, w := range weights {
				for d := range width {
					y[head+i*width+d] += w / sum * float64(c[head+j*width+d])
				}
			}
		}
	}
	return y
}

func runMicro(t *testing.T, program string, o ModelOptions) int64 {
	for _, o.Form = range []string{"channels_last", "contiguous"} {
		if o.Form == "channels_last" && program != PyTorch {
			continue
		}
		m, calls := startReal(t, program, o), 0
		for op, c := range microCases() {
			if c.held != nil {
				require.NoError(t, m.Hold(t.Context(), c.held))
				calls++
			}
			out, ran, err := m.Run(t.Context(), c.in, RunArgs{Op: op, Timing: Timing{Repeat: 2}})
			require.NoError(t, err, op)
			calls += len(ran.Times)
			got := out["y"].Float32s()
			require.Len(t, got, len(c.want), op)
			for i, v := range got {
				require.InDelta(t, c.want[i], float64(v), 1e-5, op)
			}
		}
		placed(t, program, m, calls)
		_, _, err := m.Run(t.Context(), nil, RunArgs{Op: "nonsense"})
		require.ErrorIs(t, err, ErrProgram)
	}
	return 4 << 20 // echo: twice in both directions
}
