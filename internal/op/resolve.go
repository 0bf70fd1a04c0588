package op

import (
	"errors"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// CapSymbol is the symbol for the capacity of state i in layouts. It is not a
// valid name of a dimension, so no plan can bind it.
func CapSymbol(i int) string { return fmt.Sprintf("#cap%d", i) }

// Resolved is a plan whose operators have been made and checked, and whose
// values have a place in memory.
type Resolved struct {
	Plan    *plan.Plan
	Ops     []Op     // by step
	Layouts []Layout // by value, over the memory of Base
	Base    []int    // by value: the value whose memory it is stored in, itself for a root
	View    []bool   // by step: the output is a view and the step does nothing
	State   []int    // by value: the state whose memory a root is stored in, or -1
	Last    []int    // by root value: last step that accesses it, len(Steps) if it outlives them
	Def     []int    // by root value: step that writes it, -1 for leaves

	custom   *custom.Table
	stateOut map[int]int // state by its Out value
	leaves   []bool      // by value: it is an output or a new state, or a view of it is
	work     *Work
	cost     []int // by value: see [Layout.work]
}

// Choose picks the layout in which step i writes its output, of operator o,
// given the layouts of the values before it; false leaves it row-major.
type Choose func(r *Resolved, i int, o Op) (Layout, bool)

// Resolve makes and checks the operators of a valid plan and lays out its
// values, row-major unless they are views. Errors wrap [plan.ErrInvalid].
//
// Shapes and strides that take more than [MaxPlanWork] to check are
// [transport.ErrLimit].
func Resolve(p *plan.Plan) (*Resolved, error) { return ResolveFrom(nil, p) }

// ResolveFrom is [Resolve] for a plan that may name operators of a user's table.
func ResolveFrom(t *custom.Table, p *plan.Plan) (*Resolved, error) {
	return ResolveLayouts(p, t, NewWork(nil), RowMajor)
}

// RowMajor is the [Choose] of [Resolve].
func RowMajor(*Resolved, int, Op) (Layout, bool) { return Layout{}, false }

// ResolveLayouts is [Resolve] with layouts that the caller chooses, and within
// the remaining work of w, for a plan that may name operators of a user's table.
func ResolveLayouts(p *plan.Plan, t *custom.Table, w *Work, choose Choose) (*Resolved, error) {
	n := len(p.Values)
	r := &Resolved{
		Plan: p, Ops: make([]Op, len(p.Steps)), View: make([]bool, len(p.Steps)),
		Layouts: make([]Layout, n), Base: make([]int, n), State: make([]int, n), Last: make([]int, n), Def: make([]int, n),
		work: w, cost: make([]int, n), custom: t,
	}
	for v := range n {
		r.Base[v], r.State[v], r.Last[v], r.Def[v] = v, -1, -1, -1
		if p.Values[v].Kind != plan.KindTemp {
			if err := r.lay(v, DenseLayout(p.Values[v].Spec.Shape)); err != nil {
				return nil, r.wrong(err, "value %d", v)
			}
		}
	}
	r.stateOut = make(map[int]int, len(p.States))
	for i, s := range p.States {
		r.State[s.In], r.stateOut[s.Out] = i, i
		if s.Mode == plan.StateAppend {
			if err := r.lay(s.In, appendLayout(p.Values[s.In].Spec.Shape, s.Axis, i)); err != nil {
				return nil, r.wrong(err, "state %q", s.Name)
			}
		}
	}
	r.makeOps()
	for i := range p.Steps {
		if err := r.step(i, choose); err != nil {
			return nil, r.wrong(err, "step %d (%q)", i, p.Steps[i].Op)
		}
	}
	return r, r.lifetimes()
}

// makeOps makes the operators, and finds the values that outputs and new states
// are, and are views of. A step that is wrong says so when its turn comes.
func (r *Resolved) makeOps() {
	p := r.Plan
	r.leaves = make([]bool, len(p.Values))
	for _, o := range p.Outputs {
		r.leaves[o.Value] = true
	}
	for _, s := range p.States {
		r.leaves[s.Out] = true
	}
	for i, s := range slices.Backward(p.Steps) {
		o, err := NewFrom(r.custom, s.Op, s.Attrs)
		if err != nil {
			continue
		}
		r.Ops[i] = o
		if _, view := o.(Viewer); view && r.leaves[s.Out] && len(s.In) > 0 {
			r.leaves[s.In[0]] = true
		}
	}
}

// wrong reports where the plan is invalid, unless the work was stopped, which
// is not the plan's fault.
func (r *Resolved) wrong(err error, format string, args ...any) error {
	if stopped := r.work.stopped(); stopped != nil {
		return stopped
	}
	return fmt.Errorf("%w: "+format+": %w", append(append([]any{plan.ErrInvalid}, args...), err)...)
}

// lay computes the layout of a value, unless that is beyond the limits.
func (r *Resolved) lay(v int, l Layout) error {
	if err := l.Err(); err != nil {
		return err
	}
	r.Layouts[v], r.cost[v] = l, l.work(r.Plan.Values[v].Spec.Shape)
	return r.work.Spend(r.cost[v] + l.held())
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
	o := r.Ops[i]
	if o == nil {
		_, err := NewFrom(r.custom, s.Op, s.Attrs)
		return err
	}
	in, cost := make([]plan.Spec, len(s.In)), 1
	for j, v := range s.In {
		in[j] = p.Values[v].Spec
		cost += r.cost[v]
	}
	if err := r.work.Spend(cost); err != nil {
		return err
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
			r.Base[s.Out] = r.Base[s.In[0]]
			return r.lay(s.Out, r.Layouts[s.In[0]])
		}
		if _, ok := o.(Append); ok {
			return errors.New("appends to something that is not a state")
		}
	case Viewer:
		l, ok := o.View(in[0], r.Layouts[s.In[0]], out)
		if _, repeats := o.(Expand); repeats && r.leaves[s.Out] {
			ok = false // what leaves the run has memory of its own size, which counts
		}
		if ok {
			r.View[i], r.Base[s.Out] = true, r.Base[s.In[0]]
			return r.lay(s.Out, l)
		}
	}
	l, ok := choose(r, i, o)
	if !ok {
		l = DenseLayout(want.Shape)
	}
	return r.lay(s.Out, l)
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

// lifetimes finds the last use of each root and checks the states: a state
// updated in place is written by its own step, after the other readers.
func (r *Resolved) lifetimes() error {
	p := r.Plan
	for i := range p.Steps {
		r.Last[r.Base[p.Steps[i].Out]] = i
		for _, v := range p.Steps[i].In {
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
	}
	return r.readBefore()
}

// readBefore checks that nothing reads a written state's old value after the
// write.
func (r *Resolved) readBefore() error {
	old := make([]*plan.State, len(r.Plan.Values)) // the state that a value is an old view of
	for i := range r.Plan.States {
		if s := &r.Plan.States[i]; s.Mode == plan.StateWrite {
			old[s.In] = s
		}
	}
	for i := range r.Plan.Steps {
		st := &r.Plan.Steps[i]
		for _, v := range st.In {
			s := old[v]
			if s != nil && i > r.Def[s.Out] {
				return fmt.Errorf("%w: step %d reads state %q after it was overwritten", plan.ErrInvalid, i, s.Name)
			}
			if s != nil && r.View[i] {
				old[st.Out] = s
			}
		}
	}
	for i := range r.Plan.States {
		if o := &r.Plan.States[i]; old[o.Out] != nil {
			return fmt.Errorf("%w: state %q becomes what state %q was before it was overwritten", plan.ErrInvalid, o.Name, old[o.Out].Name)
		}
	}
	for _, o := range r.Plan.Outputs {
		if s := old[o.Value]; s != nil {
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
// buffer, and no two roots in one buffer are alive at the same time.
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
