// Package custom is operators of a user: a shape rule and a kernel in Go.
//
// An operator runs where an executor was given it, in this process or in a worker
// whose own program has it. A plan names it custom/NAME and carries no code; an
// executor without it refuses the plan with [transport.ErrUnknownOperator].
//
//	double := custom.Operator{
//		Name:  "double",
//		Infer: func(_ plan.Attrs, in []plan.Spec) (plan.Spec, error) { return in[0], nil },
//		Eval: func(c custom.Call) error {
//			x, y := c.In[0].Float32s(), c.Out.Float32s()
//			for i := range y {
//				y[i] = 2 * x[i]
//			}
//			return nil
//		},
//	}
//	table, err := custom.NewTable(double)
//	ex, err := local.Open(local.WithOperators(table))
//	y := lazy.Custom(double, nil, x)
package custom

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Prefix precedes the names of custom operators in plans.
const Prefix = "custom/"

// maxName bounds the name of an operator.
const maxName = 64

// Operator is a user's operator. Its functions may be called from several
// goroutines at once. A panic in them fails the capture, the plan or the run, as
// an error that wraps [transport.ErrOperator].
type Operator struct {
	// Name is lower-case letters, digits and underscores, at most 64. In plans it
	// is preceded by [Prefix].
	Name string
	// Infer checks the attributes, which come from a peer on a worker, and the
	// inputs, and gives the type and shape of the output. Dimensions may be
	// symbolic; the output's symbols must occur in the inputs or in the
	// attributes. The same arguments must give the same result everywhere.
	Infer func(attrs plan.Attrs, in []plan.Spec) (plan.Spec, error)
	// Eval computes the output.
	Eval func(c Call) error
	// FLOPs is the arithmetic of a run at these shapes, for the cost model and a
	// worker's limits; nil for one per element of the output.
	FLOPs func(attrs plan.Attrs, in [][]int, out []int) float64
}

// Call is one evaluation. The memory of the arrays is the executor's: inputs must
// not be written, and nothing may be kept after the call.
type Call struct {
	Attrs plan.Attrs
	In    []Array
	Out   Array // every element must be written
	// Stop reports whether the caller has gone. A long evaluation asks it now and
	// then, and returns any error when it is true.
	Stop func() bool
}

// Array is row-major elements without gaps.
type Array struct {
	DType plan.DType
	Shape []int
	Data  []byte // little-endian, booleans one byte each
}

// Valid reports what is wrong with an operator, nil for nothing.
func (o *Operator) Valid() error {
	name := o.Name
	ok := name != "" && len(name) <= maxName && o.Infer != nil && o.Eval != nil
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_')
	}
	if !ok {
		return fmt.Errorf("%w: a custom operator %.80q needs a name of lower-case letters, digits and underscores, Infer and Eval", plan.ErrInvalid, name)
	}
	return nil
}

// Table is the operators that an executor has. It is immutable. The nil table
// has none.
type Table struct{ byName map[string]*Operator }

// NewTable makes a table of operators with distinct names.
func NewTable(operators ...Operator) (*Table, error) {
	t := &Table{byName: make(map[string]*Operator, len(operators))}
	for _, o := range operators {
		if err := o.Valid(); err != nil {
			return nil, err
		}
		if t.byName[o.Name] != nil {
			return nil, fmt.Errorf("%w: two custom operators %q", plan.ErrInvalid, o.Name)
		}
		t.byName[o.Name] = &o
	}
	return t, nil
}

// Find is the operator that a plan names, with its [Prefix].
func (t *Table) Find(name string) (*Operator, error) {
	short, is := strings.CutPrefix(name, Prefix)
	if is && t != nil && t.byName[short] != nil {
		return t.byName[short], nil
	}
	return nil, fmt.Errorf("%w: %.80q, which this executor was not given", transport.ErrUnknownOperator, name)
}

// InferShape calls Infer and checks the result.
func (o *Operator) InferShape(attrs plan.Attrs, in []plan.Spec) (out plan.Spec, err error) {
	defer o.caught(&err)
	if out, err = o.Infer(attrs, in); err != nil {
		return plan.Spec{}, o.failed(err)
	}
	if !out.DType.Valid() || out.DType == plan.F16 || out.DType == plan.BF16 || len(out.Shape) > plan.MaxRank {
		return plan.Spec{}, o.failed(fmt.Errorf("%w: an output of %v and rank %d", transport.ErrShape, out.DType, len(out.Shape)))
	}
	known := map[string]bool{}
	for _, dims := range append(dimsOf(attrs), shapesOf(in)...) {
		for _, d := range dims {
			for _, s := range d.Symbols(nil) {
				known[s] = true
			}
		}
	}
	for _, d := range out.Shape {
		if n, ok := d.Const(); d.Err() != nil || ok && (n < 0 || n > plan.MaxDimSize) {
			return plan.Spec{}, o.failed(fmt.Errorf("%w: the output's shape %v", transport.ErrShape, out.Shape))
		}
		for _, s := range d.Symbols(nil) {
			if !known[s] {
				return plan.Spec{}, o.failed(fmt.Errorf("%w: the output's shape %v has a symbol %q that no input has", transport.ErrShape, out.Shape, s))
			}
		}
	}
	return out, nil
}

func dimsOf(attrs plan.Attrs) (out []plan.Shape) {
	for _, a := range attrs {
		out = append(out, a.Dims)
	}
	return out
}

func shapesOf(in []plan.Spec) (out []plan.Shape) {
	for _, s := range in {
		out = append(out, s.Shape)
	}
	return out
}

// Compute calls Eval.
func (o *Operator) Compute(c Call) (err error) {
	defer o.caught(&err)
	if err := o.Eval(c); err != nil {
		return o.failed(err)
	}
	return nil
}

// Work is the arithmetic of an evaluation.
func (o *Operator) Work(attrs plan.Attrs, in [][]int, out []int) (n float64) {
	elements := 1.0
	for _, d := range out {
		elements *= float64(d)
	}
	if o.FLOPs == nil {
		return elements
	}
	defer func() {
		if recover() != nil || !(n >= 0) {
			n = elements
		}
	}()
	return o.FLOPs(attrs, in, out)
}

// failed is an operator's error with its name.
func (o *Operator) failed(err error) error {
	return fmt.Errorf("%w: %s: %w", transport.ErrOperator, o.Name, err)
}

// PanicError is a panic of a user's operator.
type PanicError struct {
	Operator string
	Value    any
	Stack    []byte // never sent to a peer
}

// Error names the operator and the panic's value.
func (e *PanicError) Error() string {
	return fmt.Sprintf("%v: %s: panic: %v", transport.ErrOperator, e.Operator, e.Value)
}

// Unwrap returns the cause.
func (*PanicError) Unwrap() error { return transport.ErrOperator }

func (o *Operator) caught(err *error) {
	if r := recover(); r != nil {
		*err = &PanicError{Operator: o.Name, Value: r, Stack: debug.Stack()}
	}
}
