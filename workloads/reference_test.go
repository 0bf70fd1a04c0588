package workloads_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads"
)

func TestVerifyLogits(t *testing.T) {
	want := workloads.Logits{Rows: 2, Columns: 3, Values: []float32{1, 2, -10, 5, 4.9999, 3}}
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		got  []float32
		good bool
	}{
		"same":                 {[]float32{1, 2, -10, 5, 4.9999, 3}, true},
		"within":               {[]float32{1, 2.0009, -10, 5, 4.9999, 3}, true},
		"beyond":               {[]float32{1, 2.0011, -10, 5, 4.9999, 3}, false},
		"within, other choice": {[]float32{1, 2, -10, 5, 5.0001, 3}, false},
		"short":                {[]float32{1, 2, -10}, false},
		"nan":                  {[]float32{1, nan, -10, 5, 4.9999, 3}, false},
		"nan at the end":       {[]float32{1, 2, -10, 5, 4.9999, nan}, false},
		"infinite":             {[]float32{1, float32(math.Inf(1)), -10, 5, 4.9999, 3}, false},
		"none":                 {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			worst, err := want.Verify("logits", c.got)
			if c.good {
				require.NoError(t, err)
				require.LessOrEqual(t, worst, 1e-3)
				return
			}
			require.ErrorIs(t, err, workloads.ErrMismatch)
		})
	}
}

func TestReadLogits(t *testing.T) {
	for name, text := range map[string]string{
		"no json": "{", "no base64": `{"shape": [1, 1], "logits": "?"}`, "short": `{"shape": [1, 2], "logits": "AACAPw=="}`, "empty": `{}`,
	} {
		file := filepath.Join(t.TempDir(), "f.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := workloads.ReadLogits(file)
		require.ErrorIs(t, err, workloads.ErrReference, name)
	}
	_, err := workloads.ReadLogits(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, workloads.ErrReference)
	require.ErrorIs(t, err, os.ErrNotExist)
	l, err := workloads.ReadLogits("../testdata/vision/tiny.json")
	require.NoError(t, err)
	require.Equal(t, 45, l.Size)
	two, err := l.First(2)
	require.NoError(t, err)
	require.Equal(t, l.Values[:2*l.Columns], two.Values)
	_, err = l.First(l.Rows + 1)
	require.ErrorIs(t, err, workloads.ErrReference)
}

// TestPixels holds the images that references were computed from: elements and
// sums are those of the script.
func TestPixels(t *testing.T) {
	x := workloads.Pixels(2, 4)
	require.Len(t, x, 2*3*4*4)
	require.Equal(t, x[:48], workloads.Pixels(1, 4))
	for i, want := range map[int]float32{0: -1.25, 1: -0.87890625, 17: -0.931640625, 46: 0.67578125, 47: 0.515625, 95: -0.642578125} {
		require.Equal(t, want, x[i], i)
	}
	sum := 0.0
	for _, v := range workloads.Pixels(3, 224) {
		sum += float64(v)
	}
	require.Equal(t, -51411.55859375, sum)
}
