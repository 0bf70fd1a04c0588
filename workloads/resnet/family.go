package resnet

import (
	"context"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// Family is ResNet in the table of families.
func Family() workloads.Family {
	return workloads.Family{
		Name: workloads.ResNet, Title: "ResNet", ImageProcessor: "ConvNext",
		Sizes:   []workloads.Size{{Name: workloads.SizeBatch, Of: "images"}},
		Presets: presets, Load: loadFamily,
	}
}

func presets() []workloads.Preset {
	var list []workloads.Preset
	for _, name := range Presets() {
		c, _ := Preset(name)
		list = append(list, workloads.Preset{
			Name: name, Parameters: c.Parameters(), Layers: c.Layers(), Hidden: slices.Max(c.HiddenSizes), Image: usualSize,
			Classes: c.Classes(), Write: NewCheckpoint,
		})
	}
	return list
}

func loadFamily(ctx context.Context, dir string, o workloads.FamilyOptions) (*workloads.FamilyModel, error) {
	m, err := Load(ctx, dir, LoadOptions{Height: o.Height, Width: o.Width, Progress: o.Progress, Hashes: o.Hashes, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return &workloads.FamilyModel{
		Graph: m.Graph, Close: m.Close,
		Bind: func(s workloads.Sizes) (plan.Bindings, error) {
			return plan.Bindings{"batch": s.Batch}, nil
		},
		Classifier: &workloads.Classifier{Pixels: "pixels", Logits: m.Logits, Labels: m.Config.Labels},
	}, nil
}
