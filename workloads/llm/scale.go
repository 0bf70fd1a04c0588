package llm

import "github.com/genie-sdk/go/workloads"

// preset is the architecture at a scale; the tiny one is a checkpoint in
// testdata.
func preset(s workloads.Scale) string {
	switch s {
	case workloads.Small:
		return "gpt2"
	case workloads.Full:
		return "gpt2-xl"
	case workloads.Tiny:
	}
	return ""
}

// ModelName names the model at a scale in benchmark results.
func ModelName(s workloads.Scale) string {
	if p := preset(s); p != "" {
		return p
	}
	return "gpt2-tiny"
}
