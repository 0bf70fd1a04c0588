package results

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// caseText is the results of one case, one per value.
func caseText(baseline, unit string, values ...float64) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "BenchmarkX/workload=w/baseline=%s/net=loopback 1 %g %s\n", baseline, v, unit)
	}
	return b.String()
}

func TestSummary(t *testing.T) {
	f := read(t, caseText("b", "tok/s", 9, 1, 2, 3, 4, 5, 6, 7, 8, 10))
	s, ok := f.Cases[0].Summary("tok/s")
	require.True(t, ok)
	require.Equal(t, 10, s.N)
	require.Equal(t, 5.5, s.Median)
	// The median of 10 is between the 2nd and the 9th with 97.9% confidence
	// (binomial: 1 - 2*(1+10)/1024).
	require.Equal(t, 2.0, *s.Lo)
	require.Equal(t, 9.0, *s.Hi)
	require.Equal(t, [2]float64{1, 10}, [2]float64{s.Min, s.Max})

	few, _ := read(t, caseText("b", "tok/s", 3, 1, 2)).Cases[0].Summary("tok/s")
	require.Equal(t, 2.0, few.Median)
	require.Nil(t, few.Lo, "three samples have no 95% interval")
	require.Equal(t, 1.0, few.Low())
	require.Equal(t, 3.0, few.High())
	_, ok = f.Cases[0].Summary("sec/op")
	require.False(t, ok)
}

func TestRatio(t *testing.T) {
	for _, tt := range []struct {
		value, base float64
		direction   int
		want        float64
	}{{50, 100, 1, 0.5}, {50, 100, -1, 2}, {50, 100, 0, 0.5}} {
		require.Equal(t, tt.want, *Ratio(tt.value, tt.base, tt.direction))
	}
	require.Nil(t, Ratio(1, 0, 1))
	require.Nil(t, Ratio(0, 1, -1))
}

func TestTooFew(t *testing.T) {
	// 2/(n+m choose n): 4+4 gives 2/70, 3+4 2/35, 3+3 2/20, 2+20 2/231.
	require.True(t, tooFew(3, 3, 0.05))
	require.True(t, tooFew(3, 4, 0.05))
	require.False(t, tooFew(4, 4, 0.05))
	require.False(t, tooFew(2, 20, 0.05))
	require.True(t, tooFew(1, 1, 0.05))
}

func TestGate(t *testing.T) {
	ten := func(v float64) []float64 {
		var all []float64
		for i := range 10 {
			all = append(all, v*(1+0.001*float64(i)))
		}
		return all
	}
	same := []float64{1, 1, 1, 1, 1, 1}
	exact := "Unit rtts/tok better=lower assume=exact\n"
	tests := []struct {
		name, before, after string
		want                string // reasons
		check               func(*testing.T, Verdict)
	}{
		{"nothing changed", caseText("b", "tok/s", ten(100)...), caseText("b", "tok/s", ten(100)...), "", nil},
		{"a rate fell", caseText("b", "tok/s", ten(100)...), caseText("b", "tok/s", ten(90)...), "regression", func(t *testing.T, v Verdict) {
			f := v.Findings[0]
			require.InDelta(t, -10, *f.Percent, 1e-9)
			require.Less(t, *f.P, 0.001)
			require.Equal(t, "tok/s", f.Unit)
		}},
		{"a rate rose", caseText("b", "tok/s", ten(100)...), caseText("b", "tok/s", ten(200)...), "", nil},
		{"within the limit", caseText("b", "tok/s", ten(100)...), caseText("b", "tok/s", ten(96)...), "", nil},
		{"a time rose", caseText("b", "ns/op", ten(100)...), caseText("b", "ns/op", ten(106)...), "regression", nil},
		{"a time fell", caseText("b", "ns/op", ten(100)...), caseText("b", "ns/op", ten(50)...), "", nil},
		{"noise", caseText("b", "ns/op", 1, 2, 3, 4, 5, 6), caseText("b", "ns/op", 1, 2.5, 3.5, 4.6, 5, 6.1), "", nil},
		{"bytes out of nothing", caseText("b", "wire-B/op", 0, 0, 0, 0, 0, 0), caseText("b", "wire-B/op", same...), "regression", nil},
		{"too few", caseText("b", "ns/op", 1, 1, 1), caseText("b", "ns/op", 9, 9, 9), "", func(t *testing.T, v Verdict) {
			require.Equal(t, 1, v.TooFew)
		}},
		{"no direction", caseText("b", "odd", same...), caseText("b", "odd", 9, 9, 9, 9, 9, 9), "", func(t *testing.T, v Verdict) {
			require.Equal(t, 1, v.Undirected)
		}},
		{"the file says which way", "Unit odd better=higher\n" + caseText("b", "odd", ten(100)...), "Unit odd better=higher\n" + caseText("b", "odd", ten(50)...), "regression", nil},
		{"exact and worse", exact + caseText("b", "rtts/tok", 1), exact + caseText("b", "rtts/tok", 2), "exact-change", nil},
		{"exact and better", exact + caseText("b", "rtts/tok", 2, 2), exact + caseText("b", "rtts/tok", 1, 1), "exact-change", nil},
		{"exact in the old file only", exact + caseText("b", "rtts/tok", 2, 2), caseText("b", "rtts/tok", 1, 1), "exact-change", nil},
		{"exact and the same", exact + caseText("b", "rtts/tok", 2), exact + caseText("b", "rtts/tok", 2, 2, 2), "", nil},
		{"exact and not", exact + caseText("b", "rtts/tok", 1, 1, 1), exact + caseText("b", "rtts/tok", 1, 1, 2), "exact-change", func(t *testing.T, v Verdict) {
			require.Equal(t, "varies from 1 to 2 in the new recording", v.Findings[0].Detail)
		}},
		{"a case is gone", caseText("b", "tok/s", 1) + caseText("c", "tok/s", 1), caseText("b", "tok/s", 1), "disappeared", func(t *testing.T, v Verdict) {
			require.Equal(t, "c", v.Findings[0].Baseline)
			require.Equal(t, "not in test.txt", v.Findings[0].Detail)
		}},
		{
			"a case is unavailable", caseText("b", "tok/s", 1), "# unavailable workload=w baseline=b net=loopback: no torch\n", "disappeared",
			func(t *testing.T, v Verdict) { require.Equal(t, "no torch", v.Findings[0].Detail) },
		},
		{"a unit is gone", caseText("b", "tok/s", 1) + caseText("b", "ns/op", 1), caseText("b", "tok/s", 1), "disappeared", func(t *testing.T, v Verdict) {
			require.Equal(t, "sec/op", v.Findings[0].Unit)
		}},
		{"a case failed after some", caseText("b", "tok/s", 1), caseText("b", "tok/s", 1) + "# failed workload=w baseline=b net=loopback: died\n", "failed", nil},
		{"unavailable in both", "# unavailable workload=w baseline=b net=loopback: no torch\n", "# unavailable workload=w baseline=b net=loopback: no torch\n", "", nil},
		{"a new case", caseText("b", "tok/s", 1), caseText("b", "tok/s", 1) + caseText("c", "tok/s", 1), "", func(t *testing.T, v Verdict) {
			require.Len(t, v.Added, 1)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := Gate(read(t, tt.before), read(t, tt.after), 0.05)
			var reasons []string
			for _, f := range v.Findings {
				reasons = append(reasons, string(f.Reason))
			}
			require.Equal(t, tt.want, strings.Join(reasons, " "), v.Findings)
			require.Equal(t, tt.want == "", v.OK)
			if tt.check != nil {
				tt.check(t, v)
			}
		})
	}
}

// TestGateOnRecordings: in the second recording full is 20% slower and nothing
// else is.
func TestGateOnRecordings(t *testing.T) {
	before, after := recording(t, "old.txt"), recording(t, "new.txt")
	v := Gate(before, after, 0.1)
	require.False(t, v.OK)
	for _, f := range v.Findings {
		require.Equal(t, Regression, f.Reason)
		require.Equal(t, "full", f.Label())
		require.Equal(t, "llm-decode", f.Workload)
	}
	require.Len(t, v.Findings, 4*5, "two links and batches; five units of time")
	require.True(t, Gate(before, after, 0.3).OK)
	require.True(t, Gate(after, before, 0.1).OK, "faster is fine")
}

func TestCostModels(t *testing.T) {
	var b strings.Builder
	for _, p := range []struct {
		op                  string
		predicted, measured float64
	}{
		{"op=matmul", 110, 100}, {"op=conv", 300, 200}, {"op=linear", 30, 40}, // errors 0.1, 0.5, 0.25
		{"op=upload/bytes=1024", 10, 1}, // too small to count
		{"op=upload/bytes=1048576", 900, 1000}, {"op=echo/bytes=16777216", 2000, 2500},
	} {
		fmt.Fprintf(&b, "BenchmarkM/workload=micro/baseline=full/%s/net=loopback 1 %g predicted-ns %g measured-ns\n", p.op, p.predicted, p.measured)
	}
	b.WriteString(caseText("b", "ns/op", 1)) // has no prediction
	models := read(t, b.String()).CostModels()
	require.Len(t, models, 1)
	m := models[0]
	require.Equal(t, "loopback", m.Net)
	require.Len(t, m.Predictions, 6)
	require.InDelta(t, 0.25, *m.OperatorError, 1e-9)
	require.InDelta(t, 0.15, *m.TransferError, 1e-9)
	require.InDelta(t, 1, *m.Rank, 1e-9, "the order came true")
	require.Equal(t, int64(1<<20), m.Predictions[4].Bytes)
}

// TestRankCorrelation: the textbook formula without ties, 1 - 6 sum d^2 / (n
// (n^2-1)), and shared ranks with ties.
func TestRankCorrelation(t *testing.T) {
	x, y := []float64{1, 2, 3, 4, 5}, []float64{10, 30, 20, 50, 40}
	require.InDelta(t, 1-6*4.0/(5*24), *correlation(ranks(x), ranks(y)), 1e-12)
	require.Equal(t, []float64{1, 2.5, 2.5, 4}, ranks([]float64{1, 7, 7, 9}))
	require.Nil(t, correlation([]float64{1, 2}, []float64{3, 3}))
	require.InDelta(t, -1, *correlation([]float64{1, 2, 3}, []float64{3, 2, 1}), 1e-12)
	require.False(t, math.IsNaN(*median([]float64{3, 1})))
}
