package program

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Group is the work of one kernel: one step of the plan, or several whose
// intermediate values are never stored. A fused group gives the same bits as
// its steps one by one.
type Group struct {
	Steps  []int // in order; the last one is the group's place among the others
	Kind   Kind
	In     []int // values that the kernel reads, except those of stages
	Out    int
	Stages []Stage     // elementwise steps after a product
	Attend Attention   // kind attend
	Conv   Convolution // kind convolve
	// Operands is the number of inputs of an elementwise group with more than one
	// element, which come before the others.
	Operands int
}

// Kind is the kind of kernel of a group.
type Kind uint8

// The kinds of groups: one step, a product with one matrix and its stages, an
// attention, a convolution and the steps after it, elementwise steps of one
// shape.
const (
	Single Kind = iota
	Linear
	Attend
	Convolve
	Elementwise
)

// Last is the last step of the group, which is its place among the others.
func (g *Group) Last() int { return g.Steps[len(g.Steps)-1] }

// Stage is one pointwise operator that is applied to the result of a product
// before it is stored.
type Stage struct {
	Kind  StageKind
	Op    op.Op
	Value int // second operand, -1 for none
}

// StageKind is where a stage's second operand comes from.
type StageKind uint8

// The kinds of stages.
const (
	StageUnary StageKind = iota // no second operand
	StageRow                    // one vector for all rows
	StageRows                   // a value of the product's shape
)

// Attention is [op.Attention] of the group's first three inputs, as one step or as
// the steps that compute it, with the step that concatenates the heads.
type Attention struct {
	Op     op.Attention
	Divide bool // the scores are divided by the scale
	Mask   int  // value of the mask, -1 for none
	Start  int  // value with the padding before each sequence, -1 for none
	Merge  bool // heads are concatenated: [b, h, q, d] to [b, q, h*d]
}

// Convolution is relu(batch_norm(conv(x) + bias) + residual); every part except
// the convolution is optional.
type Convolution struct {
	Geometry op.Conv2D
	Image    [2]int // height and width; 0 if it is known only when it is bound
	Filters  int    // value
	Bias     int    // value, -1 for none
	Norm     int    // step of the batch normalisation, -1 for none
	Residual int    // value, -1 for none
	ReLU     bool
}

// Folded is the values that are folded into the filters: the bias, if there is
// one, and the parameters of the batch normalisation, if there is one.
func (c *Convolution) Folded(p *plan.Plan) (values []int) {
	if c.Bias >= 0 {
		values = append(values, c.Bias)
	}
	if c.Norm >= 0 {
		values = append(values, p.Steps[c.Norm].In[1:]...)
	}
	return values
}

// PackedOnce reports whether filters and everything folded into them are
// weights, so that they are packed once and not at each run.
func (c *Convolution) PackedOnce(p *plan.Plan) bool {
	for _, v := range append(c.Folded(p), c.Filters) {
		if p.Values[v].Kind != plan.KindWeight {
			return false
		}
	}
	return true
}
