package ptxas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// report is of ptxas 12.9 with -v: a function that kernels call, and two kernels.
const report = `ptxas info    : 0 bytes gmem
ptxas info    : Function properties for _Z1gf
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Compiling entry function 'b' for 'sm_80'
ptxas info    : Function properties for b
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers, 364 bytes cmem[0]
ptxas info    : Compile time = 1.838 ms
ptxas info    : Compiling entry function 'a' for 'sm_80'
ptxas info    : Function properties for a
    200 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 200 bytes cumulative stack size, 400 bytes smem, 364 bytes cmem[0]
ptxas info    : Compile time = 7.855 ms
`

var want = []Usage{
	{"_Z1gf", "sm_80", 0, 8, 16, 0},
	{"b", "sm_80", 8, 0, 0, 0},
	{"a", "sm_80", 32, 200, 36, 400},
}

func TestParse(t *testing.T) {
	got, err := Parse(report, "sm_80")
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, bad := range []string{
		"", "ptxas info    : 0 bytes gmem\n", "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads",
		"ptxas info    : Used 32 registers, used 1 barriers",
	} {
		_, err := Parse(bad, "sm_80")
		require.Error(t, err, bad)
	}
	_, err = Parse(report, "sm_90")
	require.ErrorContains(t, err, "for sm_80, not sm_90")
}

func TestBounds(t *testing.T) {
	bounds, err := ReadBounds(Format(want))
	require.NoError(t, err)
	require.ElementsMatch(t, want, bounds)
	require.NoError(t, Check(bounds, want))

	change := func(f func(u *Usage)) []Usage {
		used := append([]Usage(nil), want...)
		f(&used[2])
		return used
	}
	for _, tc := range []struct {
		name, says string
		used       []Usage
	}{
		{"less is fine", "", change(func(u *Usage) { u.Registers, u.Spill = 30, 0 })},
		{"registers", "a for sm_80 uses 33 registers, and may use 32", change(func(u *Usage) { u.Registers++ })},
		{"stack", "a for sm_80 uses 208 bytes of stack, and may use 200", change(func(u *Usage) { u.Stack += 8 })},
		{"spills", "a for sm_80 uses 40 bytes of spills, and may use 36", change(func(u *Usage) { u.Spill += 4 })},
		{"shared memory", "a for sm_80 uses 401 bytes of shared memory, and may use 400", change(func(u *Usage) { u.Shared++ })},
		{"another target", "a for sm_90 has no bound", change(func(u *Usage) { u.Target = "sm_90" })},
		{"a new kernel", "c for sm_80 has no bound", append(change(func(*Usage) {}), Usage{Function: "c", Target: "sm_80"})},
		{"a kernel that is gone", "there is no a for sm_80", want[:2]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Check(bounds, tc.used)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrBounds)
			require.ErrorContains(t, err, tc.says)
		})
	}
	require.ErrorContains(t, Check(append(bounds, bounds[0]), want), "two bounds")
	_, err = ReadBounds("a sm_80 1 2 x 4\n")
	require.ErrorContains(t, err, "line 1")
}
