package semantic

import (
	"fmt"
	"maps"
	"slices"

	"github.com/genie-sdk/go/lazy"
)

// Hint states what a tensor means and overrides what would be recognised. Make
// one with [HintResidency], [HintModality], [HintPhase], [HintBranch] or
// [HintCache]. The last hint of one kind about one tensor wins.
type Hint struct {
	tensor *lazy.Tensor
	set    func(t *hintTable, id int)
}

type hintTable struct {
	tensors   map[int]bool
	residency map[int]Residency
	modality  map[int]Modality
	phase     map[int]Phase
	branch    map[int]int
	cache     map[int]bool
}

// HintResidency sets the residency of t alone.
func HintResidency(t *lazy.Tensor, r Residency) Hint {
	return Hint{t, func(h *hintTable, id int) { h.residency[id] = r }}
}

// HintModality sets the modality of t and of everything computed from t. Audio
// without a convolution over frames, for instance, looks like any other matrix.
func HintModality(t *lazy.Tensor, m Modality) Hint {
	return Hint{t, func(h *hintTable, id int) { h.modality[id] = m }}
}

// HintPhase sets the phase of t alone, in every profile.
func HintPhase(t *lazy.Tensor, p Phase) Hint {
	return Hint{t, func(h *hintTable, id int) { h.phase[id] = p }}
}

// HintBranch puts t in the branch with the given id, 0 for none. Ids count from
// 1; an id that matches no recognised branch makes a new one.
func HintBranch(t *lazy.Tensor, id int) Hint {
	return Hint{t, func(h *hintTable, at int) { h.branch[at] = id }}
}

// HintCache declares that a carried input is, or is not, a KV cache, regardless
// of its readers. A pair that does not add rows to its input cannot be one:
// [Analyze] reports that.
func HintCache(in *lazy.Tensor, is bool) Hint {
	return Hint{in, func(h *hintTable, id int) { h.cache[id] = is }}
}

// hinted are the tensors that hints are about.
func (a *analysis) hinted() []*lazy.Tensor {
	out := make([]*lazy.Tensor, 0, len(a.hints.tensors))
	for _, id := range slices.Sorted(maps.Keys(a.hints.tensors)) {
		out = append(out, a.tensors[id])
	}
	return out
}

// hintedApart are the tensors that stay values of their own in the normal form,
// since a hint concerns everything computed from them.
func (a *analysis) hintedApart() []*lazy.Tensor {
	out := make([]*lazy.Tensor, 0, len(a.hints.modality))
	for _, id := range slices.Sorted(maps.Keys(a.hints.modality)) {
		out = append(out, a.tensors[id])
	}
	return out
}

func (a *analysis) addHints(hints []Hint) error {
	a.hints = hintTable{
		tensors: map[int]bool{}, residency: map[int]Residency{}, modality: map[int]Modality{},
		phase: map[int]Phase{}, branch: map[int]int{}, cache: map[int]bool{},
	}
	for _, h := range hints {
		if err := h.tensor.Err(); err != nil {
			return fmt.Errorf("hint: %w", err)
		}
		if h.tensor.Graph() != a.Graph {
			return fmt.Errorf("%w: hint about a tensor of another graph: %v", lazy.ErrCapture, h.tensor)
		}
		if h.set == nil {
			continue
		}
		h.set(&a.hints, h.tensor.ID())
		a.hints.tensors[h.tensor.ID()] = true
	}
	for id, b := range a.hints.branch {
		if b < 0 || b > len(a.tensors) {
			return fmt.Errorf("%w: hint of branch %d for %v", lazy.ErrCapture, b, a.tensors[id])
		}
	}
	return nil
}
