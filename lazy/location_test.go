package lazy

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
)

// TestLocation checks where tensors were captured, through functions of this
// package that call each other.
func TestLocation(t *testing.T) {
	g := NewGraph("located")
	here := func() int {
		_, _, line, _ := runtime.Caller(1)
		return line
	}
	x, at := g.Input("x", F32, "n", 4), []int{here()}
	w, b := g.WeightF32("w", make([]float32, 12), 4, 3), g.WeightF32("b", make([]float32, 3), 3)
	at = append(at, here()-1)
	y := Linear(x, w, b)
	at = append(at, here()-1)
	z := Last(y, 0)
	at = append(at, here()-1)
	s := Scale(y, 2)
	at = append(at, here()-1)
	values, indices := TopK(y, 2)
	at = append(at, here()-1)
	require.NoError(t, g.Err())
	for i, list := range [][]*Tensor{{x}, {w, b}, {y, y.In()[0]}, {z, z.In()[0]}, {s, s.In()[1]}, {values, indices}} {
		for _, v := range list {
			require.Equal(t, "location_test.go", filepath.Base(v.Location().File), "%v", v)
			require.Equal(t, at[i], v.Location().Line, "%v", v)
		}
	}
	require.Empty(t, (*Tensor)(nil).Location().String())
	require.Empty(t, Add(x, w).Location().String())
}

// BenchmarkCapture measures capture, of which the place is a part.
func BenchmarkCapture(b *testing.B) {
	b.Run(benchname.Of("capture", "genie", "tensors=1000"), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g := NewGraph("captured")
			x := g.Input("x", F32, "n", 4)
			for range 1000 {
				x = ReLU(x)
			}
			if g.Err() != nil {
				b.Fatal(g.Err())
			}
		}
	})
}
