package vision_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/workloadtest"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func suite() workloadtest.Suite {
	return workloadtest.Suite{
		Load: func(testdata string, scale workloads.Scale, batch int) (workloads.Workload, error) {
			return vision.Load(testdata, scale, batch)
		},
		Batches: vision.Batches, Tiny: workloads.ID{Name: vision.Name, Model: "resnet-tiny"}, Output: vision.Logits, Weight: "classifier.1.bias",
	}
}

func TestRun(t *testing.T)           { suite().Run(t) }
func TestChangedWeight(t *testing.T) { suite().ChangedWeight(t) }
func TestLoadRefuses(t *testing.T)   { suite().Refuses(t) }
func TestRandomWeights(t *testing.T) { suite().RandomWeights(t) }
