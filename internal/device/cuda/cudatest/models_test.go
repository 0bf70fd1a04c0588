package cudatest_test

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// checkpoint is a GPT-2 at a scale with one type of weights.
type checkpoint struct {
	scale workloads.Scale
	dtype plan.DType
}

// checkpoints are those at the scale of the environment, tiny without one.
func checkpoints(t testing.TB) []checkpoint {
	t.Helper()
	scale, err := workloads.ParseScale(cmp.Or(os.Getenv(workloads.EnvScale), string(workloads.Tiny)))
	require.NoError(t, err)
	return []checkpoint{{scale, plan.F32}, {scale, plan.BF16}}
}

// load loads it, and makes it first where the scale's are made.
func (c checkpoint) load(t testing.TB) *gpt2.Model {
	t.Helper()
	ctx := context.Background()
	dir := filepath.Join(testdata, "gpt2", "bf16")
	if c.scale != workloads.Tiny || c.dtype == plan.F32 {
		var err error
		dir, err = llm.ModelDirAs(ctx, testdata, c.scale, c.dtype, nil)
		require.NoError(t, err)
	}
	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// golden is what transformers generates with the float32 weights; nil if there
// is none for these weights.
func (c checkpoint) golden(t testing.TB, file string) *llm.Workload {
	t.Helper()
	if c.scale == workloads.Tiny && c.dtype != plan.F32 {
		return nil // another checkpoint, see goldens_test.go
	}
	w, err := llm.Golden(testdata, file, c.scale, 50)
	require.NoError(t, err)
	return w
}

// tolerance of tokens compared with those of the float32 weights, relative to
// the largest logit.
func (c checkpoint) tolerance() float64 {
	if c.dtype == plan.F32 {
		return 1e-4
	}
	return 5e-2
}

// name is that of a benchmark.
func (c checkpoint) name(workload, baseline string, parts ...string) string {
	return benchname.Of(workload, baseline, append([]string{"dtype=" + c.dtype.String(), "model=" + llm.ModelName(c.scale)}, parts...)...)
}

// prompts are n prompts of the same length: the first one of the golden, and
// the same rotated.
func (c checkpoint) prompts(t testing.TB, n int) [][]int {
	t.Helper()
	w, err := llm.Golden(testdata, "decode", c.scale, 1)
	require.NoError(t, err)
	return rotations(w.Prompts[0], n)
}

// long is one prompt of a number of tokens: the first golden one repeated.
func (c checkpoint) long(t testing.TB, rows int) []int {
	t.Helper()
	w, err := llm.Golden(testdata, "prefill", c.scale, 1)
	require.NoError(t, err)
	return slices.Repeat(w.Prompts[0], 1+rows/len(w.Prompts[0]))[:rows]
}

// prefills are the lengths of prompts that are measured.
func (c checkpoint) prefills() []int {
	if c.scale == workloads.Tiny {
		return []int{64, 96}
	}
	return []int{512, 1024}
}

func rotations(prompt []int, n int) [][]int {
	out := make([][]int, n)
	for i := range out {
		out[i] = slices.Concat(prompt[i%len(prompt):], prompt[:i%len(prompt)])
	}
	return out
}

// weightOf is the shape in the name of a kernel that multiplies with a weight,
// 768 and 2304 of matmul[768, 2304]+bias.
func weightOf(kernel string) (k, n int, ok bool) {
	shape, ok := strings.CutPrefix(kernel, "matmul[")
	if !ok {
		return 0, 0, false
	}
	shape, _, _ = strings.Cut(shape, "]")
	first, second, ok := strings.Cut(shape, ", ")
	if !ok {
		return 0, 0, false
	}
	k, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	return k, n, err1 == nil && err2 == nil
}
