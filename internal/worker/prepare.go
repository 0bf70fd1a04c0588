package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/genie-sdk/go/internal/admission"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// prepare handles Prepare, with or without the encoded plan.
func (st *stream) prepare(h wire.Header, control []byte) (*task, error) {
	var m wirepb.Prepare
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	st.bound(m.GetDeadlineMs())
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, err
	}
	r := &preparation{st: st, s: s, num: m.GetPlan(), model: m.GetModel()}
	if copy(r.hash[:], m.GetHash()) != len(r.hash) || len(m.GetHash()) != len(r.hash) {
		return nil, fmt.Errorf("%w: plan hash of %d bytes", transport.ErrProtocol, len(m.GetHash()))
	}
	if !validModel(r.model) {
		return nil, fmt.Errorf("%w: %.80q is no model name", transport.ErrProtocol, r.model)
	}
	n := m.GetPlanBytes()
	if n > plan.MaxPlanBytes {
		return nil, fmt.Errorf("%w: plan of %d bytes, the limit is %d", transport.ErrLimit, n, plan.MaxPlanBytes)
	}
	if err := st.total(h, n, n); err != nil {
		return nil, err
	}
	r.arrival = &arrival{s: s}
	r.arrival.add(n, plan.CausePlan)
	if err := r.arrival.fits(); err != nil {
		return nil, err
	}
	st.arrival, st.complete = r.arrival, func(mem []byte) { r.encoded = mem[:n] }
	return &task{session: s, prepare: r, do: r.do, free: r.free, seq: m.GetSeq()}, nil
}

// validModel reports whether a model name is a single path element, or empty.
func validModel(name string) bool {
	return name == "" || len(name) <= plan.MaxNameLen && filepath.IsLocal(name) && name != "." &&
		!strings.ContainsAny(name, "/\\\x00")
}

// preparation is one Prepare.
type preparation struct {
	st      *stream
	s       *session
	num     uint32
	p       Program // once it is known
	hash    plan.Hash
	model   string
	encoded []byte
	arrival *arrival
	held    int64            // bytes that the tenant has paid for the request
	cached  int              // number of weights from the cache
	buffer  []byte           // for copies out of mapped files
	place   *admission.Place // in the worker's queue, once the request has arrived completely
	turns   preparing

	proved bool                   // the client has sent its proofs
	absent map[plan.Hash]struct{} // contents that the engine does not have; nil if every listed weight is one
}

func (r *preparation) free() {
	defer r.place.End()
	defer func() {
		r.s.srv.uncharge(r.s.tenant, r.held)
		r.held = 0
	}()
	r.s.unstage(r.arrival.mem) // a plan is larger than the next payload
	r.arrival.mem = nil
}

// do prepares when it is the session's turn.
func (r *preparation) do(ctx context.Context) (answer, error) {
	if err := r.turn(ctx); err != nil {
		return answer{}, err
	}
	defer r.turns.leave()
	return r.answer(ctx)
}

func (r *preparation) answer(ctx context.Context) (answer, error) {
	p, ok, err := r.program(ctx)
	if err != nil {
		return answer{}, err
	}
	if !ok {
		return answer{control: &wirepb.Prepared{NeedPlan: true}}, nil
	}
	if err := r.s.setPlan(r.num, p); err != nil {
		return answer{}, err
	}
	if err := r.s.es.Use(p); err != nil {
		return answer{}, err
	}
	if err := r.turns.goOn(ctx); err != nil {
		return answer{}, err
	}
	r.p = p
	m, err := r.missing(ctx)
	if err == nil {
		err = r.challenge(m)
	}
	return answer{control: m}, err
}

// missing lists the weights of the plan that the client has to send or prove,
// after it has checked the claims of others, the folder and the cache.
func (r *preparation) missing(ctx context.Context) (*wirepb.Prepared, error) {
	claimed, err := r.claim(ctx)
	if err != nil {
		return nil, err
	}
	told := false
	defer func() {
		if !told { // others need not wait for weights that no session must send
			r.unclaim(claimed, nil)
		}
	}()
	if err := r.fits(); err != nil {
		r.s.dropPlan(r.num, r.p)
		return nil, err
	}
	missing, err := r.search(ctx, claimed)
	if err != nil {
		return nil, err
	}
	m := &wirepb.Prepared{Missing: make([]uint32, len(missing))}
	for i, id := range missing {
		m.Missing[i] = uint32(id)
	}
	for _, part := range r.s.srv.partsOf(r.s.tenant, r.p, missing) {
		m.Partial = append(m.Partial, &wirepb.Partial{Value: part.value, Bytes: part.bytes, Hash: part.prefix[:]})
	}
	told = true
	return m, nil
}

// search takes weights from the model folder and the cache, and lists the ids
// of the others.
func (r *preparation) search(ctx context.Context, claimed []int) (missing []int, err error) {
	missing = claimed
	lookup := r.s.srv.weightLookup(r.p.Plan(), claimed)
	if len(claimed) > 0 && r.looks() {
		if err := r.openModel(ctx, r.p.Plan().Values[claimed[0]].Hash); err != nil {
			return nil, err
		}
		r.absent = r.s.absent(r.p)
		for _, id := range claimed {
			if err := r.turns.share(ctx); err != nil {
				return nil, err
			}
			if err := r.find(ctx, r.p, r.p.Plan().Values[id]); err != nil {
				return nil, err
			}
			r.s.srv.claims.came(r.s)
		}
		missing = r.s.wanted(r.p)
		r.unclaim(claimed, missing)
	}
	lookup.end(missing, r.cached)
	return missing, r.turns.goOn(ctx)
}

// openModel opens the model while others have their turn.
func (r *preparation) openModel(ctx context.Context, content plan.Hash) error {
	if r.model == "" || r.s.srv.opts.Weights == nil {
		return nil
	}
	r.turns.leave()
	w, err := r.s.srv.opts.Weights.Find(ctx, r.model, content)
	if err == nil && w.Release != nil {
		w.Release()
	}
	return r.turns.again(ctx)
}

// looks reports whether there is a folder or a cache to search.
func (r *preparation) looks() bool {
	return r.model != "" && r.s.srv.opts.Weights != nil || r.s.srv.opts.Cache != nil
}

// program is the plan in the engine; false when it must be sent.
func (r *preparation) program(ctx context.Context) (Program, bool, error) {
	backend := r.s.srv.opts.Engine
	if len(r.encoded) == 0 {
		p, ok := backend.Program(r.hash)
		ok = ok && r.s.mayUse(r.hash) // without the right, the answer is that for an unknown plan
		r.s.srv.planLookup(ok)
		return p, ok, nil
	}
	if plan.HashEncoded(r.encoded) != r.hash {
		return nil, false, fmt.Errorf("%w: the plan does not have the hash %v", transport.ErrCorrupt, r.hash)
	}
	work := engine.PlanWork(r.encoded)
	if err := r.s.srv.charge(r.s.tenant, work, "reading a plan"); err != nil {
		return nil, false, err
	}
	defer r.s.srv.uncharge(r.s.tenant, work)
	decoded, err := plan.DecodeContext(ctx, r.encoded)
	if err != nil {
		return nil, false, err
	}
	if err := decoded.OneDevice(); err != nil {
		return nil, false, err
	}
	p, err := backend.Compile(ctx, decoded, r.hash, r.turns.goOn)
	if err != nil {
		return nil, false, err
	}
	r.s.srv.plans.Add(1)
	return p, true, r.s.brought(r.hash)
}

// find takes a weight from the model folder or the cache. The client has to
// send what neither has.
func (r *preparation) find(ctx context.Context, p Program, v plan.Value) error {
	if r.model != "" && r.s.srv.opts.Weights != nil {
		if found, err := r.findModel(ctx, p, v); found || err != nil {
			return err
		}
	}
	if r.s.srv.opts.Cache == nil || !r.s.mayUse(v.Hash) {
		return nil
	}
	found, err := r.s.srv.load(ctx, p, v)
	if found {
		r.cached++
	}
	return err
}
