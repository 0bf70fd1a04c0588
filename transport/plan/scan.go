package plan

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/genie-sdk/go/transport/plan/internal/planpb"
)

// listLimits bounds each list of an encoded plan by the name of its field.
var listLimits = map[protoreflect.FullName]int{
	"genie.plan.v1.Plan.values":  MaxValues,
	"genie.plan.v1.Plan.steps":   MaxSteps,
	"genie.plan.v1.Plan.inputs":  MaxValues,
	"genie.plan.v1.Plan.outputs": MaxValues,
	"genie.plan.v1.Plan.states":  MaxValues,
	"genie.plan.v1.Value.shape":  MaxRank,
	"genie.plan.v1.Step.attrs":   MaxAttrs,
	"genie.plan.v1.Step.in":      MaxOpInputs,
	"genie.plan.v1.Attr.ints":    MaxAttrList,
	"genie.plan.v1.Attr.dims":    MaxAttrList,
}

// scanPlan walks an encoded plan without building it and checks that fields are
// known and lists are within their limits. This bounds what the decoder will
// allocate. The length of the encoding alone does not: two bytes can be an
// empty message.
func scanPlan(b []byte) error {
	s := scanner{left: MaxPlanElements, factors: MaxPlanFactors}
	return s.message(b, (*planpb.Plan)(nil).ProtoReflect().Descriptor())
}

// dimFields are the lists of dimensions.
var dimFields = map[protoreflect.FullName]bool{"genie.plan.v1.Value.shape": true, "genie.plan.v1.Attr.dims": true}

type scanner struct{ left, factors int }

func (s *scanner) message(b []byte, md protoreflect.MessageDescriptor) error {
	fields := md.Fields()
	counts := make([]int, fields.Len())
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrInvalid, protowire.ParseError(n))
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrInvalid, protowire.ParseError(n))
		}
		fd := fields.ByNumber(num)
		if fd == nil {
			return fmt.Errorf("%w: %s has no field %d", ErrInvalid, md.Name(), num)
		}
		elements, limit := 1, 1
		if fd.IsList() {
			limit = listLimits[fd.FullName()]
			if fd.IsPacked() && typ == protowire.BytesType {
				elements = varints(b[:n])
			}
			s.left -= elements
		}
		if typ == protowire.BytesType && dimFields[fd.FullName()] {
			text, _ := protowire.ConsumeBytes(b)
			s.factors -= textFactors(text)
		}
		if s.factors < 0 {
			return fmt.Errorf("%w: dimensions of more than %d numbers and symbols", ErrInvalid, MaxPlanFactors)
		}
		if counts[fd.Index()] += elements; counts[fd.Index()] > limit || s.left < 0 {
			return fmt.Errorf("%w: too many %s.%s", ErrInvalid, md.Name(), fd.Name())
		}
		if sub := fd.Message(); sub != nil && typ == protowire.BytesType {
			body, _ := protowire.ConsumeBytes(b)
			if err := s.message(body, sub); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	return nil
}

// varints counts the varints in a packed list with its length prefix.
func varints(b []byte) (n int) {
	body, _ := protowire.ConsumeBytes(b)
	for _, c := range body {
		if c < 0x80 {
			n++
		}
	}
	return n
}
