package op

import (
	"errors"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// CapSymbol is the symbol that stands for the capacity of state i in layouts.
// It is no valid name of a dimension, so no plan can bind it.
func CapSymbol(i int) string { return fmt.Sprintf("#cap%d", i) }

// Resolved is a plan whose operators have been made and checked, and whose
// values have a place in memory.
type Resolved struct {
	Plan    *plan.Plan
	Ops     []Op     // by step
	Layouts []Layout // by value, over the memory of Base
	Base    []int    // by value: the value whose memory it lies in, itself for a root
	View    []bool   // by step: the output is a view and the step does nothing
	State   []int    // by value: the state whose memory a root lies in, or -1
	Last    []int    // by root value: last step that touches it, len(Steps) if it outlives them
	Def     []int    // by root value: step that writes it, -1 for leaves

	stateOut map[int]int // state by its Out value
}

// Choose picks the layout in which step i writes its output, of operator o,
// knowing the layouts of the values before it; false leaves it row-major.
type Choose func(r *Resolved, i int, o Op) (Layout, bool)

// Resolve makes and checks the operators of a valid plan and lays out its
// values, row-major unless they are views. Errors wrap [plan.ErrInvalid].
func Resolve(p *plan.Plan) (*Resolved, error) {
	return ResolveLayouts(p, func(*Resolved, int, Op) (Layout, bool) { return Layout{}, false })
}

// ResolveLayouts is [Resolve] with layouts of the caller's choice.
func ResolveLayouts(p *plan.Plan, choose Choose) (*Resolved, error) {
	n := len(p.Values)
	r := &Resolved{
		Plan: p, Ops: make([]Op, len(p.Steps)), View: make([]bool, len(p.Steps)),
		Layouts: make([]Layout, n), Base: make([]int, n), State: make([]int, n), Last: make([]int, n), Def: make([]int, n),
	}
	for v := range n {
		r.Base[v], r.State[v], r.Last[v], r.Def[v] = v, -1, -1, -1
		if p.Values[v].Kind != plan.KindTemp {
			r.Layouts[v] = DenseLayout(p.Values[v].Spec.Shape)
		}
	}
	r.stateOut = make(map[int]int, len(p.States))
	for i, s := range p.States {
		r.State[s.In], r.stateOut[s.Out] = i, i
		if s.Mode == plan.StateAppend {
			r.Layouts[s.In] = appendLayout(p.Values[s.In].Spec.Shape, s.Axis, i)
		}
	}
	for i := range p.Steps {
		if err := r.step(i, choose); err != nil {
			return nil, fmt.Errorf("%w: step %d (%q): %w", plan.ErrInvalid, i, p.Steps[i].Op, err)
		}
	}
	return r, r.lifetimes()
}

func appendLayout(shape plan.Shape, axis, state int) Layout {
	s := append(plan.Shape(nil), shape...)
	s[axis] = plan.Sym(CapSymbol(state))
	l := DenseLayout(s)
	l.Dense = false
	return l
}

func (r *Resolved) step(i int, choose Choose) error {
	p, s := r.Plan, &r.Plan.Steps[i]
	o, err := New(s.Op, s.Attrs)
	if err != nil {
		return err
	}
	r.Ops[i] = o
	in := make([]plan.Spec, len(s.In))
	for j, v := range s.In {
		in[j] = p.Values[v].Spec
	}
	out, err := o.Infer(in)
	if err != nil {
		return err
	}
	want := p.Values[s.Out].Spec
	if out.DType != want.DType || !out.Shape.Equal(want.Shape) {
		return fmt.Errorf("gives %v, the plan says %v", out, want)
	}
	r.Def[s.Out] = i
	switch o := o.(type) {
	case Append, WriteRows:
		if st := r.updates(s); st >= 0 {
			r.Base[s.Out], r.Layouts[s.Out] = r.Base[s.In[0]], r.Layouts[s.In[0]]
			return nil
		}
		if _, ok := o.(Append); ok {
			return errors.New("appends to something that is no state")
		}
	case Viewer:
		if l, ok := o.View(in[0], r.Layouts[s.In[0]], out); ok {
			r.View[i], r.Layouts[s.Out], r.Base[s.Out] = true, l, r.Base[s.In[0]]
			return nil
		}
	}
	r.Layouts[s.Out] = DenseLayout(want.Shape)
	if l, ok := choose(r, i, o); ok {
		r.Layouts[s.Out] = l
	}
	return nil
}

// updates finds the state that step s updates in place, or -1.
func (r *Resolved) updates(s *plan.Step) int {
	i, ok := r.stateOut[s.Out]
	if !ok || r.Plan.States[i].In != s.In[0] {
		return -1
	}
	st := r.Plan.States[i]
	switch o, _ := New(s.Op, s.Attrs); o := o.(type) {
	case Append:
		if a, err := normAxis(o.Axis, len(r.Plan.Values[st.In].Spec.Shape)); err == nil && st.Mode == plan.StateAppend && a == st.Axis {
			return i
		}
	case WriteRows:
		if st.Mode == plan.StateWrite {
			return i
		}
	}
	return -1
}

// lifetimes finds the last use of each root and checks the states: what is
// updated in place is written by its own step, after the other readers.
func (r *Resolved) lifetimes() error {
	p := r.Plan
	for i := range p.Steps {
		for _, v := range append([]int{p.Steps[i].Out}, p.Steps[i].In...) {
			r.Last[r.Base[v]] = i
		}
	}
	for _, o := range p.Outputs {
		r.Last[r.Base[o.Value]] = len(p.Steps)
	}
	for i, s := range p.States {
		r.Last[r.Base[s.Out]] = len(p.Steps)
		if s.Mode == plan.StateReplace {
			continue
		}
		if r.Base[s.Out] != s.In || s.Out == s.In || r.Def[s.Out] < 0 || r.updates(&p.Steps[r.Def[s.Out]]) != i {
			return fmt.Errorf("%w: state %q is not updated in place by its own step", plan.ErrInvalid, s.Name)
		}
		if s.Mode == plan.StateWrite {
			if err := r.readBefore(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// readBefore checks that nothing reads a written state's old value after the
// write.
func (r *Resolved) readBefore(s plan.State) error {
	old := map[int]bool{s.In: true}
	for i, st := range r.Plan.Steps {
		for _, v := range st.In {
			if old[v] && i > r.Def[s.Out] {
				return fmt.Errorf("%w: step %d reads state %q after it was overwritten", plan.ErrInvalid, i, s.Name)
			}
			if old[v] && r.View[i] {
				old[st.Out] = true
			}
		}
	}
	for _, o := range r.Plan.Outputs {
		if old[o.Value] {
			return fmt.Errorf("%w: output %q reads state %q after it was overwritten", plan.ErrInvalid, o.Name, s.Name)
		}
	}
	return nil
}

// InScratch reports whether value v is a root that needs scratch memory.
func (r *Resolved) InScratch(v int) bool {
	return r.Plan.Values[v].Kind == plan.KindTemp && r.Base[v] == v
}

// CheckBuffers verifies the buffer assignment: every temporary has its root's
// buffer, and no two roots in one buffer are alive at one time.
func (r *Resolved) CheckBuffers() error {
	p := r.Plan
	byBuffer := make([][]int, p.Buffers)
	for v := range p.Values {
		want := plan.NoBuffer
		if r.InScratch(r.Base[v]) {
			want = p.Values[r.Base[v]].Buffer
			if want == plan.NoBuffer {
				return fmt.Errorf("%w: value %d has no buffer", plan.ErrInvalid, v)
			}
		}
		if p.Values[v].Buffer != want {
			return fmt.Errorf("%w: value %d is in buffer %d, its memory is in %d", plan.ErrInvalid, v, p.Values[v].Buffer, want)
		}
		if r.InScratch(v) {
			byBuffer[want] = append(byBuffer[want], v)
		}
	}
	for b, vs := range byBuffer {
		slices.SortFunc(vs, func(x, y int) int { return r.Def[x] - r.Def[y] })
		for i, v := range vs[min(1, len(vs)):] {
			if prev := vs[i]; r.Last[prev] >= r.Def[v] {
				return fmt.Errorf("%w: values %d and %d are alive at once in buffer %d", plan.ErrInvalid, prev, v, b)
			}
		}
	}
	return nil
}
