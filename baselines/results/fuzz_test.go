package results

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRead: whatever a recording says, its cells have one key each, numbers that
// can be reckoned with, and as many samples of a unit as lines at most.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"old.txt", "new.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(string(text[:min(len(text), 4000)]))
	}
	f.Add("BenchmarkX/workload=w/baseline=b-2 1 5 ns/op NaN tok/s\nUnit tok/s better=higher\ngoos: linux\n")
	f.Add("# absent: BenchmarkX/workload=w/baseline=b: why\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text), "fuzz.txt")
		if err != nil {
			require.ErrorContains(t, err, "fuzz.txt")
			return
		}
		for _, c := range r.Cells {
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
