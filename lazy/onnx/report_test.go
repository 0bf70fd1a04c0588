package onnx_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reportEnv names the page that the table of cases is written to.
const reportEnv = "GENIE_ONNX_TABLE"

// leastPassed is the share of the counted cases that must pass.
const leastPassed = 0.85

type result struct {
	c *backendCase
	v verdict
}

// tally counts the cases of one row of the table.
type tally struct {
	passed, refused, outOfScope int
	fixed                       int
	reasons                     map[string]bool
}

func (y *tally) add(r result) {
	switch {
	case r.c.OutOfScope != "":
		y.outOfScope++
	case r.v.wrong != "":
	case r.v.passed:
		y.passed++
		if len(r.v.fixed) > 0 {
			y.fixed++
		}
	default:
		y.refused++
		y.reasons[r.v.refused] = true
	}
}

// report logs the counts, writes the table if asked to, and holds the share that
// passes.
func report(t *testing.T, results []result) {
	rows := map[string]*tally{}
	kinds := map[string]*tally{}
	counted, total := tally{reasons: map[string]bool{}}, tally{reasons: map[string]bool{}}
	row := func(m map[string]*tally, name string) *tally {
		if m[name] == nil {
			m[name] = &tally{reasons: map[string]bool{}}
		}
		return m[name]
	}
	wrong := 0
	for _, r := range results {
		if r.v.wrong != "" {
			wrong++
		}
		if r.c.Kind == "node" {
			row(rows, r.c.Operator).add(r)
		}
		row(kinds, r.c.Kind).add(r)
		total.add(r)
		if r.c.Counted {
			counted.add(r)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Cases: %d. In scope: %d, of which %d pass and %d are refused by name.\n", len(results), total.passed+total.refused, total.passed, total.refused)
	n := counted.passed + counted.refused
	fmt.Fprintf(&b, "Float32 inference cases of operators of operator set 17: %d of %d pass (%.1f%%), %d of them with the content of an input given that a shape depends on. 0 are wrong.\n\n",
		counted.passed, n, 100*float64(counted.passed)/float64(max(n, 1)), counted.fixed)
	b.WriteString("| kind | pass | of these with content given | refused | out of scope |\n|---|---|---|---|---|\n")
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		y := kinds[k]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", k, y.passed, y.fixed, y.refused, y.outOfScope)
	}
	b.WriteString("\n| operator | pass | of these with content given | refused | out of scope | reasons of refusal |\n|---|---|---|---|---|---|\n")
	require.Zero(t, wrong, "cases that are wrong")
	names := slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
	})
	for _, k := range names {
		y := rows[k]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %s |\n", k, y.passed, y.fixed, y.refused, y.outOfScope, shortReasons(y.reasons))
	}
	t.Logf("\n%s", b.String())
	if f := os.Getenv(reportEnv); f != "" {
		replace(t, f, "cases", b.String())
	}
	require.GreaterOrEqual(t, float64(counted.passed), leastPassed*float64(n), "counted cases that pass, of %d", n)
	require.Zero(t, row(kinds, "light").refused, "whole networks that are refused")
}

func shortReasons(m map[string]bool) string {
	all := slices.Sorted(maps.Keys(m))
	for i, r := range all {
		r = strings.ReplaceAll(strings.ReplaceAll(r, "genie: ", ""), "|", "\\|")
		all[i] = r[:min(len(r), 160)]
	}
	if len(all) > 3 {
		all = append(all[:3], "...")
	}
	return strings.Join(all, "<br>")
}
