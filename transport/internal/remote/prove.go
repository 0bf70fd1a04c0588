package remote

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// prove proves to a worker that requires it that this client has the content of
// missing weights: content that the worker has from another identity need not
// be sent then. The answer lists the rest.
func (s *session) prove(ctx context.Context, ref *planRef, ready *wirepb.Prepared, weights transport.WeightSource) (*wirepb.Prepared, error) {
	if len(ready.GetMissing()) == 0 || len(ready.GetChallenge()) == 0 && len(ready.GetNonce()) == 0 {
		return ready, nil
	}
	var nonce, challenge transport.PossessionKey
	if len(ready.GetNonce()) != len(nonce) || len(ready.GetChallenge()) != len(challenge) {
		return nil, fmt.Errorf("%w: a challenge of %d bytes with a nonce of %d", transport.ErrProtocol, len(ready.GetChallenge()), len(ready.GetNonce()))
	}
	copy(nonce[:], ready.GetNonce())
	copy(challenge[:], ready.GetChallenge())
	ids := distinct(ref.layout.Plan, ready.GetMissing())
	proofs := make([]byte, len(ids)*len(transport.PossessionProof{}))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for i, id := range ids {
		g.Go(func() error {
			if gctx.Err() != nil {
				return fmt.Errorf("weights for %s: %w", s.x.cfg.Addr, ctxError(ctx))
			}
			u, err := findWeight(ref.layout.Plan, id, weights)
			if err != nil {
				return err
			}
			tag, err := tagOf(nonce, &ref.layout.Plan.Values[id], u.weight)
			if err != nil {
				return err
			}
			proof := tag.Prove(challenge)
			copy(proofs[i*len(proof):], proof[:])
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var answer wirepb.Prepared
	err := s.call(ctx, &request{
		typ: wire.TypeProve, order: s.order, answer: &answer,
		control: &wirepb.Prove{Session: s.num, Plan: ref.num, Values: ids, Bytes: uint64(len(proofs))},
		payload: []wire.Segment{{Data: proofs, Cause: plan.CauseControl}},
	})
	if err != nil {
		return nil, err
	}
	if answer.GetNeedPlan() {
		return nil, fmt.Errorf("%w: %s asks for a plan in answer to proofs", transport.ErrProtocol, s.x.cfg.Addr)
	}
	return &answer, nil
}

// tagOf is the tag of the content of a weight.
func tagOf(nonce transport.PossessionKey, v *plan.Value, w transport.Weight) (transport.PossessionTag, error) {
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return transport.PossessionTag{}, errors.Join(transport.ErrShape, err)
	}
	h := transport.NewPossessionHasher(nonce, v.Storage, shape)
	err = w.Read(func(data []byte) { _, _ = h.Write(data) })
	return h.Sum(), err
}
