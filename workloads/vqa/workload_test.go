package vqa_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/workloadtest"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vqa"
)

func TestMain(m *testing.M) {
	benchname.Declare(os.Stdout, "executor-ns/op better=lower")
	goleak.VerifyTestMain(m)
}

func suite() workloadtest.Suite {
	return workloadtest.Suite{
		Load: func(testdata string, scale workloads.Scale, batch int) (workloads.Workload, error) {
			return vqa.Load(testdata, scale, batch)
		},
		Batches: vqa.Batches, Tiny: workloads.ID{Name: vqa.Name, Model: "clip-tiny"}, Output: vqa.LogitsPerImage, Weight: "visual_projection.weight",
	}
}

func TestRun(t *testing.T)           { suite().Run(t) }
func TestChangedWeight(t *testing.T) { suite().ChangedWeight(t) }
func TestLoadRefuses(t *testing.T)   { suite().Refuses(t) }
func TestRandomWeights(t *testing.T) { suite().RandomWeights(t) }
