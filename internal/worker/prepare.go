package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// prepare is Prepare, with or without the encoded plan.
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
	return &task{session: s, do: r.do, free: r.free, seq: m.GetSeq()}, nil
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
	hash    plan.Hash
	model   string
	encoded []byte
	arrival *arrival
	cached  int // weights that the cache had
}

func (r *preparation) free() {
	r.s.unstage(r.arrival.mem) // a plan is larger than what comes next
	r.arrival.mem = nil
}

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
	engine := r.s.srv.opts.Engine
	if err := engine.Fits(p); err != nil {
		r.s.dropPlan(r.num, p)
		return answer{}, err
	}
	missing := engine.Missing(p)
	lookup := r.s.srv.weightLookup(p.Plan(), missing)
	if len(missing) > 0 {
		for _, v := range missing {
			if err := r.find(ctx, p, v); err != nil {
				return answer{}, err
			}
		}
		missing = engine.Missing(p)
	}
	lookup.end(missing, r.cached)
	ids, err := valueIDs(p.Plan(), missing)
	m := &wirepb.Prepared{Missing: ids}
	for _, part := range r.s.srv.partsOf(p, ids) {
		m.Partial = append(m.Partial, &wirepb.Partial{Value: part.value, Bytes: part.bytes, Hash: part.prefix[:]})
	}
	return answer{control: m}, err
}

// program is the plan as the engine holds it; false when it must be sent.
func (r *preparation) program() (Program, bool, error) {
	backend := r.s.srv.opts.Engine
	if len(r.encoded) == 0 {
		p, ok := backend.Program(r.hash)
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
	decoded, err := plan.Decode(r.encoded)
	if err != nil {
		return nil, false, err
	}
	p, err := backend.Compile(decoded)
	if err != nil {
		return nil, false, err
	}
	r.s.srv.plans.Add(1)
	return p, true, nil
}

// find takes a weight from the model folder or the cache. What neither has is
// left to the client.
func (r *preparation) find(ctx context.Context, p Program, v plan.Value) error {
	if r.model != "" && r.s.srv.opts.Weights != nil {
		if found, err := r.findModel(ctx, p, v); found || err != nil {
			return err
		}
	}
	if r.s.srv.opts.Cache == nil {
		return nil
	}
	found, err := r.s.srv.load(ctx, p, v)
	if found {
		r.cached++
	}
	return err
}

// findModel takes a weight from the model folder and reports whether it was
// there.
func (r *preparation) findModel(ctx context.Context, p Program, v plan.Value) (bool, error) {
	log := r.st.logger().With("model", r.model, "weight", v.Name)
	w, err := r.s.srv.opts.Weights.Find(r.model, v.Hash)
	if err != nil {
		log.Debug("weight not in the model folder", "error", err)
		return false, nil
	}
	out, err := r.s.srv.opts.Engine.PutWeight(p, v)
	if err != nil {
		return false, err
	}
	defer out.Abort()
	for data := w.Data; len(data) > 0; {
		if ctx.Err() != nil {
			return false, fmt.Errorf("genie: stopped: %w", context.Cause(ctx))
		}
		n := min(len(data), wire.MaxFramePayload)
		if _, err := out.Write(data[:n]); err != nil {
			log.Warn("weight in the model folder is unusable", "error", err)
			return false, nil
		}
		data = data[n:]
	}
	if w.Release != nil {
		defer w.Release()
	}
	if err := out.Commit(); err != nil {
		log.Warn("weight in the model folder is unusable", "error", err)
		return false, nil
	}
	return true, nil
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
