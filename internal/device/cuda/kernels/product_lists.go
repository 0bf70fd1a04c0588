package kernels

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// lists stores the portions, operands and stages of a product: in its arguments,
// or in its table by launches of a kernel that has the words as arguments, so
// that nothing must wait for a copy.
type lists struct {
	s     *Set
	st    driver.Stream
	args  productArgs
	at    driver.Ptr // where the next words of the table go; 0 for no table
	words wordsArgs
}

// wordsArgs mirrors Words of product.cu.
type wordsArgs struct {
	y    driver.Ptr
	n    uint64
	word [500]uint64
}

func (l *lists) fill(portions []Rows, n int) error {
	if err := l.portions(portions); err != nil {
		return err
	}
	if err := l.operands(portions, n); err != nil {
		return err
	}
	slot := uint32(0)
	stages := portions[0].Stages
	for i := range stages {
		c := stageArgs{code: uint32(stages[i].Code), param: stages[i].Param, binary: flag(stages[i].Kind != StageUnary), slot: slot}
		slot += c.binary
		if l.at == 0 {
			l.args.stage[i] = c
		} else if err := l.put(uint64(c.code)|uint64(math.Float32bits(c.param))<<32, uint64(c.binary)|uint64(c.slot)<<32, 0, 0, 2); err != nil {
			return err
		}
	}
	return l.flush()
}

// portions stores those that have rows.
func (l *lists) portions(portions []Rows) error {
	i, first := 0, 0
	for k := range portions {
		p := &portions[k]
		if p.Count == 0 {
			continue
		}
		c := portionArgs{a: p.A, out: p.Out, strideA: uint64(p.StrideA), strideOut: uint64(p.StrideOut), first: uint32(first)}
		if l.at == 0 {
			l.args.portion[i] = c
		} else if err := l.put(uint64(c.a), uint64(c.out), c.strideA, c.strideOut, 4); err != nil {
			return err
		} else if err := l.put(uint64(c.first), 0, 0, 0, 1); err != nil {
			return err
		}
		i, first = i+1, first+p.Count
	}
	return nil
}

func (l *lists) operands(portions []Rows, n int) error {
	i := 0
	for k := range portions {
		p := &portions[k]
		if len(p.Stages) != int(l.args.stages) {
			return fmt.Errorf("genie: kernels: a product whose rows have %d and %d stages", l.args.stages, len(p.Stages))
		}
		for j := range p.Stages {
			s, first := &p.Stages[j], &portions[0].Stages[j]
			same := s.Kind == first.Kind && s.Code == first.Code && s.Param == first.Param
			if !same || s.Code.Binary() != (s.Kind != StageUnary) {
				return fmt.Errorf("genie: kernels: stage %d of a product has kind %d and code %d", j, s.Kind, s.Code)
			}
			if s.Kind == StageUnary || p.Count == 0 {
				continue
			}
			c, err := operandOf(s, p.Count, n)
			if err != nil {
				return fmt.Errorf("stage %d of a product: %w", j, err)
			}
			if l.at == 0 {
				l.args.operand[i] = c
			} else if err := l.put(uint64(c.at), c.innerStride, c.outerStride, uint64(c.inner), 4); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}

// operandOf describes the rows of a stage's second operand. They may have two
// strides.
func operandOf(s *Stage, rows, n int) (operandArgs, error) {
	t, last := &s.Other, len(s.Other.Shape)-1
	c := operandArgs{at: t.At, inner: 1}
	if last < 0 || t.Shape[last] != n || n > 1 && t.Strides[last] != 1 {
		return c, fmt.Errorf("genie: kernels: an operand of shape %v and strides %v, want %d columns without gaps", t.Shape, t.Strides, n)
	}
	if s.Kind == StageRow {
		if t.Len() != n {
			return c, fmt.Errorf("genie: kernels: an operand of shape %v for all rows", t.Shape)
		}
		return c, nil
	}
	// Axes that follow each other without gaps are one; at most two remain.
	inner, outer, innerStride, outerStride := 1, 1, 0, 0
	for d := last - 1; d >= 0; d-- {
		switch size, stride := t.Shape[d], t.Strides[d]; {
		case size == 1:
		case inner == 1:
			inner, innerStride = size, stride
		case outer == 1 && stride == inner*innerStride:
			inner *= size
		case outer == 1:
			outer, outerStride = size, stride
		case stride == outer*outerStride:
			outer *= size
		default:
			return c, fmt.Errorf("genie: kernels: an operand of shape %v and strides %v, whose rows have more than two strides", t.Shape, t.Strides)
		}
	}
	if inner*outer != rows {
		return c, fmt.Errorf("genie: kernels: an operand of shape %v for %d rows", t.Shape, rows)
	}
	if outer == 1 {
		c.outerStride = uint64(innerStride)
		return c, nil
	}
	c.inner, c.innerStride, c.outerStride = uint32(inner), uint64(innerStride), uint64(outerStride)
	return c, nil
}

// put appends the first n words to the table.
func (l *lists) put(a, b, c, d uint64, n int) error {
	if int(l.words.n)+n > len(l.words.word) {
		if err := l.flush(); err != nil {
			return err
		}
	}
	four := [4]uint64{a, b, c, d}
	l.words.n += uint64(copy(l.words.word[l.words.n:], four[:n]))
	return nil
}

// flush stores the words that were put.
func (l *lists) flush() error {
	if l.words.n == 0 {
		return nil
	}
	l.words.y = l.at
	if err := launch(l.s, l.st, "store_words", driver.Dim{X: 1, Y: 1, Z: 1}, driver.Dim{X: threads, Y: 1, Z: 1}, 0, &l.words); err != nil {
		return err
	}
	l.at += driver.Ptr(8 * l.words.n)
	l.words.n = 0
	return nil
}
