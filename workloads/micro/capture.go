package micro

import (
	"math"

	"github.com/genie-sdk/go/lazy"
)

// normEpsilon is added to variances: PyTorch's default.
const normEpsilon = 1e-5

// inputs are the leaves supplied with each run.
func (c Case) inputs() []leaf {
	d := c.Dims
	switch c.Op {
	case MatMul:
		return []leaf{{"x", 1, signed, []int{d[0], d[2]}}}
	case Conv:
		return []leaf{{"x", 1, signed, []int{1, d[0], d[1], d[1]}}}
	case Attention:
		shape := []int{1, d[0], d[1], d[2]}
		return []leaf{{"q", 1, signed, shape}, {"k", 2, signed, shape}, {"v", 3, signed, shape}}
	case Linear, Atan:
		return []leaf{{"x", 1, signed, []int{d[0], d[1]}}}
	case BatchNorm:
		return []leaf{{"x", 1, signed, []int{d[0], d[1], d[2], d[2]}}}
	}
	rows, columns := c.grid()
	if c.Op == Download {
		return []leaf{{"index", 1, row, []int{rows}}}
	}
	return []leaf{{"x", 1, integer, []int{rows, columns}}}
}

// weights are the leaves that a checkpoint stores.
func (c Case) weights() []leaf {
	d := c.Dims
	switch c.Op {
	case MatMul:
		return []leaf{{"weight", 11, signed, []int{d[2], d[1]}}}
	case Conv:
		return []leaf{{"weight", 11, signed, []int{d[0], d[0], 3, 3}}}
	case Linear:
		return []leaf{{"weight", 11, signed, []int{d[1], d[1]}}, {"bias", 12, signed, []int{d[1]}}}
	case BatchNorm:
		n := []int{d[1]}
		return []leaf{
			{"weight", 11, signed, n},
			{"bias", 12, signed, n},
			{"running_mean", 13, signed, n},
			{"running_var", 14, positive, n},
		}
	case Upload:
		_, columns := c.grid()
		return []leaf{{"weight", 11, tripled, []int{columns, 1}}}
	case Download:
		_, columns := c.grid()
		return []leaf{{"weight", 11, integer, []int{tableRows, columns}}}
	}
	return nil
}

// output is the name of the only output.
const output = "y"

// capture builds the case's program on g; weight provides its weights.
func (c Case) capture(g *lazy.Graph, weight func(leaf) (*lazy.Tensor, error)) error {
	in := map[string]*lazy.Tensor{}
	for _, l := range c.inputs() {
		dims := make([]any, len(l.shape))
		for i, n := range l.shape {
			dims[i] = n
		}
		in[l.name] = g.Input(l.name, l.dtype(), dims...)
	}
	w := map[string]*lazy.Tensor{}
	for _, l := range c.weights() {
		t, err := weight(l)
		if err != nil {
			return err
		}
		w[l.name] = t
	}
	g.Output(output, c.apply(g, in, w))
	return g.Err()
}

func (c Case) apply(g *lazy.Graph, in, w map[string]*lazy.Tensor) *lazy.Tensor {
	switch c.Op {
	case MatMul, Upload:
		return lazy.MatMul(in["x"], w["weight"])
	case Conv:
		return lazy.Conv2D(in["x"], w["weight"], nil, lazy.Conv{Pad: [2]int{1, 1}})
	case Attention:
		scores := lazy.MatMul(in["q"], in["k"], lazy.TransB)
		scores = lazy.CausalMask(lazy.Scale(scores, attentionScale(c.Dims[2])), nil)
		return lazy.MatMul(lazy.Softmax(scores, -1), in["v"])
	case Linear:
		return lazy.Linear(in["x"], w["weight"], w["bias"])
	case BatchNorm:
		return lazy.BatchNorm(in["x"], w["weight"], w["bias"], w["running_mean"], w["running_var"], normEpsilon)
	case Atan:
		return lazy.Atan(in["x"])
	case Download:
		return lazy.Embedding(w["weight"], in["index"])
	}
	return lazy.Add(in["x"], g.Const([]float32{1}, 1))
}

// attentionScale is the reciprocal of the square root of the head width.
func attentionScale(width int) float32 { return float32(1 / math.Sqrt(float64(width))) }
