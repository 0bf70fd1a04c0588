package vit

import (
	"cmp"
	"context"
	"fmt"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// Family is ViT in the table of families.
func Family() workloads.Family {
	return workloads.Family{
		Name: modelType, Title: "ViT", ImageProcessor: "ViT",
		Sizes:   []workloads.Size{{Name: workloads.SizeBatch, Of: "images"}},
		Presets: presets, Load: loadFamily,
	}
}

func presets() []workloads.Preset {
	var list []workloads.Preset
	for _, name := range Presets() {
		c, _ := Preset(name)
		list = append(list, workloads.Preset{
			Name: name, Parameters: c.Parameters(), Layers: c.Layers, Hidden: c.Hidden, Heads: c.Heads, Image: c.Image[0],
			Classes: c.Classes(), Write: NewCheckpoint,
		})
	}
	return list
}

func loadFamily(ctx context.Context, dir string, o workloads.FamilyOptions) (*workloads.FamilyModel, error) {
	m, err := Load(ctx, dir, LoadOptions{Progress: o.Progress, Hashes: o.Hashes, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	size := m.Config.Image
	if got := [2]int{cmp.Or(o.Height, size[0]), cmp.Or(o.Width, size[1])}; got != size {
		_ = m.Close()
		return nil, fmt.Errorf("%w: images of %dx%d pixels, the model takes %dx%d", workloads.ErrSizes, got[0], got[1], size[0], size[1])
	}
	return &workloads.FamilyModel{
		Graph: m.Graph, Close: m.Close,
		Bind: func(s workloads.Sizes) (plan.Bindings, error) {
			return plan.Bindings{"batch": s.Batch}, nil
		},
		Classifier: &workloads.Classifier{Pixels: "pixels", Logits: m.Logits, Labels: m.Config.Labels},
	}, nil
}
