package cpu

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// copiedInputs are the copies of inputs whose layout a kernel does not compute.
type copiedInputs struct {
	need    func(s *step) int // their memory
	copier  copier
	arrays  [2]op.Array
	shapes  [2][plan.MaxRank]int
	strides [2][plan.MaxRank]int
	was     [2]*op.Array
	memory  [2][]byte
	views   [2]swappedView // of an input and of the output
}

// swappedView is the memory of an array whose axes are in another order.
type swappedView struct{ shape, strides [plan.MaxRank]int }

// copyDenseInput puts a row-major copy of view, which is of input k, in its
// place until restore. view may have other axes than the input.
func (s *step) copyDenseInput(k int, view *op.Array) error {
	d := s.inputs
	mem, err := s.work.get(max(1, view.Len()*view.DType.Size()))
	if err != nil {
		return err
	}
	a := &d.arrays[k]
	rank := copy(d.shapes[k][:], view.Shape)
	*a = op.Array{DType: view.DType, Shape: d.shapes[k][:rank], Strides: denseStrides(view.Shape, &d.strides[k]), Data: mem[:view.Len()*view.DType.Size()]}
	d.was[k], d.memory[k] = s.in[k], mem
	s.copyTo(a, view)
	s.in[k] = a
	return nil
}

// restore puts the inputs back in their places.
func (s *step) restore() {
	for k, was := range s.inputs.was {
		if was != nil {
			s.in[k], s.inputs.was[k] = was, nil
			s.work.put(s.inputs.memory[k])
			s.inputs.memory[k] = nil
		}
	}
}

// denseBytes is the memory of a row-major copy.
func denseBytes(a *op.Array) int { return program.Align(max(1, a.Len()*a.DType.Size())) }

// inRows is a kernel of rows that reads rows which are not equidistant, or have
// gaps, from a copy.
func inRows(k kernel) kernel {
	return func(s *step) error {
		if _, _, _, ok := rowRun(s.in[0]); ok {
			return k(s)
		}
		defer s.restore()
		if err := s.copyDenseInput(0, s.in[0]); err != nil || s.halt.Now() {
			return err
		}
		return k(s)
	}
}

func (s *step) rowsWorkspace() int {
	if _, _, _, ok := rowRun(s.in[0]); ok {
		return 0
	}
	return denseBytes(s.in[0])
}

// inPlace is a kernel whose output may be its first input: it reads rows that are
// not equidistant, or have gaps, from a copy there.
func inPlace(k kernel) kernel {
	return func(s *step) error {
		x := s.in[0]
		if _, _, _, ok := rowRun(x); ok {
			return k(s)
		}
		if s.copyTo(s.out, x); s.halt.Now() {
			return nil
		}
		s.in[0] = s.out
		defer func() { s.in[0] = x }()
		return k(s)
	}
}

// inFlat is [inPlace] for a kernel that reads elements in the order of the output.
func inFlat(k kernel) kernel {
	return func(s *step) error {
		x := s.in[0]
		if flat(s.out, x) {
			return k(s)
		}
		if s.copyTo(s.out, x); s.halt.Now() {
			return nil
		}
		s.in[0] = s.out
		defer func() { s.in[0] = x }()
		return k(s)
	}
}

// runSoftmaxOf is runSoftmax over any axis: where that is not the last one, over a
// copy with the axes in another order.
func runSoftmaxOf(s *step) error {
	x := s.in[0]
	last, axis := len(x.Shape)-1, s.op.(op.Softmax).Axis
	if axis < 0 {
		axis += last + 1
	}
	if axis == last {
		return inPlace(runSoftmax)(s)
	}
	defer s.restore()
	view, out := *x, *s.out
	s.inputs.views[0].swap(&view, axis)
	s.inputs.views[1].swap(&out, axis)
	if err := s.copyDenseInput(0, &view); err != nil || s.halt.Now() {
		return err
	}
	a, result := s.in[0], s.out
	s.out = a
	defer func() { s.out = result }()
	if err := runSoftmax(s); err != nil || s.halt.Now() {
		return err
	}
	s.copyTo(&out, a)
	return nil
}

// swap exchanges an axis of a for the last one.
func (v *swappedView) swap(a *op.Array, axis int) {
	last := len(a.Shape) - 1
	copy(v.shape[:], a.Shape)
	copy(v.strides[:], a.Strides)
	v.shape[axis], v.shape[last] = v.shape[last], v.shape[axis]
	v.strides[axis], v.strides[last] = v.strides[last], v.strides[axis]
	a.Shape, a.Strides = v.shape[:last+1], v.strides[:last+1]
}

func (s *step) softmaxWorkspace() int {
	if axis := s.op.(op.Softmax).Axis; axis == -1 || axis == len(s.in[0].Shape)-1 {
		return 0
	}
	return denseBytes(s.in[0])
}

// runMatrices is runMatMul of matrices of any layout.
func runMatrices(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	o := s.op.(op.MatMul)
	a, b := s.in[0], s.in[1]
	defer s.restore()
	if o.TransA || !unitRows(a) {
		view := *a
		if o.TransA {
			s.inputs.views[0].swap(&view, len(a.Shape)-2)
		}
		if err := s.copyDenseInput(0, &view); err != nil || s.halt.Now() {
			return err
		}
	}
	if !unitRows(b) {
		if err := s.copyDenseInput(1, b); err != nil || s.halt.Now() {
			return err
		}
	}
	return runMatMul(s)
}

// runProduct is runLinear of a second operand of any layout.
func runProduct(s *step) error {
	if b := s.in[1]; s.packed == nil && !unitRows(b) && s.out.Len() > 0 {
		defer s.restore()
		if err := s.copyDenseInput(1, b); err != nil || s.halt.Now() {
			return err
		}
	}
	return runLinear(s)
}

func (s *step) matricesWorkspace() (n int) {
	if s.op.(op.MatMul).TransA || !unitRows(s.in[0]) {
		n += denseBytes(s.in[0])
	}
	if !unitRows(s.in[1]) {
		n += denseBytes(s.in[1])
	}
	return n
}

func (s *step) productWorkspace() (n int) {
	if _, _, _, ok := rowRun(s.in[0]); !ok {
		n = program.Align(4 * s.in[0].Len())
	}
	if s.packed == nil && !unitRows(s.in[1]) {
		n += denseBytes(s.in[1])
	}
	return n
}

// denseKernels are the kernels that copy inputs, and the memory of that.
var denseKernels = map[string]func(s *step) int{
	"batch_norm":   func(*step) int { return 0 },
	"batched_gemm": (*step).matricesWorkspace,
	"causal_mask":  func(*step) int { return 0 },
	"gemm":         (*step).productWorkspace,
	"layer_norm":   func(*step) int { return 0 },
	"log_softmax":  (*step).rowsWorkspace,
	"rms_norm":     func(*step) int { return 0 },
	"sample":       (*step).rowsWorkspace,
	"softmax":      (*step).softmaxWorkspace,
	"topk":         func(s *step) int { return s.rowsWorkspace() + program.Align(4*s.op.(op.TopK).K) },
}
