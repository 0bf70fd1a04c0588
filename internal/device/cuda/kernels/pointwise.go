package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// unaryArgs mirrors Unary of pointwise.cu.
type unaryArgs struct {
	y, x        driver.Ptr
	code        Code
	param       float32
	n           int64
	repeated, _ uint32
	index       index
	strides     [2]strides
}

// binaryArgs mirrors Binary of pointwise.cu.
type binaryArgs struct {
	y, a, b  driver.Ptr
	code     Code
	repeated uint32
	n        int64
	index    index
	strides  [3]strides
}

// selectArgs mirrors Select of pointwise.cu.
type selectArgs struct {
	y, cond, x, z driver.Ptr
	index         index
	strides       [4]strides
}

// equalArgs mirrors Equal of pointwise.cu.
type equalArgs struct {
	y, a, b driver.Ptr
	index   index
	strides [3]strides
}

// castArgs mirrors Cast of pointwise.cu.
type castArgs struct {
	y, x     driver.Ptr
	from, to uint32
	index    index
	strides  [2]strides
}

// line is a block of independent threads.
var line = driver.Dim{X: threads, Y: 1, Z: 1}

// Pointwise computes a pointwise operator. Inputs broadcast to the output's
// shape, which may be an input as a whole.
func (s *Set) Pointwise(st driver.Stream, o op.Op, out Tensor, in ...Tensor) error {
	c, param, ok := CodeOf(o)
	switch len(in) {
	case 1:
		switch {
		case ok && !c.Binary():
			return s.Unary(st, c, param, out, in[0])
		case o.Name() == "cast":
			return s.Cast(st, out, in[0])
		}
	case 2:
		switch {
		case ok && c.Binary():
			return s.Binary(st, c, out, in[0], in[1])
		case o.Name() == "equal":
			return s.Equal(st, out, in[0], in[1])
		}
	case 3:
		if o.Name() == "where" {
			return s.Where(st, out, in[0], in[1], in[2]) //nolint:gosec // there are three
		}
	}
	return fmt.Errorf("genie: kernels: %s of %d inputs is not a pointwise operator with a kernel", o.Name(), len(in))
}

// Unary computes an operator of one operand, float32.
func (s *Set) Unary(st driver.Stream, c Code, param float32, out, x Tensor) error {
	all, err := over(&out, &x)
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		a := unaryArgs{y: o.at[0], x: o.at[1], code: c, param: param, n: int64(o.len())}
		name := "unary"
		if repeated, ok := o.vectors(); ok {
			a.repeated, name = repeated, "unary_vectors"
		}
		a.index, a.strides = o.index(), [2]strides{o.strides(0), o.strides(1)}
		return launch(s, st, name, cover(o.len()), line, 0, &a)
	})
}

// Binary computes an operator of two operands, float32.
func (s *Set) Binary(st driver.Stream, c Code, out, x, y Tensor) error {
	all, err := over(&out, &x, &y)
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		a := binaryArgs{y: o.at[0], a: o.at[1], b: o.at[2], code: c, n: int64(o.len())}
		name := "binary"
		if repeated, ok := o.vectors(); ok {
			a.repeated, name = repeated, "binary_vectors"
		}
		a.index, a.strides = o.index(), [3]strides{o.strides(0), o.strides(1), o.strides(2)}
		return launch(s, st, name, cover(o.len()), line, 0, &a)
	})
}

// Where selects elements of any type: x where cond, bool, is true, z elsewhere.
func (s *Set) Where(st driver.Stream, out, cond, x, z Tensor) error {
	var name string
	switch out.DType.Size() {
	case 1:
		name = "where_1"
	case 4:
		name = "where_4"
	case 8:
		name = "where_8"
	default:
		return fmt.Errorf("genie: kernels: where of %v", out.DType)
	}
	all, err := over(&out, &cond, &x, &z)
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		a := selectArgs{y: o.at[0], cond: o.at[1], x: o.at[2], z: o.at[3], index: o.index()}
		a.strides = [4]strides{o.strides(0), o.strides(1), o.strides(2), o.strides(3)}
		return launch(s, st, name, cover(o.len()), line, 0, &a)
	})
}

// Equal compares elements of one type, f32, i32 or i64. The output is bool.
func (s *Set) Equal(st driver.Stream, out, x, y Tensor) error {
	var name string
	switch x.DType {
	case plan.F32:
		name = "equal_f32"
	case plan.I32:
		name = "equal_i32"
	case plan.I64:
		name = "equal_i64"
	default:
		return fmt.Errorf("genie: kernels: equality of %v", x.DType)
	}
	all, err := over(&out, &x, &y)
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		a := equalArgs{y: o.at[0], a: o.at[1], b: o.at[2], index: o.index()}
		a.strides = [3]strides{o.strides(0), o.strides(1), o.strides(2)}
		return launch(s, st, name, cover(o.len()), line, 0, &a)
	})
}

// Cast converts elements between f32, i32, i64 and bool, as [op.Cast] does.
func (s *Set) Cast(st driver.Stream, out, x Tensor) error {
	if !castable(out.DType) || !castable(x.DType) {
		return fmt.Errorf("genie: kernels: cast of %v to %v", x.DType, out.DType)
	}
	all, err := over(&out, &x)
	if err != nil {
		return err
	}
	all.sort()
	return all.split(s.indexed, 0, func(o operands) error {
		a := castArgs{y: o.at[0], x: o.at[1], from: uint32(x.DType), to: uint32(out.DType), index: o.index()}
		a.strides = [2]strides{o.strides(0), o.strides(1)}
		return launch(s, st, "cast", cover(o.len()), line, 0, &a)
	})
}

func castable(t plan.DType) bool { return t == plan.F32 || t.IsInt() || t == plan.Bool }
