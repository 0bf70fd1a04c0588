package clip

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// Family is CLIP in the table of families.
func Family() workloads.Family {
	return workloads.Family{
		Name: workloads.CLIP, Title: "CLIP",
		Sizes: []workloads.Size{
			{Name: workloads.SizeBatch, Of: "images"}, {Name: workloads.SizeTexts, Of: "texts"}, {Name: workloads.SizeSeq, Of: "tokens of a text"},
		},
		Presets: presets, Load: loadFamily,
	}
}

func presets() []workloads.Preset {
	var list []workloads.Preset
	for _, name := range Presets() {
		c, _ := Preset(name)
		list = append(list, workloads.Preset{
			Name: name, Parameters: c.Parameters(), Layers: c.Text.Layers + c.Vision.Layers, Hidden: max(c.Text.Hidden, c.Vision.Hidden),
			Heads: c.Vision.Heads, Vocab: c.Text.Vocab, Context: c.Text.Positions, Image: c.Vision.Image, Write: NewCheckpoint,
		})
	}
	return list
}

func loadFamily(ctx context.Context, dir string, o workloads.FamilyOptions) (*workloads.FamilyModel, error) {
	m, err := Load(ctx, dir, LoadOptions{Progress: o.Progress, Hashes: o.Hashes, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return &workloads.FamilyModel{
		Graph: m.Graph, Close: m.Close,
		Bind: func(s workloads.Sizes) (plan.Bindings, error) {
			most := m.Config.Text.Positions
			if s.Seq > most {
				return nil, fmt.Errorf("%w: seq is %d, the model takes texts of %d tokens", workloads.ErrSizes, s.Seq, most)
			}
			if s.Seq == 0 {
				s.Seq = most
			}
			return plan.Bindings{"images": s.Batch, "texts": s.Texts, "seq": s.Seq}, nil
		},
	}, nil
}
