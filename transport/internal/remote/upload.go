package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// sendWeight uploads one weight. It resumes an interrupted upload; if the
// worker has dropped its part, it starts from the beginning. Uploads of a
// session need no order.
func (s *session) sendWeight(ctx context.Context, ref *planRef, u upload, sent func(int)) error {
	err := s.put(ctx, ref, u, sent)
	if u.offset > 0 && errors.Is(err, transport.ErrMissingWeight) {
		sent(-u.offset)
		u.offset = 0
		err = s.put(ctx, ref, u, sent)
	}
	if err == nil && u.weight.Release != nil {
		u.weight.Release()
	}
	if errors.Is(err, transport.ErrCorrupt) {
		err = u.examine(ref, err)
	}
	return err
}

// examine checks whether a weight that arrived damaged was damaged before it
// was sent: then what its source has stored about its file is wrong.
func (u upload) examine(ref *planRef, err error) error {
	v := &ref.layout.Plan.Values[u.value]
	if !errors.Is(err, memory.ErrFault) {
		shape, bad := v.Spec.Shape.Eval(nil)
		if bad != nil {
			return err
		}
		var have plan.Hash
		bad = u.weight.Read(func(data []byte) { have = transport.HashWeight(v.Storage, shape, data) })
		switch {
		case bad != nil:
			err = bad
		case have == v.Hash:
			return err
		default:
			err = &transport.ContentError{Name: v.Name, File: u.weight.File, Err: fmt.Errorf("it has %v, not %v", have, v.Hash)}
		}
	}
	if u.weight.Distrust != nil {
		u.weight.Distrust()
	}
	return err
}

// put sends PutWeight.
func (s *session) put(ctx context.Context, ref *planRef, u upload, sent func(int)) error {
	data := u.weight.Data[u.offset:]
	payload := wire.Segment{Data: data, Cause: plan.CauseWeights}
	if u.weight.File != "" {
		payload.View = fmt.Sprintf("weight %q of %s", u.weight.Name, u.weight.File)
	}
	at, told := 0, 0 // bytes sent by this attempt, and reported to progress
	return s.call(ctx, &request{
		typ: wire.TypePutWeight,
		control: &wirepb.PutWeight{
			Session: s.num, Plan: ref.num, Value: u.value, Bytes: uint64(len(data)), Offset: uint64(u.offset),
		},
		payload: []wire.Segment{payload},
		sent: func(n int) {
			if at += n; at > told {
				sent(at - told)
				told = at
			}
		},
		again: func() { at = 0 },
	})
}

// byValue is the worker's parts of values, by value.
func byValue(parts []*wirepb.Partial) map[uint32]*wirepb.Partial {
	of := make(map[uint32]*wirepb.Partial, len(parts))
	for _, p := range parts {
		if of[p.GetValue()] == nil {
			of[p.GetValue()] = p
		}
	}
	return of
}

// resumeAt is how much of a weight need not be sent: the worker's part, if it
// is the beginning of its content.
func resumeAt(v *plan.Value, w transport.Weight, p *wirepb.Partial) (int, error) {
	if p == nil || p.GetBytes() > uint64(len(w.Data)) {
		return 0, nil
	}
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return 0, err
	}
	n := int(p.GetBytes())
	var have plan.Hash
	if err := w.Read(func(data []byte) { have = transport.HashWeight(v.Storage, shape, data[:n]) }); err != nil {
		return 0, err
	}
	if !slices.Equal(have[:], p.GetHash()) {
		return 0, nil
	}
	return n, nil
}
