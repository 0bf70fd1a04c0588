package lazy

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhere: an operator knows the line that captured it, also where a function of
// this package makes several.
func TestWhere(t *testing.T) {
	g := NewGraph("where")
	x := g.Input("x", F32, 2, 3)
	_, this, line, ok := runtime.Caller(0)
	require.True(t, ok)
	for i, y := range []*Tensor{
		Add(x, x),
		Scale(x, 2),
		Last(x, 1),
		Linear(x, g.WeightF32("w", make([]float32, 6), 3, 2), g.WeightF32("b", make([]float32, 2), 2)),
		Apply(Add(x, x).Op(), x, x),
	} {
		file, at := y.Where()
		require.Equal(t, filepath.Base(this), filepath.Base(file))
		require.Equal(t, line+3+i, at)
	}
	file, at := x.Where()
	require.Empty(t, file)
	require.Zero(t, at)
	var none *Tensor
	file, _ = none.Where()
	require.Empty(t, file)
}
