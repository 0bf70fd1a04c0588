package semantic

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// lowering turns one request into plans.
type lowering struct {
	f       Rules
	s       *SRG    // of the normal form
	r       Request // about the normal form
	request Request // about the captured program
	main    *irGraph
	client  *irGraph
	onSide  map[int]bool // captured tensors that the client computes
	carried map[int]int  // carried input's tensor id to carry index
	out     *Schedule

	mainOuts []mainOut
	outAt    map[*lazy.Tensor]int // index in mainOuts
	// Tensors from which a token is sampled, through views, and which are
	// inputs of the sampling.
	logits, chosen map[*lazy.Tensor]bool
	// states is the treatment of each carried pair that stays.
	states []carryState
}

type mainOut struct {
	name    string
	src     *lazy.Tensor
	cause   plan.Cause
	byValue bool    // the client needs it itself, not only to return it to the caller
	copied  *irNode // a copy of src, whose own memory is overwritten before it is read
}

type carryState struct {
	mode    plan.StateMode
	axis    int
	in, out *irNode
}

// targets decides which partition computes what, and adds it to the two graphs.
func (l *lowering) targets() error {
	downloads := slices.Clone(l.r.Outputs)
	requested := make(map[lazy.Named]bool, len(downloads))
	for _, o := range downloads {
		requested[o] = true
	}
	if !l.f.Prune {
		for _, o := range l.s.Graph.Outputs() {
			if !requested[o] {
				downloads = append(downloads, o)
			}
		}
	}
	if !l.f.Sampling {
		l.takeSampling(downloads)
	}
	for _, o := range downloads {
		if !l.onSide[o.Tensor.ID()] {
			l.download(o.Name, o.Tensor, !requested[o])
		}
	}
	leaf := func(t *lazy.Tensor) bool { return !l.onSide[t.ID()] }
	for _, o := range l.r.Outputs {
		if !l.onSide[o.Tensor.ID()] {
			continue
		}
		l.client.target(l.client.add(o.Tensor, leaf))
	}
	for _, n := range l.client.leaves() {
		if n.kind == lazy.KindOp {
			l.download(fmt.Sprintf("cut:%d", n.src.ID()), n.src, true)
		}
	}
	if err := l.rewrite(); err != nil {
		return err
	}
	for i, c := range l.s.Graph.Carries() {
		if !l.stays(i) {
			l.download(carryName(c), c.Out, true)
		}
	}
	for i := range l.s.Graph.Carries() {
		l.carry(i)
	}
	return nil
}

// carryName is the name of the output in which a carried pair is returned.
func carryName(c lazy.Carried) string { return "carry:" + c.In.Name() }

// takeSampling leaves sampling to the client: the sampling nodes, and the views
// between them and a value that the client has anyway.
func (l *lowering) takeSampling(downloads []lazy.Named) {
	down := map[int]bool{}
	for _, o := range downloads {
		down[o.Tensor.ID()] = true
	}
	ts := l.s.Graph.Tensors()
	for _, n := range l.s.Nodes {
		if n.Sampling && n.Tensor.Kind() == lazy.KindOp {
			l.onSide[n.Tensor.ID()] = true
		}
	}
	for i, t := range slices.Backward(ts) {
		if !l.onSide[i] {
			continue
		}
		for _, in := range t.In() {
			var chain []*lazy.Tensor
			for isView(in) && !down[in.ID()] {
				chain = append(chain, in)
				in = in.In()[0]
			}
			if down[in.ID()] || in.Kind() != lazy.KindOp {
				for _, c := range chain {
					l.onSide[c.ID()] = true
				}
			}
		}
	}
	// A value that the executor itself needs may not be left to the client.
	for _, c := range l.s.Graph.Carries() {
		l.keepHere(c.Out)
	}
}

func (l *lowering) keepHere(t *lazy.Tensor) {
	if l.onSide[t.ID()] {
		delete(l.onSide, t.ID())
		for _, in := range t.In() {
			l.keepHere(in)
		}
	}
}

// download adds t to the executor's outputs, once for any number of uses, and
// returns its index. byValue means that the client needs the bytes.
func (l *lowering) download(name string, t *lazy.Tensor, byValue bool) int {
	if i, ok := l.outAt[t]; ok {
		l.mainOuts[i].byValue = l.mainOuts[i].byValue || byValue
		return i
	}
	l.outAt[t] = len(l.mainOuts)
	l.main.target(l.main.add(t, func(*lazy.Tensor) bool { return false }))
	l.mainOuts = append(l.mainOuts, mainOut{name: name, src: t, cause: l.outputCause(t), byValue: byValue})
	return len(l.mainOuts) - 1
}

// outputCause is what an output's bytes count as.
func (l *lowering) outputCause(t *lazy.Tensor) plan.Cause {
	n := l.s.Nodes[t.ID()]
	switch {
	case n.Residency == StatefulKVCache:
		return plan.CauseKV
	case n.Sampling:
		return plan.CauseToken
	case l.logits[t]:
		return plan.CauseLogits
	}
	return plan.CauseActivation
}

// findSampling fills logits and chosen.
func (l *lowering) findSampling() {
	for i := range l.s.Nodes {
		n := &l.s.Nodes[i]
		if !n.Sampling || n.Tensor.Kind() != lazy.KindOp {
			continue
		}
		for _, in := range n.Tensor.In() {
			l.chosen[in] = true
		}
		for in := n.Tensor.In()[0]; !l.logits[in]; in = in.In()[0] {
			if l.logits[in] = true; !isView(in) {
				break
			}
		}
	}
}

func (l *lowering) inputCause(t *lazy.Tensor) plan.Cause {
	if _, ok := l.carried[t.ID()]; ok {
		if l.s.Nodes[t.ID()].Residency == StatefulKVCache {
			return plan.CauseKV
		}
		return plan.CauseActivation
	}
	if t.DType().IsInt() {
		return plan.CauseToken
	}
	if l.chosen[t] {
		return plan.CauseToken
	}
	return plan.CauseActivation
}

// carry adds a carried pair to the executor's graph.
func (l *lowering) carry(i int) {
	c := l.s.Graph.Carries()[i]
	never := func(*lazy.Tensor) bool { return false }
	in, out := l.main.add(c.In, never), l.main.add(c.Out, never)
	l.main.target(in)
	if !l.stays(i) {
		l.out.Carries = append(l.out.Carries, CarryPlace{Output: l.download(carryName(c), c.Out, true)})
		return
	}
	st := carryState{mode: plan.StateReplace, in: in, out: out}
	for _, cache := range l.s.Caches {
		if cache.Carry == i {
			l.inPlace(cache, &st)
		}
	}
	if st.mode == plan.StateReplace {
		l.copyOld(st.in)
		// The new value is copied over the old: it may not be a view of it.
		n := l.main.node(out.key)
		n.kind, n.op, n.in, n.spec = lazy.KindOp, op.Contiguous{}, []*irNode{out}, out.spec
		st.out = n
	}
	l.main.target(st.out)
	l.states = append(l.states, st)
	l.out.Carries = append(l.out.Carries, CarryPlace{State: l.stateName(c.In), Output: -1})
}

// StateOf is the prefix of the names of a graph's states if a session carries
// the values of no other graph of its structure. It depends only on the
// structure, so that different processes make the same plan, and on the name
// given by [lazy.Graph.ShareState], if there is one.
func StateOf(g *lazy.Graph) string {
	if name := g.SharedState(); name != "" {
		return "@" + name
	}
	return g.Fingerprint()[:12]
}

func (l *lowering) stateName(in *lazy.Tensor) string { return stateName(l.s.face().Graph, l.r, in) }

// stateName is the name of a carried input's state.
func stateName(g *lazy.Graph, r Request, in *lazy.Tensor) string {
	of := r.State
	if of == "" {
		of = StateOf(g)
	}
	return of + "/" + in.Name()
}
