package bert

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// Family is BERT, with its relatives, in the table of families.
func Family() workloads.Family {
	return workloads.Family{
		Name: bertType, Title: "BERT", Types: []string{robertaType, xlmRobertaType, camembertType},
		Sizes: []workloads.Size{{Name: workloads.SizeBatch, Of: "texts"}, {Name: workloads.SizeSeq, Of: "tokens of a text"}},
		Load:  loadFamily,
	}
}

func loadFamily(ctx context.Context, dir string, o workloads.FamilyOptions) (*workloads.FamilyModel, error) {
	m, err := Load(ctx, dir, LoadOptions{Progress: o.Progress, Hashes: o.Hashes, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return &workloads.FamilyModel{
		Graph: m.Graph, Close: m.Close,
		Bind: func(s workloads.Sizes) (plan.Bindings, error) {
			most := m.Config.Longest()
			if s.Seq > most {
				return nil, fmt.Errorf("%w: seq is %d, the model takes texts of %d tokens", workloads.ErrSizes, s.Seq, most)
			}
			if s.Seq == 0 {
				s.Seq = most
			}
			return plan.Bindings{"batch": s.Batch, "seq": s.Seq}, nil
		},
	}, nil
}
