package results

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"
)

// Causes of bytes on the wire, in the order of the ledger.
func Causes() []string {
	return []string{"weights", "kv", "activation", "logits", "token", "plan", "control"}
}

// Direction is the direction in which a unit is better: +1 higher, -1 lower, 0
// neither. A declaration in the file takes precedence over the unit's name.
func (f *File) Direction(unit string) int {
	if f.meta.Get(unit, "better") != nil {
		return f.meta.GetBetter(unit)
	}
	return knownDirection(f.meta, unit)
}

func knownDirection(meta benchfmt.UnitMetadataMap, unit string) int {
	if d := meta.GetBetter(unit); d != 0 {
		return d
	}
	numerator, per, ratio := strings.Cut(unit, "/")
	switch {
	case Predicted(unit), numerator == "remote-ops":
		return 0
	case ratio && (per == "s" || per == "sec"):
		return +1
	case hasPart(numerator, "sec"), hasPart(numerator, "B"), hasPart(numerator, "rtts"), numerator == "max-abs-err":
		return -1
	}
	return 0
}

// Exact reports whether a unit is declared to have no noise.
func (f *File) Exact(unit string) bool {
	a := f.meta.Get(unit, "assume")
	return a != nil && a.Value == "exact"
}

// Kind is what a unit measures, as far as a report treats it specially.
type Kind int

// The kinds of units.
const (
	Other      Kind = iota
	Throughput      // tok/s, images/s and other rates of work
	Latency         // ttft, itl, a step or an operation
	WireTotal       // bytes on the wire, all causes
	WireCause       // bytes on the wire for one cause
)

// KindOf derives the kind of a unit from its name.
func KindOf(unit string) Kind {
	numerator, per, ratio := strings.Cut(unit, "/")
	switch {
	case CauseOf(unit) != "":
		return WireCause
	case numerator == "wire-B":
		return WireTotal
	case ratio && (per == "s" || per == "sec") && benchunit.ClassOf(unit) == benchunit.Decimal:
		return Throughput
	case unit == "sec/op":
		return Latency
	case hasPart(numerator, "sec"):
		for _, what := range []string{"ttft", "itl", "step"} {
			if hasPart(numerator, what) {
				return Latency
			}
		}
	}
	return Other
}

// CauseOf is the cause of a unit such as "kv-wire-B/tok" or "wire-kv-B/op", or
// empty.
func CauseOf(unit string) string {
	numerator, _, _ := strings.Cut(unit, "/")
	if !hasPart(numerator, "wire") || !hasPart(numerator, "B") {
		return ""
	}
	for _, c := range Causes() {
		if hasPart(numerator, c) {
			return c
		}
	}
	return ""
}

// Predicted reports whether a unit is a prediction of the cost model.
func Predicted(unit string) bool { return unit == predictedUnit }

const (
	predictedUnit = "predicted-sec"
	measuredUnit  = "measured-sec"
)

func hasPart(name, part string) bool { return slices.Contains(strings.Split(name, "-"), part) }

// Format formats a value with its unit's scale, "12.34 ms", "83 B" or "0.208";
// per is what the value is per, "op" or "tok", or empty.
func Format(value float64, unit string) (text, per string) {
	numerator, per, _ := strings.Cut(unit, "/")
	class := benchunit.ClassOf(unit)
	seconds := hasPart(numerator, "sec")
	switch {
	case value == 0:
		text = "0"
	case !seconds && class == benchunit.Decimal && math.Abs(value) < 1:
		return fmt.Sprintf("%.4g", value), per // a rate of 0.2 is not written 200m
	default:
		text = benchunit.Scale(value, class)
	}
	number := strings.TrimRight(text, "KMGTPkmµni")
	prefix := text[len(number):]
	if class == benchunit.Binary && prefix == "" && strings.Contains(number, ".") {
		number = strings.TrimSuffix(strings.TrimRight(number, "0"), ".") // bytes are whole
	}
	switch {
	case seconds:
		return number + " " + prefix + "s", per
	case class == benchunit.Binary:
		return number + " " + prefix + "B", per
	}
	return number + prefix, per
}

// DefaultUnits are the declarations of the suite's units for benchstat, without
// the word Unit.
func DefaultUnits() []string {
	units := []string{
		"tok/s better=higher", "images/s better=higher", "GF/s better=higher",
		"ttft-ns better=lower", "ttft-p50-ns better=lower", "ttft-p99-ns better=lower",
		"itl-p50-ns better=lower", "itl-p99-ns better=lower", "step-ns better=lower",
		"wire-B/op better=lower", "wire-B/tok better=lower",
		"rtts/op better=lower assume=exact", "rtts/tok better=lower assume=exact", "rtts/step better=lower assume=exact",
		"remote-ops/op better=higher assume=exact", "max-abs-err better=lower",
		"client-peak-B better=lower", "worker-peak-B better=lower", "other-peak-B better=lower",
	}
	for _, per := range []string{"op", "tok"} {
		for _, cause := range Causes() {
			units = append(units, cause+"-wire-B/"+per+" better=lower")
		}
	}
	return units
}
