package micro

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// exact is element i of an operator's output, computed in float64 from the
// definition. It checks sizes without a recorded reference.
func (c Case) exact(i int) float64 {
	in, w := c.inputs(), c.weights()
	x := func(at int) float64 { return float64(in[0].at(at)) }
	switch c.Op {
	case MatMul:
		return c.exactProduct(i, c.Dims[1], c.Dims[2])
	case Linear:
		n := c.Dims[1]
		return c.exactProduct(i, n, n) + float64(w[1].at(i%n))
	case Conv:
		return c.exactConv(i)
	case Attention:
		return c.exactAttention(i)
	case Atan:
		return math.Atan(x(i))
	}
	ch := i / (c.Dims[2] * c.Dims[2]) % c.Dims[1]
	gamma, beta, mean, variance := float64(w[0].at(ch)), float64(w[1].at(ch)), float64(w[2].at(ch)), float64(w[3].at(ch))
	return (x(i)-mean)/math.Sqrt(variance+normEpsilon)*gamma + beta
}

// exactProduct is element i of x [_, k] times the weight [k, n].
func (c Case) exactProduct(i, n, k int) float64 {
	x, w := c.inputs()[0], c.weights()[0]
	sum := 0.0
	for j := range k {
		sum += float64(x.at(i/n*k+j)) * float64(w.at(j*n+i%n))
	}
	return sum
}

func (c Case) exactConv(i int) float64 {
	x, w := c.inputs()[0], c.weights()[0]
	channels, size := c.Dims[0], c.Dims[1]
	out, row, column := i/(size*size), i/size%size, i%size
	sum := 0.0
	for ch := range channels {
		for k := range 9 {
			r, s := row+k/3-1, column+k%3-1
			if r >= 0 && r < size && s >= 0 && s < size {
				sum += float64(x.at((ch*size+r)*size+s)) * float64(w.at((out*channels+ch)*9+k))
			}
		}
	}
	return sum
}

func (c Case) exactAttention(i int) float64 {
	in := c.inputs()
	rows, width := c.Dims[1], c.Dims[2]
	head, query, column := i/(rows*width), i/width%rows, i%width
	scores := make([]float64, query+1) // causal
	top := math.Inf(-1)
	for j := range scores {
		for d := range width {
			scores[j] += float64(in[0].at((head*rows+query)*width+d)) * float64(in[1].at((head*rows+j)*width+d))
		}
		scores[j] /= math.Sqrt(float64(width))
		top = max(top, scores[j])
	}
	sum, all := 0.0, 0.0
	for j, s := range scores {
		e := math.Exp(s - top)
		all += e
		sum += e * float64(in[2].at((head*rows+j)*width+column))
	}
	return sum / all
}

// spotChecks is the number of elements of an operator's output that are
// recomputed before timing.
const spotChecks = 48

// verify compares a case's output with the expected one: completely for a
// transfer, some elements for an operator.
func (c Case) verify(got []float32) error {
	if c.Transfer() {
		_, err := c.verifyTransfer(got)
		return err
	}
	if len(got) == 0 {
		return fmt.Errorf("%w: %v: no output", workloads.ErrMismatch, c)
	}
	top := 0.0
	for _, v := range got {
		top = max(top, math.Abs(float64(v)))
	}
	limit := tolerance(plan.F32) * top
	for k := range spotChecks {
		i := int(mix(uint32(k)) % uint32(len(got)))
		if want := c.exact(i); !(math.Abs(float64(got[i])-want) <= limit) {
			return fmt.Errorf("%w: %v: element %d is %v, want %v within %.3g", workloads.ErrMismatch, c, i, got[i], want, limit)
		}
	}
	return nil
}
