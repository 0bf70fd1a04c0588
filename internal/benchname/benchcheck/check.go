// Package benchcheck reads the output of go test -bench and reports where
//
//	benchstat -row /workload -col /baseline
//
// would have a blank row, mix two benchmarks, or lack a time or the declaration
// of a unit.
package benchcheck

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchproc"
)

// ErrFaults is the cause of the error about incorrectly named or measured
// benchmarks.
var ErrFaults = errors.New("genie: benchmarks")

// known are the units that the testing package reports itself.
var known = []string{"sec/op", "B/op", "allocs/op", "B/s"}

// Check counts the benchmarks in an output and reports their faults.
func Check(r io.Reader) (benchmarks int, err error) {
	c, err := newChecker()
	if err != nil {
		return 0, err
	}
	reader := benchfmt.NewReader(r, "output")
	units := map[string]string{} // by unit: a benchmark that has it
	for reader.Scan() {
		if result, ok := reader.Result().(*benchfmt.Result); ok {
			c.result(result)
			for _, v := range result.Values {
				units[v.Unit] = result.Name.String()
			}
		}
	}
	if err := reader.Err(); err != nil {
		return 0, fmt.Errorf("benchmarks: %w", err)
	}
	declared := reader.Units()
	for _, unit := range slices.Sorted(maps.Keys(units)) {
		if !slices.Contains(known, unit) && !isShare(unit) && declared.Get(unit, "better") == nil && declared.Get(unit, "assume") == nil {
			c.faultf("%s: unit %s is not declared", units[unit], unit)
		}
	}
	c.mixed()
	if len(c.cells) == 0 {
		c.faultf("there are none")
	}
	if len(c.faults) > 0 {
		return len(c.cells), fmt.Errorf("%w:\n\t%s", ErrFaults, strings.Join(c.faults, "\n\t"))
	}
	return len(c.cells), nil
}

// isShare recognises the shares of a profile, whose units are the names of
// kernels.
func isShare(unit string) bool { return strings.HasSuffix(unit, "-%") }

// cell is a cell in benchstat's tables.
type cell struct{ table, row, col benchproc.Key }

type checker struct {
	table, row, col, rest *benchproc.Projection

	cells  map[cell][]benchproc.Key // configuration that distinguishes its results
	faults []string
}

// newChecker returns a checker with benchstat's projections.
func newChecker() (*checker, error) {
	c := &checker{cells: map[cell][]benchproc.Key{}}
	var parser benchproc.ProjectionParser
	filter, err := benchproc.NewFilter("*")
	for _, p := range []struct {
		to         **benchproc.Projection
		expression string
	}{{&c.table, ".config"}, {&c.row, "/workload"}, {&c.col, "/baseline"}} {
		if err == nil {
			*p.to, err = parser.Parse(p.expression, filter)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	c.rest = parser.Residue()
	return c, nil
}

func (c *checker) faultf(format string, args ...any) {
	if f := fmt.Sprintf(format, args...); !slices.Contains(c.faults, f) {
		c.faults = append(c.faults, f)
	}
}

func (c *checker) result(r *benchfmt.Result) {
	_, parts := r.Name.Parts()
	for _, p := range parts {
		if key, value, ok := strings.Cut(string(p), "="); p[0] == '/' && (!ok || key == "/" || value == "") {
			c.faultf("%s: %q is not key=value", r.Name, p[1:])
		}
	}
	at := cell{c.table.Project(r), c.row.Project(r), c.col.Project(r)}
	for _, k := range []struct {
		name string
		key  benchproc.Key
	}{{"workload", at.row}, {"baseline", at.col}} {
		if k.key.StringValues() == "" {
			c.faultf("%s: no %s", r.Name, k.name)
		}
	}
	if v, ok := r.Value("sec/op"); !ok || v <= 0 {
		c.faultf("%s: no time of an operation", r.Name)
	}
	if rest := c.rest.Project(r); !slices.Contains(c.cells[at], rest) {
		c.cells[at] = append(c.cells[at], rest)
	}
}

// mixed finds cells with several benchmarks.
func (c *checker) mixed() {
	var found []string
	for at, keys := range c.cells {
		for _, field := range benchproc.NonSingularFields(keys) {
			found = append(found, fmt.Sprintf("workload %s, baseline %s: benchmarks vary in %s", at.row.StringValues(), at.col.StringValues(), field.Name))
		}
	}
	slices.Sort(found)
	for _, f := range found {
		c.faultf("%s", f)
	}
}
