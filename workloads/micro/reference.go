package micro

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// reference is what PyTorch computes for a case in float64 from the same
// float32 numbers; testdata/scripts/make_micro_goldens.py writes it. It lists
// some elements individually. The sums cover all of them: the output is cut
// into blocks of equal length (the last may be shorter), and each block is
// added up with signs that depend on the position, so that one wrong element
// changes a sum.
type reference struct {
	Elements  int       `json:"elements"`
	MaxAbs    float64   `json:"max_abs"`
	Positions []int     `json:"positions"`
	Values    []float64 `json:"values"`
	Block     int       `json:"block"`
	Sums      []float64 `json:"sums"`
}

// tolerance is the allowed deviation of an element from the reference, by the
// type that the case is computed in, relative to the largest magnitude of the
// output.
func tolerance(t plan.DType) float64 {
	switch t {
	case plan.F16:
		return 2e-3
	case plan.BF16:
		return 2e-2
	default:
		return 4e-6
	}
}

// signSalt separates the signs from the leaves' numbers.
const signSalt = 99

// sign is 1 or -1 by position.
func sign(i int) float64 {
	return 1 - 2*float64(mix(uint32(i)+salted(signSalt))>>31)
}

// readReferences reads the references of a scale by the cases' names.
func readReferences(testdata string, scale workloads.Scale) (map[string]*reference, error) {
	file := filepath.Join(testdata, "micro", string(referenceScale(scale))+".json")
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all struct {
		Cases map[string]*reference `json:"cases"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all.Cases, nil
}

// referenceScale is the scale whose references apply: small for full.
func referenceScale(scale workloads.Scale) workloads.Scale {
	if scale == workloads.Full {
		return workloads.Small
	}
	return scale
}

// verify compares an operator's output with the reference and returns the
// largest difference of an element.
func (r *reference) verify(got []float32, t plan.DType) (float64, error) {
	if len(got) != r.Elements {
		return 0, fmt.Errorf("%w: %d elements, want %d", workloads.ErrMismatch, len(got), r.Elements)
	}
	limit := tolerance(t) * r.MaxAbs
	worst := 0.0
	for i, p := range r.Positions {
		d := math.Abs(float64(got[p]) - r.Values[i])
		if !(d <= limit) {
			return d, fmt.Errorf("%w: element %d is %v, want %v within %.3g", workloads.ErrMismatch, p, got[p], r.Values[i], limit)
		}
		worst = max(worst, d)
	}
	for b, want := range r.Sums {
		block := got[b*r.Block : min((b+1)*r.Block, len(got))]
		sum := 0.0
		for i, v := range block {
			sum += sign(b*r.Block+i) * float64(v)
		}
		// Rounding errors have random signs.
		if most := limit * math.Sqrt(float64(len(block))); !(math.Abs(sum-want) <= most) {
			return worst, fmt.Errorf("%w: elements from %d sum up to %v with signs, want %v within %.3g",
				workloads.ErrMismatch, b*r.Block, sum, want, most)
		}
	}
	return worst, nil
}

// verifyTransfer compares the result of a transfer with the expected one,
// completely and exactly.
func (c Case) verifyTransfer(got []float32) (float64, error) {
	rows, columns := c.grid()
	in := c.inputs()[0]
	want := func(i int) float32 { return in.at(i) + 1 }
	n := rows * columns
	switch c.Op {
	case Upload:
		n = rows
		w := c.weights()[0]
		want = func(r int) float32 {
			sum := float32(0)
			for j := range columns {
				sum += in.at(r*columns+j) * w.at(j)
			}
			return sum
		}
	case Download:
		table := c.weights()[0]
		want = func(i int) float32 { return table.at(int(in.at(i/columns))*columns + i%columns) }
	}
	if len(got) != n {
		return 0, fmt.Errorf("%w: %v: %d elements, want %d", workloads.ErrMismatch, c, len(got), n)
	}
	for i, v := range got {
		if w := want(i); v != w {
			return math.Abs(float64(v) - float64(w)), fmt.Errorf("%w: %v: element %d is %v, want %v", workloads.ErrMismatch, c, i, v, w)
		}
	}
	return 0, nil
}
