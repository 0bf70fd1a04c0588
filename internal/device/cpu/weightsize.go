package cpu

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weightSize computes the sizes of weight id of a plan.
func (c *code) weightSize(id int) (weightSize, error) {
	p := c.prog
	v := &p.Plan().Values[id]
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return weightSize{}, err
	}
	n := int64(1)
	for _, d := range shape {
		var ok bool
		if n, ok = plan.MulChecked(n, int64(d)); !ok || n > math.MaxInt/16 {
			return weightSize{}, fmt.Errorf("%w: weight %q of %v", transport.ErrLimit, v.Name, shape)
		}
	}
	kind, storage := c.layout[id].kind, int64(v.Storage.Size())
	s := weightSize{want: n * storage, first: n * int64(v.Spec.DType.Size()), width: 1}
	staged := min(n, stageElems)
	switch kind {
	case panels, columns:
		k, cols := kind.matrix(shape)
		elem := c.d.element(v, k, cols)
		size := int64(elem.size())
		if elem == elemI8 {
			size = int64(elemF32.size()) // until all content has arrived
			s.rounded = int64(kernels.PackedLen(k, cols))
		}
		s.first = int64(kernels.PackedLen(k, cols)) * size
		s.width, staged = shape[1], min(n, int64(stageRows)*int64(shape[1]))
	case dense, filters, anyLayout:
		if storage == int64(v.Spec.DType.Size()) {
			staged = 0
		}
	}
	s.held = s.first
	if s.rounded > 0 {
		s.held = s.rounded
	}
	if g := c.filtersOf(id); kind == filters && g != nil {
		s.held = max(s.held, int64(4*filterShape(&g.Conv, shape).PackedLen()))
	}
	s.stage = staged * storage
	if v.Storage != plan.F32 {
		s.wide = staged * int64(elemF32.size())
	}
	return s, nil
}

// WeightSizes implements [device.Code].
func (c *code) WeightSizes(id int) (device.WeightSizes, error) {
	s, err := c.weightSize(id)
	kind := c.layout[id].kind
	return device.WeightSizes{
		Content: s.want, Packed: kind == panels || kind == columns,
		Peak: s.first + s.rounded, Held: s.held, Staging: s.stage + s.wide,
	}, err
}
