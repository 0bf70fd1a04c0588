package easyvqa_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

// TestBranches verifies that the semantic pass finds the two branches and what
// each part of the network is, with no hint.
func TestBranches(t *testing.T) {
	m := load(t, modelDir)
	srg, err := semantic.Analyze(m.Graph)
	require.NoError(t, err)

	profile, err := srg.ProfileOf(map[string]int{"images": 2, "questions": 5, "words": 8})
	require.NoError(t, err)
	require.Equal(t, semantic.PhaseFusion, profile.Phase)

	for _, part := range []struct {
		name     string
		t        *lazy.Tensor
		modality semantic.Modality
		phase    semantic.Phase
	}{
		{"pixels", m.Pixels, semantic.ModalityVision, semantic.PhaseVisionEncoding},
		{"image features", m.ImageFeatures, semantic.ModalityVision, semantic.PhaseVisionEncoding},
		{"words", m.Words, semantic.ModalityText, semantic.PhaseTextEncoding},
		{"text features", m.TextFeatures, semantic.ModalityText, semantic.PhaseTextEncoding},
		{"logits", m.Logits, semantic.ModalityFusion, semantic.PhaseFusion},
		{"best", m.Best, semantic.ModalityFusion, semantic.PhaseFusion},
	} {
		require.Equal(t, part.modality, srg.Nodes[part.t.ID()].Modality, part.name)
		require.Equal(t, part.phase, srg.PhaseOf(part.t, profile), part.name)
	}

	require.Len(t, srg.Branches, 2)
	branch := func(t *lazy.Tensor) int { return srg.Nodes[t.ID()].Branch }
	vision, text := branch(m.ImageFeatures), branch(m.TextFeatures)
	require.NotZero(t, vision)
	require.NotZero(t, text)
	require.NotEqual(t, vision, text)
	require.Equal(t, semantic.ModalityVision, srg.Branches[vision-1].Modality)
	require.Equal(t, semantic.ModalityText, srg.Branches[text-1].Modality)
	require.Equal(t, vision, branch(m.Pixels))
	require.Equal(t, text, branch(m.Words))
	require.Zero(t, branch(m.Logits))

	// Every layer of either branch is in it, its weights too.
	for _, x := range m.Graph.Tensors() {
		phase := srg.PhaseOf(x, profile)
		switch branch(x) {
		case vision:
			require.Equal(t, semantic.PhaseVisionEncoding, phase, x.Name())
		case text:
			require.Equal(t, semantic.PhaseTextEncoding, phase, x.Name())
		default:
			require.Equal(t, semantic.PhaseFusion, phase, x.Name())
		}
	}
}
