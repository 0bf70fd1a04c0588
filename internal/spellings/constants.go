package spellings

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// constant is a formula at every position of a shape, of rank 0 if none is
// given, in an element type; f32 if none is given.
func (b *builder) constant(n node) (*lazy.Tensor, error) {
	dt, shape, v, err := b.table(n)
	if err != nil {
		return nil, err
	}
	f32 := make([]float32, len(v))
	i32 := make([]int32, len(v))
	for i, x := range v {
		f32[i], i32[i] = float32(x), int32(x)
	}
	switch dt {
	case plan.F32:
		return b.g.Const(f32, shape...), nil
	case plan.I32:
		return b.g.ConstInt(i32, shape...), nil
	default:
		return lazy.Cast(b.g.ConstInt(i32, shape...), dt), nil
	}
}

// weight is a table as a weight: content that is not in the plan.
func (b *builder) weight(n node) (*lazy.Tensor, error) {
	dt, shape, v, err := b.table(n)
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, x := range v {
		switch dt {
		case plan.F32:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
		case plan.I32:
			data = binary.LittleEndian.AppendUint32(data, uint32(int32(x)))
		case plan.I64:
			data = binary.LittleEndian.AppendUint64(data, uint64(int64(x)))
		default:
			return nil, n.at.errorf("a weight of %v", dt)
		}
	}
	b.made++
	name := b.named("table." + strconv.Itoa(b.made))
	return b.g.AddWeight(transport.Weight{Name: name, Storage: dt, Shape: shape, Data: data, Hash: transport.HashWeight(dt, shape, data)}), nil
}

func (b *builder) table(n node) (plan.DType, []int, []float64, error) {
	dt, err := n.dtypeAttr()
	if err != nil {
		return 0, nil, nil, n.at.errorf("%w", err)
	}
	if len(n.args) != 1 {
		return 0, nil, nil, n.at.errorf("%s of %d formulas, want one", n.name, len(n.args))
	}
	s, err := b.shape(n.shapeAttr("shape"))
	if err != nil {
		return 0, nil, nil, err
	}
	shape, err := constants(s, n.at)
	if err != nil {
		return 0, nil, nil, err
	}
	v, err := table(n.args[0], shape, b.numbers)
	return dt, shape, v, err
}

// integers is a number or a list as a constant of an index type.
func (b *builder) integers(n node) (*lazy.Tensor, error) {
	if len(n.args) != 1 {
		return nil, n.at.errorf("%s of %d values, want one number or one list", n.name, len(n.args))
	}
	ns, shape := n.args, []int(nil)
	if n.args[0].kind == list {
		ns = n.args[0].args
		shape = []int{len(ns)}
	}
	v := make([]int32, len(ns))
	for i, x := range ns {
		f, err := formula(x, b.numbers)
		if err != nil {
			return nil, err
		}
		v[i] = int32(f)
	}
	t := b.g.ConstInt(v, shape...)
	if n.name == "i64" {
		t = lazy.Cast(t, plan.I64)
	}
	return t, nil
}
