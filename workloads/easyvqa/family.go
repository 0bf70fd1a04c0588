package easyvqa

import (
	"context"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// longestQuestion is the most words of a question in the data set.
const longestQuestion = 9

// Family is the easy-VQA network in the table of families.
func Family() workloads.Family {
	return workloads.Family{
		Name: workloads.EasyVQA, Title: "easy-VQA",
		Sizes: []workloads.Size{
			{Name: workloads.SizeBatch, Of: "images"}, {Name: workloads.SizeTexts, Of: "questions"}, {Name: workloads.SizeSeq, Of: "words of a question"},
		},
		Load: loadFamily,
	}
}

func loadFamily(ctx context.Context, dir string, o workloads.FamilyOptions) (*workloads.FamilyModel, error) {
	m, err := Load(ctx, dir, LoadOptions{Progress: o.Progress, Hashes: o.Hashes})
	if err != nil {
		return nil, err
	}
	return &workloads.FamilyModel{
		Graph: m.Graph, Close: m.Close,
		Bind: func(s workloads.Sizes) (plan.Bindings, error) {
			if s.Seq == 0 {
				s.Seq = longestQuestion
			}
			return plan.Bindings{"images": s.Batch, "questions": s.Texts, "words": s.Seq}, nil
		},
	}, nil
}
