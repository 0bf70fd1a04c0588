package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/normal"
	"github.com/genie-sdk/go/lazy"
)

// The captured program and its normal form. A program is recognised, priced and
// planned in its normal form; what this package shows is the captured program.
// A program whose normal form is itself has one SRG. Any other has two: the
// captured program's, which callers see, and that of the normal form, whose
// Graph and Nodes are the normal form's. Results are translated where they
// leave the package, by the functions of this file.

// normalForm connects the two, by tensor ids of either.
type normalForm struct {
	srg  *SRG
	to   []*lazy.Tensor // by captured id: the tensor with its value
	from []*lazy.Tensor // by normal id: the captured tensor with its value, nil for none
	// owner is, by normal id, the captured tensor to which its work belongs, -1
	// if nothing reads it: the one with its value, else that of its reader.
	owner []int
	// into is, by captured id, the captured tensor whose operator absorbed a
	// live tensor that is not computed by itself any more, else -1.
	into []int
}

// core is the SRG of the normal form.
func (s *SRG) core() *SRG {
	if s.form != nil {
		return s.form.srg
	}
	return s
}

// face is the SRG of the captured program.
func (s *SRG) face() *SRG {
	if s.captured != nil {
		return s.captured
	}
	return s
}

// normalOf is the tensor of the normal form with a captured tensor's value.
func (s *SRG) normalOf(t *lazy.Tensor) *lazy.Tensor {
	if f := s.face().form; f != nil && t != nil {
		return f.to[t.ID()]
	}
	return t
}

// capturedOf is the captured tensor with the value of one of the normal form;
// nil if there is none.
func (s *SRG) capturedOf(t *lazy.Tensor) *lazy.Tensor {
	if f := s.face().form; f != nil && t != nil {
		return f.from[t.ID()]
	}
	return t
}

// ownerOf is the id of the captured tensor to which the work of a tensor of the
// normal form belongs.
func (s *SRG) ownerOf(id int) int {
	if f := s.face().form; f != nil {
		return f.owner[id]
	}
	return id
}

// translate is the hints of a captured program about its normal form.
func (h *hintTable) translate(to []*lazy.Tensor) hintTable {
	return hintTable{
		tensors: rekey(h.tensors, to), residency: rekey(h.residency, to), modality: rekey(h.modality, to),
		phase: rekey(h.phase, to), branch: rekey(h.branch, to), cache: rekey(h.cache, to),
	}
}

func rekey[V any](m map[int]V, to []*lazy.Tensor) map[int]V {
	out := make(map[int]V, len(m))
	for id, v := range m {
		out[to[id].ID()] = v
	}
	return out
}

// lift is the SRG of a captured program from that of its normal form.
func lift(a *analysis, form *normal.Form, core *SRG) (*SRG, error) {
	s := a.SRG
	if err := (liveness{}).Recognise(a); err != nil {
		return nil, err
	}
	s.form = &normalForm{srg: core, to: form.To}
	s.form.connect(a)
	s.Notes = notesOf(form.Notes)
	s.static, s.rows, core.captured = core.static, core.rows, s
	s.liftNodes(a)
	for _, c := range core.Caches {
		c.Update, c.Rows = s.nearest(c.Update), s.nearest(c.Rows)
		s.Caches = append(s.Caches, c)
	}
	for _, b := range core.Branches {
		s.Branches = append(s.Branches, Branch{ID: b.ID, Modality: b.Modality})
	}
	for id := range s.Nodes {
		if b := s.Nodes[id].Branch; b > 0 {
			s.Branches[b-1].Nodes = append(s.Branches[b-1].Nodes, id)
		}
	}
	return s, nil
}

// nearest is the captured tensor with the value of one of the normal form, or
// the one to which its work belongs.
func (s *SRG) nearest(t *lazy.Tensor) *lazy.Tensor {
	if c := s.capturedOf(t); c != nil {
		return c
	}
	return s.Graph.Tensors()[s.form.owner[t.ID()]]
}

// connect finds the counterparts of the tensors of both programs.
func (f *normalForm) connect(a *analysis) {
	normals := f.srg.Graph.Tensors()
	f.from, f.owner = make([]*lazy.Tensor, len(normals)), make([]int, len(normals))
	for _, live := range []bool{true, false} {
		for id, t := range a.tensors {
			if n := f.to[id].ID(); f.from[n] == nil && a.Nodes[id].Dead != live {
				f.from[n] = t
			}
		}
	}
	for i := range f.owner {
		f.owner[i] = -1
	}
	for id, n := range slices.Backward(normals) {
		if t := f.from[id]; t != nil {
			f.owner[id] = t.ID()
		}
		for _, in := range n.In() {
			if !f.srg.Nodes[id].Dead {
				f.owner[in.ID()] = f.owner[id] // the first reader comes last
			}
		}
	}
	f.into = make([]int, len(a.tensors))
	for id := range slices.Backward(a.tensors) {
		f.into[id] = -1
		if a.Nodes[id].Dead || !f.srg.Nodes[f.to[id].ID()].Dead {
			continue
		}
		if readers := a.readers[id]; len(readers) > 0 {
			if f.into[id] = readers[0].id; f.into[f.into[id]] >= 0 {
				f.into[id] = f.into[f.into[id]]
			}
		}
	}
}

// work is the tensor of the normal form that does the work of one whose value is
// that of the tensor id: the attention behind views, a scale and a selection of
// rows, if it is a product with values or was absorbed by one.
func (f *normalForm) work(id int, product bool) int {
	t := f.srg.Graph.Tensors()[id]
	if !product {
		return id
	}
	for range 8 {
		i := 0
		switch {
		case is(t, "attention"):
			return t.ID()
		case is(t, "where"):
			i = 1
		case !isView(t) && !is(t, "mul"):
			return id
		}
		t = t.In()[i]
	}
	return id
}

// sidesOfOperands gives what attention absorbed of its operands, such as scales
// and copies, the branch of what it is computed from.
func (s *SRG) sidesOfOperands(a *analysis) {
	for id, t := range a.tensors {
		if s.form.into[id] < 0 || t.Op() == nil || a.constant[id] || s.Nodes[id].Attention > 0 {
			continue
		}
		i := slices.IndexFunc(t.In(), func(in *lazy.Tensor) bool { return !a.constant[in.ID()] })
		if owner := s.form.to[s.form.into[id]].ID(); i >= 0 && is(s.form.srg.Graph.Tensors()[s.form.work(owner, true)], "attention") {
			s.Nodes[id].Branch = s.Nodes[t.In()[i].ID()].Branch
		}
	}
}

// continues reports whether an absorbed tensor is computed from a tensor of the
// pattern: not an operand of it that was absorbed.
func (s *SRG) continues(t *lazy.Tensor, pattern int) bool {
	return slices.ContainsFunc(t.In(), func(in *lazy.Tensor) bool { return pattern > 0 && s.Nodes[in.ID()].Attention == pattern })
}

// absorbedPatterns finds the captured tensors that an operator of attention
// stands for, from the product with its keys to the product with its values,
// and gives them its number.
func (s *SRG) absorbedPatterns(a *analysis) {
	f := s.form
	// By operator: the products with its values, of which equal ones share it; the
	// last one, if all were absorbed.
	products, last := map[int][]int{}, map[int]int{}
	for id, t := range a.tensors {
		if !is(t, "matmul") || a.Nodes[id].Dead {
			continue
		}
		core, alive := f.to[id].ID(), f.into[id] < 0
		if !alive {
			core = f.to[f.into[id]].ID()
		}
		at := f.work(core, true)
		if !is(f.srg.Graph.Tensors()[at], "attention") {
			continue
		}
		if alive {
			products[at] = append(products[at], id)
		}
		last[at] = id
	}
	for at, id := range last {
		if len(products[at]) == 0 {
			products[at] = []int{id}
		}
	}
	for at, list := range products {
		for _, id := range list {
			f.between(a, id, func(x int) { s.Nodes[x].Attention = f.srg.Nodes[at].Attention })
		}
	}
}

// between calls found for a product and for the absorbed tensors between it
// and the products that it absorbed.
func (f *normalForm) between(a *analysis, context int, found func(id int)) {
	from := map[int]bool{} // whether a product is among what it is computed from
	var visit func(id int) bool
	visit = func(id int) bool {
		if v, ok := from[id]; ok {
			return v
		}
		t := a.tensors[id]
		from[id] = false
		product := is(t, "matmul") && id != context && !a.constant[t.In()[0].ID()] && !a.constant[t.In()[1].ID()]
		for _, in := range t.In() {
			if f.into[in.ID()] >= 0 && visit(in.ID()) {
				product = true
			}
		}
		if from[id] = product; product {
			found(id)
		}
		return product
	}
	visit(context)
}

// repeats reports whether a tensor shows another one's memory repeatedly.
func repeats(t *lazy.Tensor) bool {
	for isView(t) {
		if is(t, "expand") {
			return true
		}
		t = t.In()[0]
	}
	return false
}

// viewsInAttention puts a view that the normal form has no tensor for into a
// pattern of attention if it is between two tensors of the pattern.
func (s *SRG) viewsInAttention(a *analysis) {
	f := s.form
	// shown is what a tensor that is gone shows: the input of a view, or the one
	// whose value it has.
	shown := func(t *lazy.Tensor) *lazy.Tensor {
		n := f.to[t.ID()]
		for _, in := range t.In() {
			if f.to[in.ID()] == n {
				return in
			}
		}
		if isView(t) && (f.from[n.ID()] != t || f.into[t.ID()] >= 0 || is(n, "attention")) {
			return t.In()[0]
		}
		return nil
	}
	for id, t := range slices.Backward(a.tensors) {
		if shown(t) == nil {
			continue
		}
		s.Nodes[id].Attention = 0
		if i := f.into[id]; i >= 0 && is(f.srg.Graph.Tensors()[f.work(f.to[i].ID(), true)], "attention") {
			continue // see absorbedPatterns
		}
		for _, r := range a.readers[id] {
			s.Nodes[id].Attention = max(s.Nodes[id].Attention, s.Nodes[r.id].Attention)
		}
	}
	for id, t := range a.tensors {
		if in := shown(t); in != nil && s.Nodes[in.ID()].Attention != s.Nodes[id].Attention {
			s.Nodes[id].Attention = 0
		}
	}
}

// adoptConstants gives constants the branch and the phase of their readers: the
// normal form shares equal constants, which is not what the program says. It
// does so with the phase of absorbed values that have no modality.
func (s *SRG) adoptConstants(a *analysis, declared []bool) {
	for id := range slices.Backward(a.tensors) {
		n := &s.Nodes[id]
		absorbed := s.form.into[id] >= 0 && n.Modality == ModalityNone
		if !a.constant[id] && !absorbed || declared[id] || n.Dead {
			continue
		}
		readers := a.readers[id]
		if len(readers) == 0 {
			continue
		}
		branch, phase := s.Nodes[readers[0].id].Branch, s.own[readers[0].id]
		for _, r := range readers[1:] {
			if s.Nodes[r.id].Branch != branch {
				branch = 0
			}
			if s.own[r.id] != phase {
				phase = phaseOfRun
			}
		}
		if s.own[id] = phase; a.constant[id] {
			n.Branch = branch
		}
	}
}

// liftNodes gives the captured tensors the meaning of what computes them.
func (s *SRG) liftNodes(a *analysis) {
	f := s.form
	declared := make([]bool, len(a.tensors))
	for _, o := range s.Graph.Outputs() {
		declared[o.Tensor.ID()] = true
	}
	for _, c := range s.Graph.Carries() {
		declared[c.Out.ID()] = true
	}
	s.own = make([]nodePhase, len(a.tensors))
	for id, t := range a.tensors {
		n, core := &s.Nodes[id], f.to[id].ID()
		own := f.srg.Nodes[core]
		n.Residency, n.Modality, n.Sampling = own.Residency, own.Modality, own.Sampling
		if t.Kind() == lazy.KindOp && n.Residency != StatefulKVCache && n.Residency != PersistentWeight && (!declared[id] || n.Residency != RecurrentState) {
			n.Residency = EphemeralActivation
			if declared[id] {
				n.Residency = ExternalOutput
			}
		}
		if n.Residency == StatefulKVCache && repeats(f.to[id]) && (!isView(t) || s.Nodes[t.In()[0].ID()].Residency != StatefulKVCache) {
			n.Residency = EphemeralActivation // a copy as the program says it, or a view of one
		}
		if r, ok := a.hints.residency[id]; ok {
			n.Residency = r
		}
		s.own[id] = f.srg.own[core] // by what it depends on
		if f.into[id] >= 0 {
			core = f.to[f.into[id]].ID()
		}
		n.Branch = f.srg.Nodes[core].Branch
		at := f.work(core, is(t, "matmul") || f.into[id] >= 0)
		operator := is(f.srg.Graph.Tensors()[at], "attention")
		if !operator && (f.into[id] < 0 || s.continues(t, f.srg.Nodes[at].Attention)) {
			n.Attention = f.srg.Nodes[at].Attention
		}
		if f.into[id] >= 0 && isView(t) && !a.constant[id] {
			n.Branch = s.Nodes[t.In()[0].ID()].Branch // the side of what it shows, not of what meets there
		}
	}
	s.viewsInAttention(a)
	s.absorbedPatterns(a)
	s.sidesOfOperands(a)
	s.adoptConstants(a, declared)
	for id := range s.Nodes {
		n := &s.Nodes[id]
		if b, ok := a.hints.branch[id]; ok {
			n.Branch = b
		}
		if p, ok := a.hints.phase[id]; ok {
			s.own[id] = ownPhase(p)
		}
	}
}
