package randomweights

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport/plan"
)

func specs() []Spec {
	return []Spec{
		{Name: "steps", Mean: 3, DType: safetensors.I64},
		{Name: "matrix", Shape: []int64{700, 600}, Std: 0.05}, // more than one chunk
		{Name: "gain", Shape: []int64{512}, Mean: 1, Std: 0.1},
		Const("scale", 2.5),
	}
}

func TestWrite(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := filepath.Join(t.TempDir(), "made", "here")
	last := int64(0)
	c := Checkpoint{Specs: specs(), Config: []byte("{}\n"), Files: map[string][]byte{"more.json": []byte("[]\n")}}
	require.NoError(t, Write(t.Context(), dir, c, 7, Options{Progress: func(done, total int64) {
		assert.Greater(t, done, last)
		assert.LessOrEqual(t, done, total)
		last = done
	}}))
	assert.Equal(t, int64(8+4*(420000+512+1)), last)
	assert.Equal(t, int64(420000+512+1), Parameters(c.Specs))
	for name, want := range map[string]string{"config.json": "{}\n", "more.json": "[]\n"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	f, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	defer f.Close()
	for _, s := range c.Specs {
		x, ok := f.Tensor(s.Name)
		require.True(t, ok, s.Name)
		switch {
		case s.DType == safetensors.I64:
			assert.Equal(t, uint64(3), binary.LittleEndian.Uint64(x.Data))
		case s.Std == 0:
			assert.Equal(t, float32(s.Mean), math.Float32frombits(binary.LittleEndian.Uint32(x.Data)))
		default:
			checkMoments(t, s, x.Data)
		}
	}
}

// checkMoments compares mean and deviation with the requested ones, within five
// standard errors.
func checkMoments(t *testing.T, s Spec, data []byte) {
	t.Helper()
	n, sum, squares := float64(len(data)/4), 0.0, 0.0
	for i := 0; i < len(data); i += 4 {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))) - s.Mean
		sum += v
		squares += v * v
		assert.LessOrEqual(t, math.Abs(v), 3.47*s.Std, s.Name)
	}
	assert.InDelta(t, 0, sum/n, 5*s.Std/math.Sqrt(n), s.Name)
	assert.InDelta(t, s.Std, math.Sqrt(squares/n), 5*s.Std/math.Sqrt(2*n), s.Name)
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	c := Checkpoint{Specs: specs()}
	require.ErrorIs(t, Write(t.Context(), dir, c, 1, Options{DType: plan.I64}), ErrDType)
	if _, ok := freeBytes(dir); ok {
		huge := Checkpoint{Specs: []Spec{{Name: "huge", Shape: []int64{1 << 50}}}}
		require.ErrorIs(t, Write(t.Context(), dir, huge, 1, Options{}), ErrNoSpace)
		require.NoError(t, checkSpace(dir, 1))
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
