package results

import (
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// formerName is a benchmark name from before every benchmark had a workload and
// a baseline. The results of a function, possibly distinguished by a part of
// the name, are those of a workload. One part is what the baseline is now.
type formerName struct {
	workload, baseline string
	from               string            // the part that became the baseline, "" for none
	values             map[string]string // of that part, where the words have changed
	drop               string            // a part that no longer exists
}

// formerNames are the functions that recordings contain without a workload.
var formerNames = map[string]formerName{
	"DecodeBatch":          {workload: "decode-batch", baseline: "genie"},
	"DecodeOverhead":       {workload: "decode-overhead", baseline: "genie", drop: "step"},
	"DecodeSessions":       {workload: "decode-sessions", from: "via"},
	"GemmNN":               {workload: "gemm-nn", from: "path"},
	"GemmNT":               {workload: "gemm-nt", from: "path"},
	"GemmPacked":           {workload: "gemm-packed", from: "path"},
	"GemmPackedTwoThreads": {workload: "gemm-packed", from: "path"},
	"OpenBLAS":             {workload: "gemm-packed", baseline: "openblas"},
	"Probe":                {workload: "probe", baseline: "genie"},
	"Profile":              {workload: "profile", baseline: "genie"},
	"TwoSessions":          {workload: "two-sessions", from: "together", values: map[string]string{"false": "in-turn", "true": "at-once"}},
}

// currentName is the present name of a benchmark.
func currentName(name benchfmt.Name) benchfmt.Name {
	base, parts := name.Parts()
	function := string(base)
	former, ok := formerNames[function]
	if !ok || slices.ContainsFunc(parts, func(p []byte) bool { return strings.HasPrefix(string(p), "/workload=") }) {
		return name
	}
	baseline, rest := former.baseline, ""
	for _, p := range parts {
		key, value, _ := strings.Cut(strings.TrimPrefix(string(p), "/"), "=")
		switch key {
		case former.from:
			if baseline = value; former.values[value] != "" {
				baseline = former.values[value]
			}
		case former.drop:
		default:
			rest += string(p)
		}
	}
	if baseline == "" {
		return name
	}
	return benchfmt.Name(function + "/workload=" + former.workload + "/baseline=" + baseline + rest)
}

// formerUnits are the units of times that reference systems took by their own
// clocks, next to a meaningless time of an operation.
var formerUnits = map[string]string{"peer-sec": "sec/op", "peer-min-sec": "min-sec"}

// currentUnit is the present unit of a figure.
func currentUnit(unit string) string {
	if now := formerUnits[unit]; now != "" {
		return now
	}
	return unit
}
