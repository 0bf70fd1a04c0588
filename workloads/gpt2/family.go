package gpt2

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// Presets are the architectures that [Preset] knows, smallest first.
func Presets() []string {
	return []string{"gpt2-tiny", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"}
}

// Family is GPT-2 in the table of families.
func Family() workloads.Family {
	return workloads.Family{
		Name: workloads.GPT2, Title: "GPT-2", Untyped: true, Generates: true,
		Sizes: []workloads.Size{
			{Name: workloads.SizeBatch, Of: "sequences"},
			{Name: workloads.SizeSeq, Of: "new rows"},
			{Name: workloads.SizePast, Of: "rows in its cache"},
		},
		Presets: presets, Load: loadFamily,
	}
}

func presets() []workloads.Preset {
	var list []workloads.Preset
	for _, name := range Presets() {
		c, _ := Preset(name)
		list = append(list, workloads.Preset{
			Name: name, Parameters: c.Parameters(), Layers: c.Layers, Hidden: c.Hidden, Heads: c.Heads, Vocab: c.Vocab,
			Context: c.Positions, Write: NewCheckpoint,
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
		Graph: m.LM.Graph, Outputs: []lazy.Named{{Name: "next", Tensor: m.LM.Next}}, Close: m.Close,
		Bind: func(s workloads.Sizes) (plan.Bindings, error) {
			if rows := s.Past + s.Seq; rows > m.Config.Positions {
				return nil, fmt.Errorf("%w: past plus seq is %d rows, the model takes %d", workloads.ErrSizes, rows, m.Config.Positions)
			}
			return plan.Bindings{"batch": s.Batch, "seq": s.Seq, "past": s.Past}, nil
		},
		Language: m.Language(),
	}, nil
}

// Language is the model in the form that commands for generation use.
func (m *Model) Language() *workloads.LanguageModel {
	return &workloads.LanguageModel{
		LM: m.LM, Settings: m.Generation, Tokenizer: m.Tokenizer, TokenizerErr: m.TokenizerErr, Vocab: m.Config.Vocab,
	}
}
