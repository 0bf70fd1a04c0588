package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGenerateProfile: the profile of a generation has every run of prefill and
// decode, here and on a worker alike, in JSON and for people.
func TestGenerateProfile(t *testing.T) {
	w := startChild(t, both())
	const tokens = 8
	for _, executor := range append([]string{"local:"}, w.urls...) {
		args := []string{"generate", "--model", basic, "--tokens", "5,6,7", "--max-new", "8", "--ignore-eos", "--executor", executor}
		require.Empty(t, decode[generateReport](t, append(args, "--json")...).Profiles)
		r := decode[generateReport](t, append(args, "--json", "--profile")...)
		runs := int64(0)
		kernels := map[string]bool{}
		for _, p := range r.Profiles {
			runs += p.Runs
			for _, g := range p.Groups {
				kernels[g.Kernel] = true
				require.NotEmpty(t, g.Name)
				require.Positive(t, g.Count)
			}
		}
		require.EqualValues(t, tokens, runs, executor)
		require.True(t, kernels["gemm"] && kernels["attention"] && kernels["append"], "%v", kernels)
		text := cli(t, append(args, "--profile")...)
		require.Zero(t, text.code)
		require.Contains(t, text.stderr, "runs, ")
		require.Regexp(t, `(?m)^time +share +count +bytes +kernel +operators$`, text.stderr)
		require.Contains(t, text.stderr, " gemm ")
		require.NotContains(t, text.stdout, "kernel", "the text is the output")
		require.Equal(t, 1, strings.Count(strings.TrimSpace(text.stdout), "\n")+1)
	}
}
