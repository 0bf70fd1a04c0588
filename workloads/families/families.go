package families

import (
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/bert"
	"github.com/genie-sdk/go/workloads/clip"
	"github.com/genie-sdk/go/workloads/easyvqa"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/resnet"
	"github.com/genie-sdk/go/workloads/vit"
)

// All are the families, in the order of tables.
func All() []workloads.Family {
	return []workloads.Family{
		gpt2.Family(),
		bert.Family(),
		resnet.Family(),
		clip.Family(),
		easyvqa.Family(),
		vit.Family(),
	}
}
