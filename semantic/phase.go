package semantic

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
)

// phases finds the phase of a graph without caches, and the tensors whose phase
// differs from that of the run that computes them.
//
// The phase of a graph without caches is the first that holds:
//
//   - forward, if an output depends on carried state: one step of a recurrence;
//   - llm_prefill, if it is a causal language model: it has attention with a
//     causal mask, or the sample operator, and outputs scores over the
//     vocabulary of its input or a token. Without a cache every run covers
//     all rows, so none is a decode, not even one over a single token;
//   - multimodal_fusion, if modalities meet, or there is more than one;
//   - vision_encoding, if vision is the only modality and the outputs are
//     embeddings or class scores: none of rank 4 or more, which is an image;
//   - text_encoding, if text is the only modality;
//   - forward.
//
// In a language model (with caches, or as above) the tensors that depend on the
// tokens being decoded or on a cache are in the phase of the run, and so is
// everything they are fused with. A tensor that does not depend on these
// belongs to an encoder: text_encoding or vision_encoding by its modality,
// including keys and values projected from its output for cross-attention. In a
// fused graph tensors of one modality are in its encoding and those after the
// join are in multimodal_fusion. Weights and side inputs are in the phase of
// their readers, or in that of the run when readers differ.
type phases struct{}

func (phases) Name() string { return "phase" }

func (phases) Recognise(a *analysis) error {
	roots := a.modelRoots()
	a.static = a.phaseWithoutCaches(roots)
	a.own = make([]nodePhase, len(a.tensors))
	switch {
	case len(a.Caches) > 0 || a.static == PhasePrefill:
		a.phaseByStream(a.stream(roots))
	case a.static == PhaseFusion:
		for id := range a.Nodes {
			a.own[id] = encoding(a.Nodes[id].Modality)
		}
		a.inheritPhases()
	}
	for id, p := range a.hints.phase {
		a.own[id] = ownPhase(p)
	}
	return nil
}

// nodePhase is a tensor's own phase, or one of the two values below.
type nodePhase int8

const (
	phaseOfRun     nodePhase = 0  // the phase of the run
	phaseOfReaders nodePhase = -1 // not decided yet
)

func ownPhase(p Phase) nodePhase { return nodePhase(p) + 1 }

// encoding is the phase of values computed from one modality.
func encoding(m Modality) nodePhase {
	switch m {
	case ModalityText:
		return ownPhase(PhaseTextEncoding)
	case ModalityVision:
		return ownPhase(PhaseVisionEncoding)
	case ModalityAudio:
		return ownPhase(PhaseForward)
	case ModalityFusion:
		return ownPhase(PhaseFusion)
	case ModalityNone:
	}
	return phaseOfReaders
}

func (s *SRG) staticPhase() Phase { return s.static }

// PhaseOf is the phase of t in a run of profile p: that of the run, or of the
// encoder that t belongs to. See [Analyze] for hints.
func (s *SRG) PhaseOf(t *lazy.Tensor, p Profile) Phase {
	if id := t.ID(); id >= 0 && id < len(s.own) && s.own[id] != phaseOfRun {
		return Phase(s.own[id] - 1)
	}
	return p.Phase
}

// modelRoots are the tensors that make a graph a language model: the rows
// added to caches, tokens, and scores over a vocabulary that are an output.
func (a *analysis) modelRoots() []*lazy.Tensor {
	var roots []*lazy.Tensor
	for i := range a.Caches {
		roots = append(roots, a.Caches[i].Rows)
	}
	for id, t := range a.tensors {
		if a.Nodes[id].Sampling {
			roots = append(roots, t)
		}
	}
	vocab := a.vocabularies()
	for _, o := range a.Graph.Outputs() {
		if d := o.Tensor.Dim(-1); o.Tensor.DType() == lazy.F32 && slices.ContainsFunc(vocab, d.Equal) {
			roots = append(roots, o.Tensor)
		}
	}
	return roots
}

func (a *analysis) phaseWithoutCaches(roots []*lazy.Tensor) Phase {
	causal := false
	for _, at := range a.attn {
		causal = causal || at.causal
	}
	var seen [ModalityFusion + 1]bool
	for id, t := range a.tensors {
		if !a.Nodes[id].Dead {
			seen[a.Nodes[id].Modality] = true
			causal = causal || is(t, "sample")
		}
	}
	kinds, images := 0, false
	for _, m := range []Modality{ModalityText, ModalityVision, ModalityAudio} {
		if seen[m] {
			kinds++
		}
	}
	for _, o := range a.Graph.Outputs() {
		images = images || len(o.Tensor.Shape()) >= 4
	}
	switch {
	case len(a.Caches) == 0 && a.recurrent():
		return PhaseForward
	case causal && len(a.attn) > 0 && len(roots) > 0:
		return PhasePrefill
	case seen[ModalityFusion] || kinds > 1:
		return PhaseFusion
	case seen[ModalityVision] && !images:
		return PhaseVisionEncoding
	case seen[ModalityText]:
		return PhaseTextEncoding
	}
	return PhaseForward
}

// recurrent reports whether a declared output depends on carried state.
func (a *analysis) recurrent() bool {
	depends := make([]bool, len(a.tensors))
	for _, c := range a.Graph.Carries() {
		depends[c.In.ID()] = true
	}
	for id, t := range a.tensors {
		for _, in := range t.In() {
			depends[id] = depends[id] || depends[in.ID()]
		}
	}
	return slices.ContainsFunc(a.Graph.Outputs(), func(o lazy.Named) bool { return depends[o.Tensor.ID()] })
}

// stream finds the inputs whose rows become the rows of the roots. It walks
// back through everything, but at attention only through the queries: keys and
// values may come from elsewhere. Caches are not among the stream's inputs.
func (a *analysis) stream(roots []*lazy.Tensor) []*lazy.Tensor {
	through := map[int][]*lazy.Tensor{} // product -> the operands to follow
	for _, at := range a.attn {
		for _, p := range append(slices.Clone(at.scores), at.context...) {
			through[p.id] = p.queries(a.tensors[p.id])
		}
	}
	seen := make([]bool, len(a.tensors))
	todo := slices.Clone(roots)
	var inputs []*lazy.Tensor
	for len(todo) > 0 {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[t.ID()] || a.constant[t.ID()] {
			continue
		}
		seen[t.ID()] = true
		if t.Kind() == lazy.KindInput && !a.carriedIn(t) {
			inputs = append(inputs, t)
		}
		if in, ok := through[t.ID()]; ok {
			todo = append(todo, in...)
			continue
		}
		todo = append(todo, t.In()...)
	}
	return a.decoded(inputs)
}

// decoded selects those of a stream's inputs that are decoded: text; else those
// with any modality; else all.
func (a *analysis) decoded(inputs []*lazy.Tensor) []*lazy.Tensor {
	for _, want := range []func(Modality) bool{
		func(m Modality) bool { return m == ModalityText },
		func(m Modality) bool { return m != ModalityNone },
	} {
		var some []*lazy.Tensor
		for _, t := range inputs {
			if want(a.Nodes[t.ID()].Modality) {
				some = append(some, t)
			}
		}
		if len(some) > 0 {
			return some
		}
	}
	return inputs
}

// phaseByStream assigns phases to encoders beside a stream of decoded inputs.
func (a *analysis) phaseByStream(inputs []*lazy.Tensor) {
	decoded := make([]bool, len(a.tensors))
	for _, t := range inputs {
		decoded[t.ID()] = true
	}
	for i := range a.Caches {
		decoded[a.Graph.Carries()[a.Caches[i].Carry].In.ID()] = true
	}
	for id, t := range a.tensors {
		for _, in := range t.In() {
			decoded[id] = decoded[id] || decoded[in.ID()]
		}
		if decoded[id] {
			continue
		}
		a.own[id] = encoding(a.Nodes[id].Modality)
	}
	a.inheritPhases()
}

// inheritPhases gives tensors without a modality the phase of their readers.
func (a *analysis) inheritPhases() {
	for id := len(a.tensors) - 1; id >= 0; id-- {
		if a.own[id] != phaseOfReaders {
			continue
		}
		a.own[id] = phaseOfRun
		for i, r := range a.readers[id] {
			if i == 0 {
				a.own[id] = a.own[r.id]
			} else if a.own[id] != a.own[r.id] {
				a.own[id] = phaseOfRun
			}
		}
	}
}
