package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Cost is the work of one or more tensors.
type Cost struct {
	FLOPs        float64
	BytesRead    float64
	BytesWritten float64
}

// Intensity is the operational intensity: FLOPs per byte moved, or 0 when
// nothing is moved.
func (c Cost) Intensity() float64 {
	if n := c.BytesRead + c.BytesWritten; n > 0 {
		return c.FLOPs / n
	}
	return 0
}

// Add is the sum of two costs.
func (c Cost) Add(o Cost) Cost {
	return Cost{c.FLOPs + o.FLOPs, c.BytesRead + o.BytesRead, c.BytesWritten + o.BytesWritten}
}

// Seconds is the time that c takes by the roofline model (Williams, Waterman
// and Patterson, 2009): arithmetic or memory, whichever is slower. A rate of
// zero or less counts as unlimited.
func (c Cost) Seconds(d Device) float64 {
	var s float64
	if d.FLOPS > 0 {
		s = c.FLOPs / d.FLOPS
	}
	if d.Bandwidth > 0 {
		s = max(s, (c.BytesRead+c.BytesWritten)/d.Bandwidth)
	}
	return s
}

// Costs returns the cost of every tensor, by id, when the symbols are bound to
// b. The work of an operator that a captured tensor was absorbed into counts at
// that operator's result. Bytes use the storage type, so a bf16 weight counts two per element; sizes
// include batch and sequence. Leaves, views and dead tensors cost nothing. A
// gather reads only the rows it gathers, not the table. A KV cache update
// happens in place, so it reads and writes only the new rows.
func (s *SRG) Costs(b plan.Bindings) ([]Cost, error) {
	core := s.core()
	sizes, err := core.bind(b)
	if err != nil {
		return nil, err
	}
	return s.lifted(core.costs(sizes)), nil
}

// lifted is the costs of the normal form's tensors by captured tensor.
func (s *SRG) lifted(costs []Cost) []Cost {
	if s.form == nil {
		return costs
	}
	out := make([]Cost, len(s.Nodes))
	for id, c := range costs {
		if at := s.form.owner[id]; at >= 0 {
			out[at] = out[at].Add(c)
		}
	}
	return out
}

// TotalCost is the sum of [SRG.Costs].
func (s *SRG) TotalCost(b plan.Bindings) (Cost, error) {
	costs, err := s.Costs(b)
	var sum Cost
	for _, c := range costs {
		sum = sum.Add(c)
	}
	return sum, err
}

// bind evaluates the shapes of all live tensors.
func (s *SRG) bind(b plan.Bindings) ([][]int, error) {
	sizes := make([][]int, len(s.Nodes))
	for id := range s.Nodes {
		if s.Nodes[id].Dead {
			continue
		}
		t := s.Nodes[id].Tensor
		shape, err := t.Shape().Eval(b)
		if err != nil {
			return nil, fmt.Errorf("cost of %v: %w", t, err)
		}
		sizes[id] = shape
	}
	return sizes, nil
}

func (s *SRG) costs(sizes [][]int) []Cost {
	out := make([]Cost, len(s.Nodes))
	var in [][]int
	for id := range s.Nodes {
		t := s.Nodes[id].Tensor
		if s.Nodes[id].Dead || t.Op() == nil || isView(t) {
			continue
		}
		in = in[:0]
		c := Cost{BytesWritten: s.storedBytes(t, sizes[id])}
		for i, x := range t.In() {
			in = append(in, sizes[x.ID()])
			if i == 0 && lazygraph.Op(t).Traits().Gathers {
				c.BytesRead += elements(sizes[id]) * float64(s.storage(x).Size())
				continue
			}
			c.BytesRead += s.storedBytes(x, sizes[x.ID()])
		}
		c.FLOPs = lazygraph.Op(t).FLOPs(in, sizes[id])
		out[id] = c
	}
	for i := range s.Caches {
		rows := s.Caches[i].Rows
		n := s.storedBytes(rows, sizes[rows.ID()])
		out[s.Caches[i].Update.ID()] = Cost{BytesRead: n, BytesWritten: n}
	}
	return out
}

// storage is the element type in which t is stored: a weight's storage type may
// be narrower than its compute type. Views of a weight have the weight's
// storage type.
func (s *SRG) storage(t *lazy.Tensor) plan.DType { return s.stored[t.ID()] }

// storages finds the storage type of every tensor of a program.
func storages(tensors []*lazy.Tensor) []plan.DType {
	out := make([]plan.DType, len(tensors))
	for id, t := range tensors {
		switch {
		case t.Op() != nil && isView(t):
			out[id] = out[t.In()[0].ID()]
		case t.Kind() == lazy.KindWeight:
			_, out[id] = t.WeightRef()
		default:
			out[id] = t.DType()
		}
	}
	return out
}

func isHalf(t plan.DType) bool { return t == plan.BF16 || t == plan.F16 }

func (s *SRG) storedBytes(t *lazy.Tensor, shape []int) float64 {
	return elements(shape) * float64(s.storage(t).Size())
}

func elements(shape []int) float64 {
	n := 1.0
	for _, d := range shape {
		n *= float64(d)
	}
	return n
}
