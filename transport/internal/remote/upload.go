package remote

import (
	"context"
	"errors"
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// sendWeight uploads one weight, from where an upload that was cut short ended.
// If the worker has given up what it had, it is sent from the beginning. Uploads
// of a session need no order.
func (s *session) sendWeight(ctx context.Context, ref *planRef, u upload, sent func(int)) error {
	err := s.put(ctx, ref, u, sent)
	if u.offset > 0 && errors.Is(err, transport.ErrMissingWeight) {
		sent(-u.offset)
		u.offset = 0
		err = s.put(ctx, ref, u, sent)
	}
	if err == nil && u.release != nil {
		u.release()
	}
	return err
}

// put is PutWeight.
func (s *session) put(ctx context.Context, ref *planRef, u upload, sent func(int)) error {
	data := u.data[u.offset:]
	at, told := 0, 0 // of the bytes: sent by this attempt, told of
	return s.call(ctx, &request{
		typ: wire.TypePutWeight,
		control: &wirepb.PutWeight{
			Session: s.num, Plan: ref.num, Value: u.value, Bytes: uint64(len(data)), Offset: uint64(u.offset),
		},
		payload: []wire.Segment{{Data: data, Cause: plan.CauseWeights}},
		sent: func(n int) {
			if at += n; at > told {
				sent(at - told)
				told = at
			}
		},
		again: func() { at = 0 },
	})
}

// resumeAt is how much of a weight need not be sent: what the worker has, if it
// is the beginning of data.
func resumeAt(v *plan.Value, data []byte, p *wirepb.Partial) (int, error) {
	if p == nil || p.GetBytes() > uint64(len(data)) {
		return 0, nil
	}
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return 0, err
	}
	n := int(p.GetBytes())
	have := transport.HashWeight(v.Storage, shape, data[:n])
	if !slices.Equal(have[:], p.GetHash()) {
		return 0, nil
	}
	return n, nil
}
