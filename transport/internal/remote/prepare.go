package remote

import (
	"context"
	"fmt"
	"sync"
	"weak"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// uploads is the number of concurrent uploads: while one weight is hashed and
// packed the next one is sent.
const uploads = 4

// planRef implements [transport.PlanRef]. It is immutable except for its
// causes.
type planRef struct {
	session *session
	num     uint32 // its number in the session
	hash    plan.Hash
	layout  *wire.Layout
	said    saidCauses
}

// Hash implements [transport.PlanRef].
func (r *planRef) Hash() plan.Hash { return r.hash }

// Prepare implements [transport.Session].
func (s *session) Prepare(ctx context.Context, p *plan.Plan, weights transport.WeightSource, progress transport.Progress) (transport.PlanRef, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	ctx, done := s.during(ctx)
	defer done()
	hash := s.x.hashes.hash(p)
	if hash == (plan.Hash{}) {
		_, err := p.Encode()
		return nil, err
	}
	ref, ready, err := s.numbered(p, hash)
	if ready || err != nil {
		return ref, err
	}
	if err := p.OneDevice(); err != nil {
		return nil, err
	}
	model := ""
	if weights != nil {
		model = weights.Model()
	}
	patience := s.x.retry.patience()
	for all, left := false, sendings(p); !all; {
		before := s.uploadsDone()
		ready, err := s.sendPlan(ctx, ref, model)
		if err == nil {
			ready, err = s.prove(ctx, ref, ready, weights)
		}
		if err == nil && len(ready.GetMissing()) == 0 {
			break
		}
		var sent bool
		if err == nil && left == 0 {
			return nil, fmt.Errorf("%w: %s misses weights that it was sent", transport.ErrProtocol, s.x.cfg.Addr)
		}
		if err == nil {
			all, sent, err = s.upload(ctx, ref, ready, before, weights, progress)
		}
		if err != nil && !patience.again(ctx, err) {
			return nil, err
		}
		if sent {
			left--
		}
		// A content that is missing in two layouts is sent once for each, one
		// after the other; ask what is left.
	}
	s.isReady(ref)
	return ref, nil
}

// numbered is the plan under its number in the session, which is a new one unless
// the plan is ready: the worker has it for as long as the session lives, of which
// nothing but the number is remembered here when the caller has dropped it.
func (s *session) numbered(p *plan.Plan, hash plan.Hash) (ref *planRef, ready bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.plans[hash]; ok {
		if ref = have.ref.Value(); ref == nil {
			ref = &planRef{session: s, num: have.num, hash: hash, layout: s.x.layout(p)}
			s.plans[hash] = numberedPlan{have.num, weak.Make(ref)}
		}
		return ref, true, nil
	}
	if len(s.plans) >= wire.MaxPlans {
		return nil, false, fmt.Errorf("%w: the session on %s has %d plans", transport.ErrLimit, s.x.cfg.Addr, len(s.plans))
	}
	s.lastPlan++
	return &planRef{session: s, num: s.lastPlan, hash: hash, layout: s.x.layout(p)}, false, nil
}

// isReady remembers the number of a plan that the worker has with all its weights.
func (s *session) isReady(ref *planRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans[ref.hash] = numberedPlan{ref.num, weak.Make(ref)}
}

// numberedPlan is a plan that the worker has.
type numberedPlan struct {
	num uint32
	ref weak.Pointer[planRef]
}

// moreSendings is how often sent weights may be missing again.
const moreSendings = 8

// sendings is how often a worker may report missing weights of a plan. A
// content is sent once for each layout in which the worker stores it, of which
// there are at most as many as values that have it; in addition, weights may be
// evicted in between.
func sendings(p *plan.Plan) int {
	most, count := 0, map[plan.Hash]int{}
	for i := range p.Values {
		if v := &p.Values[i]; v.Kind == plan.KindWeight {
			count[v.Hash]++
			most = max(most, count[v.Hash])
		}
	}
	return most + moreSendings
}

func (s *session) uploadsDone() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploaded
}

// upload sends what the worker misses. Plans that are prepared concurrently
// share weights: one of them sends at a time, and the others ask again
// afterwards. done is true when nothing is left to ask.
func (s *session) upload(ctx context.Context, ref *planRef, ready *wirepb.Prepared, before int, weights transport.WeightSource, progress transport.Progress) (done, sent bool, err error) {
	select {
	case s.uploading <- struct{}{}:
	case <-ctx.Done():
		return false, false, fmt.Errorf("weights for %s: %w", s.x.cfg.Addr, ctxError(ctx))
	}
	defer func() { <-s.uploading }()
	if s.uploadsDone() != before {
		return false, false, nil
	}
	once := distinct(ref.layout.Plan, ready.GetMissing())
	if err := s.sendWeights(ctx, ref, once, ready.GetPartial(), weights, progress); err != nil {
		return false, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploaded++
	return len(once) == len(ready.GetMissing()), true, nil
}

// distinct drops ids whose content has occurred before.
func distinct(p *plan.Plan, ids []uint32) []uint32 {
	seen := make(map[plan.Hash]bool, len(ids))
	out := make([]uint32, 0, len(ids))
	for _, id := range ids {
		if int64(id) < int64(len(p.Values)) {
			if seen[p.Values[id].Hash] {
				continue
			}
			seen[p.Values[id].Hash] = true
		}
		out = append(out, id)
	}
	return out
}

// sendPlan names the plan, sends it if the worker does not have it, and returns
// its weights that the worker does not have.
func (s *session) sendPlan(ctx context.Context, ref *planRef, model string) (*wirepb.Prepared, error) {
	var answer wirepb.Prepared
	control := &wirepb.Prepare{Session: s.num, Plan: ref.num, Hash: ref.hash[:], Model: model}
	r := &request{typ: wire.TypePrepare, order: s.order, control: control, answer: &answer, number: func(seq uint64) { control.Seq = seq }}
	if err := s.call(ctx, r); err != nil {
		return nil, err
	}
	if !answer.GetNeedPlan() {
		return &answer, nil
	}
	second, err := s.sendEncoded(ctx, ref, control)
	if err != nil {
		return nil, err
	}
	if second.GetNeedPlan() {
		return nil, fmt.Errorf("%w: %s asks again for a plan that it was sent", transport.ErrProtocol, s.x.cfg.Addr)
	}
	return second, nil
}

// upload is one weight to send.
type upload struct {
	value  uint32
	weight transport.Weight
	offset int // bytes that the worker has
}

func (s *session) sendWeights(ctx context.Context, ref *planRef, missing []uint32, parts []*wirepb.Partial, weights transport.WeightSource, progress transport.Progress) error {
	list := make([]upload, 0, len(missing))
	total := int64(0)
	have := byValue(parts)
	for _, id := range missing {
		u, err := findWeight(ref.layout.Plan, id, weights)
		if err != nil {
			return err
		}
		if u.offset, err = resumeAt(&ref.layout.Plan.Values[id], u.weight, have[id]); err != nil {
			return err
		}
		list = append(list, u)
		total += int64(len(u.weight.Data))
	}
	var mu sync.Mutex
	done := int64(0)
	sent := func(n int) {
		if progress == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		done += int64(n)
		progress(done, total)
	}
	if total > 0 {
		had := 0
		for _, u := range list {
			had += u.offset
		}
		sent(had)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for _, u := range list {
		g.Go(func() error { return s.sendWeight(ctx, ref, u, sent) })
	}
	return g.Wait()
}

// findWeight gets the content of a value of the plan and checks its type and
// shape.
func findWeight(p *plan.Plan, id uint32, weights transport.WeightSource) (upload, error) {
	if int64(id) >= int64(len(p.Values)) || p.Values[id].Kind != plan.KindWeight {
		return upload{}, fmt.Errorf("%w: the worker misses value %d, which is no weight", transport.ErrProtocol, id)
	}
	v := &p.Values[id]
	if weights == nil {
		return upload{}, fmt.Errorf("%w: %q (%v): no source of weights was given", transport.ErrMissingWeight, v.Name, v.Hash)
	}
	w, err := weights.Weight(v.Hash)
	if err != nil {
		return upload{}, fmt.Errorf("weight %q: %w", v.Name, err)
	}
	want, err := wire.WeightBytes(v)
	if err != nil {
		return upload{}, err
	}
	if uint64(len(w.Data)) != want || w.Storage != v.Storage {
		return upload{}, fmt.Errorf("%w: weight %q is %v in %d bytes, the plan says %v in %d",
			transport.ErrShape, v.Name, w.Storage, len(w.Data), v.Storage, want)
	}
	return upload{value: id, weight: w}, nil
}

// sendEncoded sends Prepare with the plan itself.
func (s *session) sendEncoded(ctx context.Context, ref *planRef, control *wirepb.Prepare) (*wirepb.Prepared, error) {
	encoded, err := ref.layout.Plan.Encode()
	if err != nil {
		return nil, err
	}
	control.PlanBytes = uint64(len(encoded))
	var answer wirepb.Prepared
	r := &request{
		typ: wire.TypePrepare, order: s.order, control: control, answer: &answer,
		payload: []wire.Segment{{Data: encoded, Cause: plan.CausePlan}},
		number:  func(seq uint64) { control.Seq = seq },
	}
	return &answer, s.call(ctx, r)
}

// Resend sends a prepared plan again, which changes nothing: a measurement of
// executors that remember no plans asks for it.
func (s *session) Resend(ctx context.Context, ref transport.PlanRef) error {
	r, ok := ref.(*planRef)
	if !ok || r.session != s {
		return fmt.Errorf("%w: a plan of another session", transport.ErrUnknownPlan)
	}
	_, err := s.sendEncoded(ctx, r, &wirepb.Prepare{Session: s.num, Plan: r.num, Hash: r.hash[:]})
	return err
}
