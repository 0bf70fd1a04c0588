package spellings

import (
	"maps"
	"math"

	"github.com/genie-sdk/go/transport/plan"
)

// Reference computes what a concept is, in float64, from its definition.
type Reference func(in map[string]Value, numbers map[string]float64) map[string]Value

// References are those of all concepts, by name.
func References() map[string]Reference {
	out := map[string]Reference{
		"layer_norm":           layerNorm,
		"layer_norm_plain":     layerNorm,
		"layer_norm_modulated": layerNormModulated,
		"rms_norm":             rmsNorm(0),
		"rms_norm_offset":      rmsNorm(1),
		"rms_norm_plain":       rmsNorm(0),
		"gelu":                 unary(func(x float64) float64 { return x * (1 + math.Erf(x/math.Sqrt2)) / 2 }),
		"gelu_tanh": unary(func(x float64) float64 {
			return x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) / 2
		}),
		"sigmoid":          unary(logistic),
		"silu":             unary(func(x float64) float64 { return x * logistic(x) }),
		"quick_gelu":       unary(func(x float64) float64 { return x * logistic(1.702*x) }),
		"softplus":         unary(func(x float64) float64 { return math.Log1p(math.Exp(-math.Abs(x))) + max(x, 0) }),
		"swiglu":           swiglu,
		"swiglu_split":     swigluSplit,
		"softmax":          softmax(2, false),
		"softmax_middle":   softmax(1, false),
		"log_softmax":      softmax(2, true),
		"rope_half":        rotate(false, given),
		"rope_interleaved": rotate(true, given),
		"rope_partial":     rotate(false, given),
		"rope_positions":   rotate(false, computed),
		"rope_table":       rotate(false, computed),
		"rope_timescale":   rotate(false, computed),
		"rope_full_table":  rotate(false, computed),
		"rope_reversed":    rotate(false, reversed),
		"rope_of_part":     rotatePart,
		"rope_heads":       rotateHeads,
	}
	maps.Copy(out, attentionReferences())
	return out
}

func like(v Value) Value {
	return Value{DType: plan.F32, Shape: v.Shape, Data: make([]float64, len(v.Data))}
}

func one(v Value) map[string]Value { return map[string]Value{"y": v} }

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func unary(f func(float64) float64) Reference {
	return func(in map[string]Value, _ map[string]float64) map[string]Value {
		y := like(in["x"])
		for i, x := range in["x"].Data {
			y.Data[i] = f(x)
		}
		return one(y)
	}
}

// rows calls f for each row of the last axis.
func rows(v Value, f func(row []float64, at int)) {
	n := v.Shape[len(v.Shape)-1]
	for at := 0; at < len(v.Data); at += n {
		f(v.Data[at:at+n], at)
	}
}

// at is element i of a parameter, or what it is without one.
func at(in map[string]Value, name string, i int, otherwise float64) float64 {
	if v, ok := in[name]; ok {
		return v.Data[i]
	}
	return otherwise
}

func layerNorm(in map[string]Value, p map[string]float64) map[string]Value {
	y := like(in["x"])
	rows(in["x"], func(row []float64, from int) {
		mean, variance := 0.0, 0.0
		for _, x := range row {
			mean += x / float64(len(row))
		}
		for _, x := range row {
			variance += (x - mean) * (x - mean) / float64(len(row))
		}
		for i, x := range row {
			y.Data[from+i] = (x-mean)/math.Sqrt(variance+p["eps"])*at(in, "gamma", i, 1) + at(in, "beta", i, 0)
		}
	})
	return one(y)
}

func layerNormModulated(in map[string]Value, p map[string]float64) map[string]Value {
	y := layerNorm(map[string]Value{"x": in["x"]}, p)["y"]
	t, n := y.Shape[1], y.Shape[2]
	for i := range y.Data {
		j := i/(t*n)*n + i%n
		y.Data[i] = y.Data[i]*(1+in["scale"].Data[j]) + in["shift"].Data[j]
	}
	return one(y)
}

func rmsNorm(offset float64) Reference {
	return func(in map[string]Value, p map[string]float64) map[string]Value {
		y := like(in["x"])
		rows(in["x"], func(row []float64, from int) {
			square := 0.0
			for _, x := range row {
				square += x * x / float64(len(row))
			}
			for i, x := range row {
				y.Data[from+i] = x / math.Sqrt(square+p["eps"]) * (offset + at(in, "w", i, 1-offset))
			}
		})
		return one(y)
	}
}

func swiglu(in map[string]Value, _ map[string]float64) map[string]Value {
	y := like(in["g"])
	for i, g := range in["g"].Data {
		y.Data[i] = g * logistic(g) * in["u"].Data[i]
	}
	return one(y)
}

func swigluSplit(in map[string]Value, _ map[string]float64) map[string]Value {
	x := in["x"]
	n := x.Shape[2] / 2
	y := Value{DType: plan.F32, Shape: []int{x.Shape[0], x.Shape[1], n}, Data: make([]float64, len(x.Data)/2)}
	rows(x, func(row []float64, from int) {
		for i := range n {
			y.Data[from/2+i] = row[i] * logistic(row[i]) * row[n+i]
		}
	})
	return one(y)
}

// softmax is over one of three axes.
func softmax(axis int, logarithm bool) Reference {
	return func(in map[string]Value, _ map[string]float64) map[string]Value {
		x, y := in["x"], like(in["x"])
		step := 1
		for _, d := range x.Shape[axis+1:] {
			step *= d
		}
		n := x.Shape[axis]
		for from := range x.Data {
			if from/step%n != 0 {
				continue
			}
			sum := 0.0
			for i := range n {
				sum += math.Exp(x.Data[from+i*step])
			}
			for i := range n {
				v := x.Data[from+i*step] - math.Log(sum)
				if !logarithm {
					v = math.Exp(v)
				}
				y.Data[from+i*step] = v
			}
		}
		return one(y)
	}
}
