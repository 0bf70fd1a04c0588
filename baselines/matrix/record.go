package matrix

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/genie-sdk/go/baselines/results"
)

// recorder writes results as they arrive, each with one call of its writer.
type recorder struct {
	w      io.Writer
	out    *benchfmt.Writer
	config []benchfmt.Config // of all results
	procs  int
	known  map[string]string // what cases reported about themselves
}

func newRecorder(w io.Writer, h *Header) *recorder {
	r := &recorder{w: w, out: benchfmt.NewWriter(w), procs: h.GOMAXPROCS, known: map[string]string{}}
	for _, l := range h.deciding() {
		r.config = append(r.config, fileConfig(l[0], oneLine(l[1])))
	}
	return r
}

func fileConfig(key, value string) benchfmt.Config {
	return benchfmt.Config{Key: key, Value: []byte(value), File: true}
}

// result writes one result. The parts of its name besides workload and baseline
// are configuration too: benchstat -row /workload -col /baseline then has a
// table for every model, batch and link, and nothing that varies within a case.
func (r *recorder) result(name string, values map[string]float64, iterations int) error {
	if err := check(values, iterations); err != nil {
		return err
	}
	res := &benchfmt.Result{Config: slices.Clone(r.config), Name: benchfmt.Name(fullName(name, r.procs)), Iters: iterations}
	res.Config = append(res.Config, distinguishing(name)...)
	for _, unit := range slices.SortedFunc(maps.Keys(values), compareUnits) {
		res.Values = append(res.Values, benchfmt.Value{Value: values[unit], Unit: unit})
	}
	if err := r.out.Write(res); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	return nil
}

// versions writes what an opened case reports about itself and has not been
// written yet.
func (r *recorder) versions(v map[string]string) error {
	var news [][2]string
	for _, l := range lines(v) {
		if l[1] != "" && r.known[l[0]] != l[1] {
			r.known[l[0]] = l[1]
			news = append(news, l)
		}
	}
	if len(news) == 0 {
		return nil
	}
	var b strings.Builder
	said(&b, "", news)
	if _, err := io.WriteString(r.w, b.String()); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	return nil
}

func (r *recorder) absence(a results.Absence) error {
	if _, err := io.WriteString(r.w, a.Line()); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	return nil
}

// fullName is a case's name as written in a file, without "Benchmark".
func fullName(name string, procs int) string {
	name = strings.TrimPrefix(name, "Benchmark")
	if procs > 1 {
		name = fmt.Sprintf("%s-%d", name, procs)
	}
	return name
}

// distinguishing is configuration from the parts of a name. It has no line for
// a missing part, which withdraws that of the previous result.
func distinguishing(name string) (all []benchfmt.Config) {
	k := results.ParseName(name)
	if k.Net != "" {
		all = append(all, fileConfig("net", k.Net))
	}
	for part := range strings.SplitSeq(k.Variant, "/") {
		if key, value, ok := strings.Cut(part, "="); ok {
			all = append(all, fileConfig(configKey(key), value))
		}
	}
	if k.Ablation != "" {
		all = append(all, fileConfig("ablation", k.Ablation))
	}
	return all
}

// compareUnits orders the time of an operation first, as Go does, and the rest
// by name.
func compareUnits(a, b string) int {
	if (a == "ns/op") != (b == "ns/op") {
		if a == "ns/op" {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// check refuses values that the format cannot represent.
func check(values map[string]float64, iterations int) error {
	if len(values) == 0 || iterations < 1 {
		return fmt.Errorf("%w: %d values of %d iterations", ErrBadResult, len(values), iterations)
	}
	for unit, v := range values {
		if unit == "" || strings.ContainsFunc(unit, func(r rune) bool { return r <= ' ' }) {
			return fmt.Errorf("%w: the unit %q", ErrBadResult, unit)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%w: %s is %g", ErrBadResult, unit, v)
		}
	}
	return nil
}
