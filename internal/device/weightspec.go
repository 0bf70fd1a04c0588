package device

import "github.com/genie-sdk/go/transport/plan"

// WeightSpec is a plan's description of a weight's content: a comparable part of
// a [WeightLayout]. A hash covers type and shape, too: a plan that describes held
// content differently does not get it, and nothing can be loaded that matches
// its request.
type WeightSpec struct {
	DType, Storage plan.DType
	Rank           int
	Dims           [plan.MaxRank]int
}

// SpecOf is the description of a weight of a plan that has passed its checks, so
// that all dimensions are constant.
func SpecOf(v *plan.Value) WeightSpec {
	s := WeightSpec{DType: v.Spec.DType, Storage: v.Storage, Rank: len(v.Spec.Shape)}
	for i, d := range v.Spec.Shape {
		s.Dims[i], _ = d.Const()
	}
	return s
}
