package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// prepare is Prepare, with or without the encoded plan.
func (st *stream) prepare(h wire.Header, control []byte) (*task, []wire.Segment, error) {
	var m wirepb.Prepare
	if err := decode(control, &m); err != nil {
		return nil, nil, err
	}
	st.bound(m.GetDeadlineMs())
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, nil, err
	}
	r := &preparation{st: st, s: s, num: m.GetPlan(), model: m.GetModel()}
	if copy(r.hash[:], m.GetHash()) != len(r.hash) || len(m.GetHash()) != len(r.hash) {
		return nil, nil, fmt.Errorf("%w: plan hash of %d bytes", transport.ErrProtocol, len(m.GetHash()))
	}
	if !validModel(r.model) {
		return nil, nil, fmt.Errorf("%w: %.80q is no model name", transport.ErrProtocol, r.model)
	}
	n := m.GetPlanBytes()
	if n > plan.MaxPlanBytes {
		return nil, nil, fmt.Errorf("%w: plan of %d bytes, the limit is %d", transport.ErrLimit, n, plan.MaxPlanBytes)
	}
	if err := st.total(h, n, n); err != nil {
		return nil, nil, err
	}
	if n > 0 {
		if r.memory, err = s.stage(n); err != nil {
			return nil, nil, err
		}
		r.encoded = r.memory[:n]
	}
	return &task{session: s, do: r.do, free: r.free, seq: m.GetSeq()}, []wire.Segment{{Data: r.encoded, Cause: plan.CausePlan}}, nil
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
	memory  []byte
	cached  int    // weights that the cache had
	buffer  []byte // for what comes from mapped files

	proved bool                   // the client has shown what it has
	absent map[plan.Hash]struct{} // that the engine does not hold; nil where all that is listed is
}

func (r *preparation) free() { r.s.unstage(r.memory) }

func (r *preparation) do(ctx context.Context) (answer, error) {
	p, ok, err := r.program()
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
	r.p = p
	m, err := r.missing(ctx)
	if err == nil {
		err = r.challenge(m)
	}
	return answer{control: m}, err
}

// missing lists the weights of the plan that the client has to send or prove,
// after a look at what others send and at what is in the folder and the cache.
func (r *preparation) missing(ctx context.Context) (*wirepb.Prepared, error) {
	p := r.p
	claimed, err := r.claim(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := r.fits(); err != nil {
		r.unclaim(claimed, nil)
		r.s.dropPlan(r.num, p)
		return nil, err
	}
	lookup := r.s.srv.weightLookup(p.Plan(), claimed)
	r.absent = r.s.absent(p)
	missing := claimed
	for _, v := range claimed {
		if err := r.find(ctx, p, v); err != nil {
			r.unclaim(claimed, nil)
			return nil, err
		}
	}
	if len(claimed) > 0 {
		missing = r.s.wanted(p)
		r.unclaim(claimed, missing)
	}
	lookup.end(missing, r.cached)
	ids, err := valueIDs(p.Plan(), missing)
	m := &wirepb.Prepared{Missing: ids}
	for _, part := range r.s.srv.partsOf(r.s.tenant, p, ids) {
		m.Partial = append(m.Partial, &wirepb.Partial{Value: part.value, Bytes: part.bytes, Hash: part.prefix[:]})
	}
	return m, err
}

// program is the plan as the engine holds it; false when it must be sent.
func (r *preparation) program() (Program, bool, error) {
	engine := r.s.srv.opts.Engine
	if r.encoded == nil {
		p, ok := engine.Program(r.hash)
		ok = ok && r.s.mayUse(r.hash) // who may not is told what who names nothing is told
		r.s.srv.planLookup(ok)
		return p, ok, nil
	}
	if plan.HashEncoded(r.encoded) != r.hash {
		return nil, false, fmt.Errorf("%w: the plan does not have the hash %v", transport.ErrCorrupt, r.hash)
	}
	decoded, err := plan.Decode(r.encoded)
	if err != nil {
		return nil, false, err
	}
	p, err := engine.Compile(decoded)
	if err != nil {
		return nil, false, err
	}
	r.s.srv.plans.Add(1)
	return p, true, r.s.brought(r.hash)
}

// find takes a weight from the model folder or the cache. What neither has is
// left to the client.
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

// valueIDs finds the ids of values of a plan.
func valueIDs(p *plan.Plan, values []plan.Value) ([]uint32, error) {
	type key struct {
		hash plan.Hash
		name string
	}
	ids := make(map[key]uint32, len(p.Values))
	for i := range p.Values {
		if v := &p.Values[i]; v.Kind == plan.KindWeight {
			ids[key{v.Hash, v.Name}] = uint32(i)
		}
	}
	out := make([]uint32, len(values))
	for i, v := range values {
		id, ok := ids[key{v.Hash, v.Name}]
		if !ok {
			return nil, fmt.Errorf("%w: missing weight %q is not the plan's", transport.ErrInternal, v.Name)
		}
		out[i] = id
	}
	return out, nil
}
