package gorgonia_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTapeMachine runs prefill (an empty cache: tensors of size zero) and
// decode of a transformer on Gorgonia's machine: the bits of direct
// evaluation.
func TestTapeMachine(t *testing.T) {
	for _, c := range []struct {
		name             string
		batch, seq, past int
		ragged           bool
	}{
		{"prefill", 1, 5, 0, false},
		{"decode", 1, 1, 6, false},
		{"batch", 3, 2, 4, false},
		{"ragged", 3, 4, 2, true},
		{"ragged prefill", 2, 3, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := tiny
			m.ragged = c.ragged
			p := newProgram(t, m)
			sizes, feeds := m.step(p, c.batch, c.seq, c.past, rand.New(rand.NewPCG(4, 4)))
			want := eval(t, p.Graph, sizes, feeds)
			inst := instance(t, p.Graph, sizes, feeds)
			for _, x := range p.Tensors() {
				got, err := inst.Value(x)
				require.NoError(t, err, x.String())
				require.Equal(t, want[x].Shape, got.Shape, x.String())
				require.Equal(t, string(want[x].Data), string(got.Data), x.String())
			}
			require.NotEmpty(t, inst.ToDot())
		})
	}
}
