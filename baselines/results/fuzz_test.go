package results

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRead: whatever a recording contains, its cases have one key each, finite
// numbers, and at most as many samples of a unit as lines.
func FuzzRead(f *testing.F) {
	// Seeds are short, a few recording lines each: the fuzzer minimises an
	// interesting input byte by byte, which takes a minute for a kilobyte.
	for _, text := range []string{
		"BenchmarkX/workload=w/baseline=b-2 1 5 ns/op NaN tok/s\nUnit tok/s better=higher\ngoos: linux\n",
		"# unavailable workload=w baseline=b: why\n",
		"# failed workload=w baseline=b: why\nBenchmarkX/workload=w/baseline=b 1 5 ns/op\n",
		"BenchmarkX/workload=w/baseline=b 1 5 ns/op\n# failed workload=w baseline=b: why\n# failed workload=w baseline=b: again\n",
		"commit: 1\ncommit:" + "\ncommit: 2\n",
		"cores: 1\nBenchmarkX/a=1-2 1 1 x\ncores: 2\nBenchmarkX/a=1-4 1 2 x\n",
		"Unit a-ns better=lower assume=exact\nUnit a-ns better=higher\nBenchmarkX 1 0 a-ns 1 a-ns\n",
		"BenchmarkX/workload=w/baseline=full/ablation=kv/net=lan/batch=1-2 1 +Inf B/op\r\nBenchmark\nBenchmarkX 1\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text), "fuzz.txt")
		if err != nil {
			require.ErrorContains(t, err, "fuzz.txt")
			return
		}
		for _, c := range r.Cases {
			require.Same(t, c, r.Find(c.Key))
			for _, u := range c.Units() {
				require.NotEmpty(t, c.samples[u])
				for _, v := range c.samples[u] {
					require.False(t, math.IsNaN(v) || math.IsInf(v, 0))
				}
			}
			require.Positive(t, c.Runs)
		}
		for _, a := range r.Absent {
			require.True(t, r.Find(a.Key) == nil || r.Find(a.Key).line <= a.line)
		}
	})
}
