package semantic

import (
	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
)

// modalities finds the kind of data from which each tensor was computed. Inputs
// decide:
//
//   - text: integers that index the rows of a weight, the embedding table;
//   - vision: what a two-dimensional convolution runs over, and an input of
//     rank 4 or more that is multiplied by a weight after views (patches);
//   - audio: what a convolution in one dimension runs over, a conv2d whose
//     input and filter have size one along height or width;
//   - none: everything else, such as masks, lengths, sampling parameters and
//     plain feature vectors, which does not change the modality of what it
//     joins.
//
// An embedding that is only added to or multiplied with vision or audio, such
// as a position or type embedding, is a side input and has modality none too.
// Where two different modalities meet, the result is fusion. Carried inputs
// have the modality of the value that is carried into them.
type modalities struct{}

func (modalities) Name() string { return "modality" }

func (modalities) Recognise(a *analysis) error {
	seed := make([]Modality, len(a.tensors))
	var gathers []int
	for id, t := range a.tensors {
		if a.Nodes[id].Dead {
			continue
		}
		switch t.Op().(type) {
		case op.Conv2D:
			a.seedSource(seed, t.In()[0], 0, convModality(t))
		case op.MatMul:
			for i, in := range t.In() {
				if a.fixed[t.In()[1-i].ID()] {
					a.seedSource(seed, in, 4, ModalityVision)
				}
			}
		case op.Embedding:
			if a.fixed[t.In()[0].ID()] && !a.fixed[t.In()[1].ID()] {
				gathers = append(gathers, id)
			}
		}
	}
	a.spread(seed)
	for _, id := range gathers {
		if !a.sideInput(id) {
			a.seedIndices(seed, a.tensors[id].In()[1])
		}
	}
	a.spread(seed)
	return nil
}

// convModality distinguishes one-dimensional from two-dimensional convolutions.
func convModality(t *lazy.Tensor) Modality {
	x, w := t.In()[0], t.In()[1]
	for axis := 2; axis < 4; axis++ {
		if x.Dim(axis).Is(1) && w.Dim(axis).Is(1) && !w.Dim(5-axis).Is(1) {
			return ModalityAudio
		}
	}
	return ModalityVision
}

// seedSource assigns a modality to the inputs that t views or normalises by
// constants, if their rank is at least rank. It skips carried inputs.
func (a *analysis) seedSource(seed []Modality, t *lazy.Tensor, rank int, m Modality) {
	for t.Op() != nil {
		data := -1
		if prepares(lazygraph.Op(t).Traits()) {
			for i, in := range t.In() {
				if a.fixed[in.ID()] {
					continue
				}
				if data >= 0 {
					return
				}
				data = i
			}
		}
		if data < 0 {
			return
		}
		t = t.In()[data]
	}
	if t.Kind() == lazy.KindInput && !a.carriedIn(t) && len(t.Shape()) >= max(rank, 3) {
		seed[t.ID()] = m
	}
}

// prepares reports whether an operator only views, scales or downsizes its
// input.
func prepares(o op.Traits) bool {
	return o.Moves || o.Pointwise && !o.NonLinear || o.Images && !o.Layer
}

// seedIndices assigns text to the integer inputs from which an embedding's
// indices are computed.
func (a *analysis) seedIndices(seed []Modality, t *lazy.Tensor) {
	if t.Kind() == lazy.KindInput && t.DType().IsInt() && seed[t.ID()] == ModalityNone {
		seed[t.ID()] = ModalityText
		return
	}
	for _, in := range t.In() {
		if in.DType().IsInt() && !a.fixed[in.ID()] && a.Nodes[in.ID()].Modality == ModalityNone {
			a.seedIndices(seed, in)
		}
	}
}

// sideInput reports whether an embedding is only added to, or multiplied with,
// values that are vision or audio without it.
func (a *analysis) sideInput(id int) bool {
	side := len(a.readers[id]) > 0
	for _, r := range a.readers[id] {
		t := a.tensors[r.id]
		if i, ok := a.passThrough(t); ok && i == r.operand {
			side = side && a.sideInput(r.id)
			continue
		}
		if traits := lazygraph.Op(t).Traits(); !traits.Pointwise || len(t.In()) != 2 {
			return false
		}
		m := a.Nodes[t.In()[1-r.operand].ID()].Modality
		side = side && (m == ModalityVision || m == ModalityAudio)
	}
	return side
}

func (a *analysis) carriedIn(t *lazy.Tensor) bool { return a.carried[t.ID()] }

// spread computes every tensor's modality from the inputs'. A carried value may
// change an input's modality. A modality can rise at most twice, to one kind
// and then to fusion, so few passes reach the fixed point.
func (a *analysis) spread(seed []Modality) {
	for changed := true; changed; {
		for id, t := range a.tensors {
			m := seed[id]
			for _, in := range t.In() {
				m = m.join(a.Nodes[in.ID()].Modality)
			}
			if h, ok := a.hints.modality[id]; ok {
				m = h
			}
			a.Nodes[id].Modality = m
		}
		changed = false
		for _, c := range a.Graph.Carries() {
			in := c.In.ID()
			if m := seed[in].join(a.Nodes[c.Out.ID()].Modality); m != seed[in] {
				seed[in], changed = m, true
			}
		}
	}
}

// join is the modality of a value computed from both.
func (m Modality) join(o Modality) Modality {
	switch {
	case m == o, o == ModalityNone:
		return m
	case m == ModalityNone:
		return o
	}
	return ModalityFusion
}
