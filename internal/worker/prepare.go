package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/genie-sdk/go/internal/admission"
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
	return &task{session: s, prepare: r, do: r.do, free: r.free, seq: m.GetSeq()}, []wire.Segment{{Data: r.encoded, Cause: plan.CausePlan}}, nil
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
	memory  []byte
	cached  int              // weights that the cache had
	place   *admission.Place // in the worker's queue, once it is there in full
	turns   preparing
}

func (r *preparation) free() {
	r.s.unstage(r.memory)
	r.place.End()
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
	if err := r.s.srv.opts.Engine.Fits(p); err != nil {
		r.s.dropPlan(r.num, p)
		return answer{}, err
	}
	missing, err := r.missing(ctx, p)
	if err != nil {
		return answer{}, err
	}
	m := &wirepb.Prepared{Missing: make([]uint32, len(missing))}
	for i, id := range missing {
		m.Missing[i] = uint32(id)
	}
	for _, part := range r.s.srv.partsOf(p, missing) {
		m.Partial = append(m.Partial, &wirepb.Partial{Value: part.value, Bytes: part.bytes, Hash: part.prefix[:]})
	}
	return answer{control: m}, nil
}

// missing takes what weights there are from the model folder and the cache, and
// lists the ids of the others.
func (r *preparation) missing(ctx context.Context, p Program) ([]int, error) {
	engine := r.s.srv.opts.Engine
	missing := engine.Missing(p)
	lookup := r.s.srv.weightLookup(p.Plan(), missing)
	if len(missing) > 0 && r.looks() {
		if err := r.openModel(ctx, p.Plan().Values[missing[0]].Hash); err != nil {
			return nil, err
		}
		for _, id := range missing {
			if err := r.turns.share(ctx); err != nil {
				return nil, err
			}
			if err := r.find(ctx, p, p.Plan().Values[id]); err != nil {
				return nil, err
			}
		}
		missing = engine.Missing(p)
	}
	lookup.end(missing, r.cached)
	return missing, r.turns.goOn(ctx)
}

// openModel has the model opened while others have their turn. One that cannot be
// opened is not asked for any weight.
func (r *preparation) openModel(ctx context.Context, content plan.Hash) error {
	if r.model == "" || r.s.srv.opts.Weights == nil {
		return nil
	}
	r.turns.leave()
	err := r.s.srv.models.open(ctx, r.s.srv.opts.Weights, r.model, content)
	if err := r.turns.again(ctx); err != nil {
		return err
	}
	if err != nil {
		r.st.logger().Debug("model not in the folder, or unusable", "model", r.model, "error", err)
		r.model = ""
	}
	return nil
}

// looks reports whether there is anywhere to look for weights.
func (r *preparation) looks() bool {
	return r.model != "" && r.s.srv.opts.Weights != nil || r.s.srv.opts.Cache != nil
}

// program is the plan as the engine holds it; false when it must be sent.
func (r *preparation) program(ctx context.Context) (Program, bool, error) {
	engine := r.s.srv.opts.Engine
	if r.encoded == nil {
		p, ok := engine.Program(r.hash)
		r.s.srv.planLookup(ok)
		return p, ok, nil
	}
	if plan.HashEncoded(r.encoded) != r.hash {
		return nil, false, fmt.Errorf("%w: the plan does not have the hash %v", transport.ErrCorrupt, r.hash)
	}
	decoded, err := plan.DecodeContext(ctx, r.encoded)
	if err != nil {
		return nil, false, err
	}
	p, err := engine.Compile(ctx, decoded, r.hash, r.turns.goOn)
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
		if err := r.turns.share(ctx); err != nil {
			return false, err
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
