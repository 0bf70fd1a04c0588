package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

// Rows is a portion of the left operand of a product: Count rows of K elements
// from A on, whose results go to Out, with the stages that are applied to them.
// Strides are in elements. A portion is usually what one session contributes.
type Rows struct {
	A, Out                    driver.Ptr
	Count, StrideA, StrideOut int
	Stages                    []Stage
}

// Stage is a pointwise operator that is applied to a product before it is
// stored. All portions have the same operators.
type Stage struct {
	Kind StageKind
	Code Code
	// Param is the operator's parameter, see [CodeOf].
	Param float32
	// Other is the second operand: [N], or rows of N elements without gaps.
	Other Tensor
}

// StageKind is where a stage's second operand comes from.
type StageKind uint8

// The kinds of stages: without a second operand, with one vector for all rows,
// with a value of the product's shape.
const (
	StageUnary StageKind = iota
	StageRow
	StageRows
)

// The sizes of the lists in the arguments of a product, and of those in its
// table, which is for more sessions or stages.
const (
	inlineStages   = 8
	inlinePortions = 16
	inlineOperands = 32
	tableStages    = 64
	tablePortions  = 64
	tableOperands  = 512
	tableBytes     = tablePortions*5*8 + tableOperands*4*8 + tableStages*2*8
)

type portionArgs struct {
	a, out             driver.Ptr
	strideA, strideOut uint64
	first, _           uint32
}

type operandArgs struct {
	at                       driver.Ptr
	innerStride, outerStride uint64
	inner, _                 uint32
}

type stageArgs struct {
	code         uint32
	param        float32
	binary, slot uint32
}

// productArgs mirrors Product of product.cuh.
type productArgs struct {
	w, table, scratch           driver.Ptr
	k, n, rows                  uint32
	portions, operands, stages  uint32
	units, segment, groups, fit uint32
	portion                     [inlinePortions]portionArgs
	operand                     [inlineOperands]operandArgs
	stage                       [inlineStages]stageArgs
}

// ProductScratch is the scratch memory of a product of this many rows, in bytes:
// a table of portions and the rows in 16 bits.
func (s *Set) ProductScratch(w *Packed, rows int) int {
	n := tableBytes
	if w.Elem != plan.F32 && rows > mostSkinny16 {
		n += roundUp(rows, panelStep) * roundUp(w.K, packedRows) * 2
	}
	return n
}

// Product multiplies rows with a packed weight, applies the stages and stores
// the results, in one launch unless the rows are many or of many sessions. A row
// has the same bits with whatever other rows. scratch is as large as
// [Set.ProductScratch] says.
func (s *Set) Product(st driver.Stream, w *Packed, portions []Rows, scratch driver.Ptr) error {
	if err := checkPacked(w.Elem, w.K, w.N); err != nil {
		return err
	}
	for len(portions) > 0 {
		n, err := s.productOf(st, w, portions, scratch)
		if err != nil {
			return err
		}
		portions = portions[n:]
	}
	return nil
}

// productOf computes as many portions as one launch can, and returns their
// number.
func (s *Set) productOf(st driver.Stream, w *Packed, portions []Rows, scratch driver.Ptr) (int, error) {
	stages := portions[0].Stages
	if len(stages) > tableStages {
		return 0, fmt.Errorf("genie: kernels: a product has %d stages, the limit is %d", len(stages), tableStages)
	}
	l := lists{s: s, st: st}
	a := &l.args
	a.w, a.k, a.n, a.stages, a.fit = w.At, uint32(w.K), uint32(w.N), uint32(len(stages)), 1
	for i := range stages {
		a.operands += flag(stages[i].Kind != StageUnary)
	}
	most := tablePortions
	if a.operands > 0 {
		most = min(most, tableOperands/int(a.operands))
	}
	portions = portions[:min(len(portions), most)]
	rows := 0
	for i := range portions {
		p := &portions[i]
		if p.Count < 0 || p.Count > maxAxis-rows || p.StrideA < 0 || p.StrideOut < 0 {
			return 0, fmt.Errorf("genie: kernels: a product of %d and %d rows with strides of %d and %d", rows, p.Count, p.StrideA, p.StrideOut)
		}
		if p.A%16 != 0 || p.StrideA%4 != 0 {
			a.fit = 0
		}
		if rows += p.Count; p.Count > 0 {
			a.portions++
		}
	}
	if a.rows = uint32(rows); rows == 0 || w.N == 0 {
		return len(portions), nil
	}
	if len(stages) > inlineStages || a.portions > inlinePortions || a.portions*a.operands > inlineOperands {
		a.table, l.at = scratch, scratch
	}
	if err := l.fill(portions, w.N); err != nil {
		return 0, err
	}
	a.scratch = scratch + tableBytes
	if w.Elem == plan.F32 {
		return len(portions), s.product32(st, a)
	}
	return len(portions), s.product16(st, a, w.Elem)
}
