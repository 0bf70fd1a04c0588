package baselines

import (
	"fmt"

	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/micro"
	"github.com/genie-sdk/go/workloads/vision"
	"github.com/genie-sdk/go/workloads/vqa"
)

// WorkloadNames are the workloads, in the order of tables.
func WorkloadNames() []string {
	return []string{llm.Decode, llm.Prefill, vision.Name, vqa.Name, micro.Name}
}

// Workloads are the workloads of a name at a scale: every batch size and every
// variant. testdata is the folder of that name of a checkout.
func Workloads(testdata, name string, scale workloads.Scale) ([]workloads.Workload, error) {
	var out []workloads.Workload
	switch name {
	case llm.Decode, llm.Prefill:
		all, err := llm.All(testdata, scale)
		if err != nil {
			return nil, err
		}
		for _, w := range all {
			if w.ID().Name == name {
				out = append(out, w)
			}
		}
	case vision.Name:
		for _, batch := range vision.Batches(scale) {
			w, err := vision.Load(testdata, scale, batch)
			if err != nil {
				return nil, err
			}
			out = append(out, w)
		}
	case vqa.Name:
		for _, batch := range vqa.Batches(scale) {
			w, err := vqa.Load(testdata, scale, batch)
			if err != nil {
				return nil, err
			}
			out = append(out, w)
		}
	case micro.Name:
		return micro.All(testdata, scale)
	default:
		return nil, fmt.Errorf("%w: no workload %q, there are %q", ErrUnknown, name, WorkloadNames())
	}
	return out, nil
}
