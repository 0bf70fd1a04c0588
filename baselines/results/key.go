package results

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/genie-sdk/go/internal/benchname"
)

// Key identifies a case: what was run, how, and over which link. Two results
// with one key are samples of the same case.
type Key struct {
	Workload string `json:"workload"`
	Net      string `json:"net"`
	// Variant is the rest of the name, "model=gpt2/batch=1" or
	// "op=upload/bytes=1048576".
	Variant  string `json:"variant"`
	Baseline string `json:"baseline"`
	// Ablation is the feature set of one of the ablations, "weights+plan", and
	// empty elsewhere.
	Ablation string `json:"ablation,omitempty"`
}

// Label is the baseline with its ablation.
func (k Key) Label() string {
	if k.Ablation == "" {
		return k.Baseline
	}
	return k.Baseline + " [" + k.Ablation + "]"
}

// String is the key as written in the name of a result.
func (k Key) String() string {
	var parts []string
	for _, p := range [][2]string{{"workload", k.Workload}, {"baseline", k.Baseline}, {"ablation", k.Ablation}, {"", k.Variant}, {"net", k.Net}} {
		switch {
		case p[1] == "":
		case p[0] == "":
			parts = append(parts, p[1])
		default:
			parts = append(parts, p[0]+"="+p[1])
		}
	}
	return strings.Join(parts, "/")
}

// Part is the value of a part of the variant, Part("op") for instance, and
// empty if it is missing.
func (k Key) Part(name string) string {
	for p := range strings.SplitSeq(k.Variant, "/") {
		if v, ok := strings.CutPrefix(p, name+"="); ok {
			return v
		}
	}
	return ""
}

// With is the key of another baseline's case of the same section and variant.
func (k Key) With(baseline string) Key {
	k.Baseline, k.Ablation = baseline, ""
	return k
}

// ParseName parses the name of a result, with or without the prefix "Benchmark"
// and the suffix GOMAXPROCS.
func ParseName(name string) Key {
	_, parts := currentName(benchfmt.Name(strings.TrimPrefix(name, "Benchmark"))).Parts()
	var texts []string
	for _, p := range parts {
		if p[0] == '/' {
			texts = append(texts, string(p[1:]))
		}
	}
	return keyOf(texts)
}

// keyOf makes a key from the parts of a name.
func keyOf(parts []string) Key {
	var k Key
	var rest []string
	for _, p := range parts {
		name, value, _ := strings.Cut(p, "=")
		switch name {
		case "workload":
			k.Workload = value
		case "net":
			k.Net = value
		case "baseline":
			k.Baseline = value
		case "ablation":
			k.Ablation = value
		default:
			rest = append(rest, p)
		}
	}
	k.Variant = strings.Join(rest, "/")
	return k.normal()
}

// normal removes from workload and baseline the parts that a name repeats there
// for tables with only these two columns: "llm-decode-b4/…/batch=4" is
// llm-decode, "llm-decode-NAME@HASH/model=NAME@HASH" too,
// "micro-matmul/…/variant=matmul" is micro, and "full:weights/ablation=weights"
// is full. [benchname.Of] repeats parts this way.
func (k Key) normal() Key {
	if b := k.Part("batch"); b != "" {
		k.Workload = strings.TrimSuffix(k.Workload, "-b"+b)
	}
	if m := k.Part("model"); strings.Contains(m, "@") { // a checkpoint
		k.Workload = strings.TrimSuffix(k.Workload, "-"+m)
	}
	if v := k.Part("variant"); v != "" {
		k.Workload = strings.TrimSuffix(k.Workload, "-"+v)
	}
	parts := strings.Split(k.Variant, "/")
	for _, p := range slices.Backward(parts) {
		if name, value, ok := strings.Cut(p, "="); ok && value != "" {
			k.Workload = strings.TrimSuffix(k.Workload, "-"+benchname.Suffix(name, value))
		}
	}
	if k.Ablation != "" {
		k.Baseline = strings.TrimSuffix(k.Baseline, ":"+k.Ablation)
	}
	return k
}

// The baselines that ratios refer to.
const (
	LocalPyTorch = "local-pytorch"
	CaptureOnly  = "capture-only"
)

// NoSemantics is the baseline from which the ablations start.
const NoSemantics = "no-semantics"

// rank orders baselines for display: single-process before remote ones, this
// module's before others'. Unknown ones come last, in order of appearance.
func rank(baseline string) int {
	order := []string{
		LocalPyTorch, "onnxruntime", "local-gorgonia", CaptureOnly,
		"full", "full-rpc", "local-remote", "no-semantics", "pytorch-rpc", "ray", "llamacpp-rpc",
	}
	if i := slices.Index(order, baseline); i >= 0 {
		return i
	}
	return len(order)
}

// CompareBaselines orders baselines for display; unknown ones are equal.
func CompareBaselines(a, b string) int { return cmp.Compare(rank(a), rank(b)) }

// compareRows orders two cases of a section and variant; the ablations are in
// ascending order and precede the full set of features.
func compareRows(a, b Key) int {
	if c := CompareBaselines(a.Baseline, b.Baseline); c != 0 {
		return c
	}
	if (a.Ablation == "") != (b.Ablation == "") {
		if a.Ablation == "" {
			return 1
		}
		return -1
	}
	return cmp.Compare(strings.Count(a.Ablation, "+"), strings.Count(b.Ablation, "+"))
}
