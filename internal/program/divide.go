package program

import (
	"encoding/binary"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Division is how a run over many rows can be made as several runs over fewer,
// with equal bits: a prefill as portions of its prompt. Each portion appends its
// rows to the carried state, after those of the portions before; the last one
// gives the outputs, which depend on the last row only.
type Division struct {
	Rows, Past int   // indices of the symbols: new rows, and rows of the state before the run
	Inputs     []int // by input: the axis of its rows, -1 for an input that each portion gets whole
	// Starts are inputs, integers, that say how many rows of padding a sequence
	// begins with. A row of padding attends to all keys of its run alike, so a run
	// with such rows is not divided.
	Starts []int
	Until  int // groups that a portion runs when it is not the last
}

// Division finds how runs of the program can be divided; nil where they cannot.
// They can if all carried state grows by the same rows, each row of a value is
// computed from the same row of others, or by causal attention from those before
// it in the state, and every output depends on the last row only.
func (p *Program) Division() *Division {
	if len(p.Lanes) > 0 || len(p.plan.States) == 0 {
		return nil
	}
	d := &divider{prog: p, kinds: make([]part, len(p.plan.Values))}
	if !d.symbols() || !d.given() {
		return nil
	}
	for i := range p.plan.Steps {
		d.step(i)
	}
	for _, o := range p.plan.Outputs {
		if k := d.kinds[o.Value].kind; k != partWhole && k != partLast {
			return nil
		}
	}
	out := &Division{Rows: slices.Index(p.symbols, d.rows), Past: slices.Index(p.symbols, d.past)}
	for _, in := range p.plan.Inputs {
		axis := -1
		if k := d.kinds[in.Value]; k.kind == partRows {
			axis = k.axis
		}
		out.Inputs = append(out.Inputs, axis)
	}
	out.Until, out.Starts = d.until(), d.starts
	return out
}

// Begun reports whether all sequences have begun before the row past, so that
// none of the rows from there on is padding. input is the bytes of an input, nil
// where they are not known.
func (d *Division) Begun(p *plan.Plan, input func(i int) []byte, past int) bool {
	for _, i := range d.Starts {
		data, size := input(i), p.Values[p.Inputs[i].Value].Spec.DType.Size()
		if data == nil {
			return false
		}
		for ; len(data) >= size; data = data[size:] {
			start := int64(int32(binary.LittleEndian.Uint32(data)))
			if size == 8 {
				start = int64(binary.LittleEndian.Uint64(data))
			}
			if start > int64(past) {
				return false
			}
		}
	}
	return true
}

// Cut is the bytes of rows from..from+n of an input of a run with those bindings.
// It returns nil where the input does not have as many bytes as the run wants.
func (d *Division) Cut(p *plan.Plan, input int, data []byte, bindings []int, from, n int) []byte {
	v := &p.Values[p.Inputs[input].Value]
	sizes := plan.Bindings{}
	for i, name := range p.Symbols() {
		sizes[name] = bindings[i]
	}
	shape, err := v.Spec.Shape.Eval(sizes)
	if err != nil {
		return nil
	}
	pieces, size := 1, v.Spec.DType.Size()
	for i, k := range shape {
		switch {
		case i < d.Inputs[input]:
			pieces *= k
		case i > d.Inputs[input]:
			size *= k
		}
	}
	total := shape[d.Inputs[input]]
	if len(data) != pieces*total*size {
		return nil
	}
	out := make([]byte, 0, pieces*n*size)
	for k := range pieces {
		out = append(out, data[(k*total+from)*size:][:n*size]...)
	}
	return out
}

// part is what a portion has of a value of the whole run.
type part struct {
	kind partKind
	axis int
}

type partKind uint8

const (
	partOther partKind = iota // unknown
	partWhole                 // all of it
	partRows                  // its rows along axis
	partPast                  // a carried state before it
	partGrown                 // a carried state after it: that of the whole run, up to its rows
	partLast                  // all of it in the last portion, something else in the others
)

// divider finds the parts of all values.
type divider struct {
	prog       *Program
	rows, past string
	kinds      []part // by value
	starts     []int  // inputs
}

// symbols finds the symbols of the new rows and of those before, which all states
// have in common.
func (d *divider) symbols() bool {
	for _, st := range d.prog.plan.States {
		if st.Mode != plan.StateAppend {
			return false
		}
		before := d.shape(st.In)[st.Axis]
		past, ok := before.Symbol()
		rows, ok2 := d.shape(st.Out)[st.Axis].Sub(before).Symbol()
		if !ok || !ok2 || past == rows || d.past != "" && (past != d.past || rows != d.rows) {
			return false
		}
		d.past, d.rows = past, rows
		if n := d.mentions(d.shape(st.In)); n != 1 {
			return false
		}
		d.kinds[st.In] = part{partPast, st.Axis}
	}
	return true
}

func (d *divider) shape(v int) plan.Shape { return d.prog.plan.Values[v].Spec.Shape }

// mentions counts the dimensions that depend on the two symbols.
func (d *divider) mentions(dims plan.Shape) (n int) {
	for _, x := range dims {
		if d.depends(x) {
			n++
		}
	}
	return n
}

func (d *divider) depends(x plan.Dim) bool {
	var list []string
	list = x.Symbols(list)
	if slices.Contains(list, d.rows) || slices.Contains(list, d.past) {
		return true
	}
	for _, s := range list {
		if _, _, ok := plan.Quotient(s); ok {
			return true // perhaps
		}
	}
	return false
}

// rowAxis is the only axis of a shape that depends on the symbols, if it is the
// rows.
func (d *divider) rowAxis(s plan.Shape) (int, bool) {
	i := slices.IndexFunc(s, d.depends)
	if i < 0 || d.mentions(s) != 1 || !s[i].Equal(plan.Sym(d.rows)) {
		return 0, false
	}
	return i, true
}

// given finds the parts of what no step computes.
func (d *divider) given() bool {
	for v := range d.prog.plan.Values {
		x := &d.prog.plan.Values[v]
		switch {
		case x.Kind == plan.KindTemp, x.Kind == plan.KindState && d.kinds[v].kind == partPast:
		case d.mentions(x.Spec.Shape) == 0:
			d.kinds[v] = part{kind: partWhole}
		case x.Kind == plan.KindInput:
			axis, ok := d.rowAxis(x.Spec.Shape)
			if !ok {
				return false
			}
			d.kinds[v] = part{partRows, axis}
		default:
			return false
		}
	}
	return true
}

// step finds the part of a step's output.
func (d *divider) step(i int) {
	s, o := &d.prog.plan.Steps[i], d.prog.Res.Ops[i]
	if axis, ok := d.grows(o, s); ok {
		d.kinds[s.Out] = part{partGrown, axis}
		return
	}
	if k, ok := d.fromLast(o, s); ok {
		d.kinds[s.Out] = part{kind: k}
		return
	}
	if axis, ok := d.rowAxis(d.shape(s.Out)); ok && d.rowWise(o, s, axis) {
		d.kinds[s.Out] = part{partRows, axis}
	}
}

// grows reports whether a step appends its rows to a carried state.
func (d *divider) grows(o op.Op, s *plan.Step) (axis int, ok bool) {
	a, ok := o.(op.Append)
	if !ok {
		return 0, false
	}
	state, rows := d.kinds[s.In[0]], d.kinds[s.In[1]]
	return a.Axis, state == part{partPast, a.Axis} && rows == part{partRows, a.Axis}
}

// fromLast reports whether a step computes, in the last portion, what it computes
// in the whole run.
func (d *divider) fromLast(o op.Op, s *plan.Step) (partKind, bool) {
	if d.mentions(d.shape(s.Out)) > 0 {
		return 0, false
	}
	if cut, ok := o.(op.Slice); ok && d.kinds[s.In[0]] == (part{partRows, cut.Axis}) {
		rows := plan.Sym(d.rows)
		return partLast, cut.Start.Equal(rows.Sub(plan.C(1))) && cut.Stop.Equal(rows)
	}
	if d.attributes(o) > 0 {
		return 0, false
	}
	out := partWhole
	for _, v := range s.In {
		switch d.kinds[v].kind {
		case partWhole:
		case partLast, partGrown:
			out = partLast
		default:
			return 0, false
		}
	}
	return out, true
}

// attributes counts the attributes of an operator that depend on the symbols.
func (d *divider) attributes(o op.Op) (n int) {
	for _, a := range o.Attrs() {
		n += d.mentions(a.Dims)
	}
	return n
}

// rowWise reports whether the output's rows along an axis are computed from the
// same rows of the inputs.
func (d *divider) rowWise(o op.Op, s *plan.Step, axis int) bool {
	switch x := o.(type) {
	case op.Attention:
		return d.attends(x, s, axis)
	case op.Embedding:
		return d.kinds[s.In[0]].kind == partWhole && d.kinds[s.In[1]] == part{partRows, axis}
	case op.Transpose:
		return d.kinds[s.In[0]] == part{partRows, x.Perm[axis]}
	case op.Slice:
		return x.Axis != axis && d.attributes(o) == 0 && d.kinds[s.In[0]] == part{partRows, axis}
	case op.Reshape, op.Expand:
		if d.attributes(o) != 1 { // the rows, where the output has them
			return false
		}
	default:
		if d.attributes(o) > 0 {
			return false
		}
	}
	in := make([]plan.Spec, len(s.In))
	for k, v := range s.In {
		in[k] = d.prog.plan.Values[v].Spec
	}
	axes, _, ok := op.Rows(o, in, d.prog.plan.Values[s.Out].Spec, op.Slice{Axis: axis, Start: plan.C(0), Stop: plan.Sym(d.rows)})
	if !ok {
		return false
	}
	for k, v := range s.In {
		want := part{kind: partWhole}
		if axes[k] >= 0 {
			want = part{partRows, axes[k]}
		}
		if d.kinds[v] != want {
			return false
		}
	}
	return true
}

// attends reports whether an attention computes rows from carried state: a query
// sees the keys up to its own, of which a portion has all.
func (d *divider) attends(o op.Attention, s *plan.Step, axis int) bool {
	at := len(d.shape(s.Out)) - 2
	if !o.Causal || axis != at || o.MaskInput() >= 0 {
		return false
	}
	if i := o.StartInput(); i >= 0 && !d.pads(s.In[i]) {
		return false
	}
	grown := part{partGrown, at}
	return d.kinds[s.In[0]] == part{partRows, at} && d.kinds[s.In[1]] == grown && d.kinds[s.In[2]] == grown
}

// pads records a value that says where sequences start, which must be an input.
func (d *divider) pads(v int) bool {
	i := slices.IndexFunc(d.prog.plan.Inputs, func(in plan.Port) bool { return in.Value == v })
	if i < 0 || d.kinds[v].kind != partWhole {
		return false
	}
	if !slices.Contains(d.starts, i) {
		d.starts = append(d.starts, i)
	}
	return true
}

// until is the number of groups after which all states are written.
func (d *divider) until() (n int) {
	writes := make([]bool, len(d.prog.plan.Steps))
	for _, st := range d.prog.plan.States {
		writes[d.prog.Res.Def[st.Out]] = true
	}
	for i := range d.prog.Groups {
		for _, k := range d.prog.Groups[i].Steps {
			if writes[k] {
				n = i + 1
			}
		}
	}
	return n
}
