package clip_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// inputsBehind says, for each tensor of a graph, which inputs it is computed
// from.
func inputsBehind(g *lazy.Graph) []map[string]bool {
	behind := make([]map[string]bool, len(g.Tensors()))
	for id, t := range g.Tensors() {
		behind[id] = map[string]bool{}
		if t.Kind() == lazy.KindInput {
			behind[id][t.Name()] = true
		}
		for _, in := range t.In() {
			for name := range behind[in.ID()] {
				behind[id][name] = true
			}
		}
	}
	return behind
}

// TestTowers verifies that the towers are recognised as parallel branches, each
// in its phase, and what is computed from both as fusion.
func TestTowers(t *testing.T) {
	for _, name := range []string{"quick", "legacy", "plain"} {
		t.Run(name, func(t *testing.T) {
			m, _ := load(t, name)
			srg, err := semantic.Analyze(m.Graph)
			require.NoError(t, err)
			profile, err := srg.ProfileOf(plan.Bindings{"images": 1, "texts": 4, "seq": 5})
			require.NoError(t, err)
			require.Equal(t, semantic.PhaseFusion, profile.Phase)

			require.Len(t, srg.Branches, 2)
			vision, text := srg.Nodes[m.Pixels.ID()].Branch, srg.Nodes[m.Tokens.ID()].Branch
			require.ElementsMatch(t, []int{1, 2}, []int{vision, text})
			require.Equal(t, semantic.ModalityVision, srg.Branches[vision-1].Modality)
			require.Equal(t, semantic.ModalityText, srg.Branches[text-1].Modality)
			require.Equal(t, text, srg.Nodes[m.Mask.ID()].Branch)
			require.Empty(t, srg.Caches)

			seen := map[semantic.Phase]int{}
			patterns := map[int]bool{}
			behind := inputsBehind(m.Graph)
			for id, x := range m.Graph.Tensors() {
				from, n := behind[id], srg.Nodes[id]
				if n.Attention > 0 {
					patterns[n.Attention] = true
				}
				phase := srg.PhaseOf(x, profile)
				seen[phase]++
				sees, reads := from["pixels"], from["tokens"] || from["mask"]
				switch {
				case sees && reads:
					require.Equal(t, semantic.PhaseFusion, phase, "%v", x)
					require.Zero(t, n.Branch, "%v", x)
					require.Equal(t, semantic.ModalityFusion, n.Modality, "%v", x)
				case sees:
					require.Equal(t, semantic.PhaseVisionEncoding, phase, "%v", x)
					require.Equal(t, vision, n.Branch, "%v", x)
				case reads:
					require.Equal(t, semantic.PhaseTextEncoding, phase, "%v", x)
					require.Equal(t, text, n.Branch, "%v", x)
				case x.Kind() == lazy.KindWeight && x.Name() != "logit_scale":
					require.NotZero(t, n.Branch, "a weight that no tower owns: %v", x)
				}
			}
			require.Len(t, patterns, m.Config.Text.Layers+m.Config.Vision.Layers)
			for _, p := range []semantic.Phase{semantic.PhaseVisionEncoding, semantic.PhaseTextEncoding, semantic.PhaseFusion} {
				require.Positive(t, seen[p], p)
			}
			require.Len(t, seen, 3)
		})
	}
}
