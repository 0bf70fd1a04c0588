package worker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/weightcache"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// In a worker that serves several identities, knowing a hash gives no right to
// the content. An identity may use a weight that it has uploaded, that it has
// proved to have, or that the operator's model folder has under the given name;
// and a plan that it has sent. Everything else is reported as missing, whether
// the worker has it or not.

const (
	// maxKnown bounds the contents that are remembered for one identity; what
	// is forgotten has to be proved again.
	maxKnown = 1 << 17
	// knownBlock is how many of them memory is taken for at a time, of
	// knownBytes each.
	knownBlock = 1 << 7
	knownBytes = 128
	// proofLen is the length of a proof, in bytes.
	proofLen = len(transport.PossessionProof{})
)

// newPossession is the nonce of proofs: that of the cache, if there is one, so
// that its tags stay valid. It is nil when all clients are one identity and
// nothing has to be proved.
func newPossession(o Options) *transport.PossessionKey {
	if o.Auth == nil && (o.TLS == nil || o.TLS.ClientAuth < tls.RequireAnyClientCert) {
		return nil
	}
	var k transport.PossessionKey
	_, _ = rand.Read(k[:]) // never fails
	if o.Cache != nil {
		n, err := o.Cache.Nonce()
		if err == nil {
			k = n
		} else {
			o.Log.Warn("clients have to send again what the cache has", "error", err)
		}
	}
	o.Engine.KeepTags(k)
	return &k
}

// known are contents that an identity may use.
type known struct {
	of    map[plan.Hash]struct{}
	order []plan.Hash // a ring buffer once it is full
	next  int
	taken int // blocks of memory
}

// knows reports whether the identity may use content.
func (t *tenant) knows(h plan.Hash) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.known.of[h]
	return ok
}

// learns records that the identity may use content.
func (s *Server) learns(t *tenant, h plan.Hash) error {
	if t.notes(h, false) {
		return nil
	}
	if err := s.charge(t, knownBlock*knownBytes, "what an identity has proved"); err != nil {
		return err
	}
	t.notes(h, true)
	return nil
}

// notes remembers content that the identity may use, if there is memory for it
// or one more block has been taken.
func (t *tenant) notes(h plan.Hash, block bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &t.known
	if block {
		k.taken++
	}
	if _, ok := k.of[h]; ok {
		return true
	}
	if k.of == nil {
		k.of = map[plan.Hash]struct{}{}
	}
	switch {
	case len(k.order) == maxKnown:
		delete(k.of, k.order[k.next])
		k.order[k.next] = h
		k.next = (k.next + 1) % maxKnown
	case len(k.order) == k.taken*knownBlock:
		return false
	default:
		k.order = append(k.order, h)
	}
	k.of[h] = struct{}{}
	return true
}

// remembers is the memory taken for it, in bytes.
func (t *tenant) remembers() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known.bytes()
}

// bytes is the memory taken for k.
func (k *known) bytes() int64 { return int64(k.taken) * knownBlock * knownBytes }

// forgets drops what is remembered for the identity.
func (t *tenant) forgets(account *budget.Budget) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.known.bytes()
	account.Release(budget.Buffers, n)
	t.bytes.give(n)
	t.known = known{}
}

// mayUse reports whether the session's identity may use content.
func (s *session) mayUse(h plan.Hash) bool {
	return s.srv.possession == nil || s.tenant.knows(h)
}

// brought records that the session's identity has sent content, or has proved
// that it has it.
func (s *session) brought(h plan.Hash) error {
	if s.srv.possession == nil {
		return nil
	}
	return s.srv.learns(s.tenant, h)
}

// wanted lists the ids of the weights of p that the session's client has to
// send or prove: those that the worker does not have, and those that the
// identity may not use.
func (s *session) wanted(p Program) []int {
	missing := s.srv.opts.Engine.Missing(p)
	if s.srv.possession == nil {
		return missing
	}
	values := p.Plan().Values
	listed := make(map[plan.Hash]struct{}, len(missing))
	for _, id := range missing {
		listed[values[id].Hash] = struct{}{}
	}
	for id := range values {
		v := &values[id]
		if v.Kind != plan.KindWeight || s.tenant.knows(v.Hash) {
			continue
		}
		if _, ok := listed[v.Hash]; !ok {
			listed[v.Hash] = struct{}{}
			missing = append(missing, id)
		}
	}
	return missing
}

// absent are the contents of p that the worker does not have; nil if nothing is
// to be proved.
func (s *session) absent(p Program) map[plan.Hash]struct{} {
	if s.srv.possession == nil {
		return nil
	}
	missing := s.srv.opts.Engine.Missing(p)
	out := make(map[plan.Hash]struct{}, len(missing))
	for _, id := range missing {
		out[p.Plan().Values[id].Hash] = struct{}{}
	}
	return out
}

// fits reports whether there is memory for the weights of the plan. Weights
// that the identity may not use count as absent; before the proofs that would
// demand too much, and the upload is refused later.
func (r *preparation) fits() error {
	engine := r.s.srv.opts.Engine
	if r.s.srv.possession == nil {
		return engine.Fits(r.p, nil)
	}
	if !r.proved {
		return nil
	}
	return engine.Fits(r.p, func(h plan.Hash) bool { return !r.s.tenant.knows(h) })
}

// challenge adds to an answer what the client needs to prove that it has the
// missing weights.
func (r *preparation) challenge(m *wirepb.Prepared) error {
	nonce := r.s.srv.possession
	if nonce == nil || len(m.GetMissing()) == 0 {
		return nil
	}
	p, err := r.s.plan(r.num)
	if err != nil {
		return err
	}
	c := p.challenged()
	m.Nonce, m.Challenge = nonce[:], c[:]
	return nil
}

// challenged is the challenge for the client's proofs, made at the first call.
func (p *prepared) challenged() transport.PossessionKey {
	if p.challenge == (transport.PossessionKey{}) {
		_, _ = rand.Read(p.challenge[:]) // never fails
	}
	return p.challenge
}

// opened reports whether the identity may use all weights of the plan.
func (s *session) opened(p *prepared) error {
	if p.open.Load() {
		return nil
	}
	for i := range p.layout.Plan.Values {
		v := &p.layout.Plan.Values[i]
		if v.Kind == plan.KindWeight && !s.mayUse(v.Hash) {
			return fmt.Errorf("%w: %.80q was neither sent nor proved", transport.ErrMissingWeight, v.Name)
		}
	}
	p.open.Store(true)
	return nil
}

// prove handles Prove.
func (st *stream) prove(h wire.Header, control []byte) (*task, error) {
	var m wirepb.Prove
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	st.bound(m.GetDeadlineMs())
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, err
	}
	p, err := s.plan(m.GetPlan())
	if err != nil {
		return nil, err
	}
	values := p.layout.Plan.Values
	if len(m.GetValues()) > len(values) {
		return nil, fmt.Errorf("%w: %d proofs for a plan of %d values", transport.ErrProtocol, len(m.GetValues()), len(values))
	}
	for _, id := range m.GetValues() {
		if uint64(id) >= uint64(len(values)) || values[id].Kind != plan.KindWeight {
			return nil, fmt.Errorf("%w: value %d is no weight", transport.ErrMissingWeight, id)
		}
	}
	n := uint64(len(m.GetValues()) * proofLen)
	if err := st.total(h, m.GetBytes(), n); err != nil {
		return nil, err
	}
	r := &proving{preparation: preparation{st: st, s: s, num: m.GetPlan(), p: p.program}, prepared: p, values: m.GetValues()}
	r.arrival = &arrival{s: s}
	r.arrival.add(n, plan.CauseControl)
	if err := r.arrival.fits(); err != nil {
		return nil, err
	}
	held := int64(len(control)) * controlFactor
	if err := s.srv.charge(s.tenant, held, "a list of proofs"); err != nil {
		return nil, err
	}
	r.held = held
	st.arrival, st.complete = r.arrival, func(mem []byte) { r.proofs = mem[:n] }
	return &task{session: s, prepare: &r.preparation, do: r.do, free: r.free}, nil
}

// proving is one Prove.
type proving struct {
	preparation
	prepared *prepared
	values   []uint32
	proofs   []byte
}

// do checks the proofs when it is the session's turn.
func (r *proving) do(ctx context.Context) (answer, error) {
	if err := r.turn(ctx); err != nil {
		return answer{}, err
	}
	defer r.turns.leave()
	challenge := r.prepared.challenged()
	for i, id := range r.values {
		tag := r.s.srv.tag(r.p, int(id))
		if !tag.Proves(challenge, r.proofs[i*proofLen:(i+1)*proofLen]) {
			continue
		}
		if err := r.s.brought(r.p.Plan().Values[id].Hash); err != nil {
			return answer{}, err
		}
		r.s.srv.claims.done(r.s.tenant, r.p.Plan().Values[id].Hash)
	}
	r.proved = true
	m, err := r.missing(ctx)
	if err != nil {
		return answer{}, err
	}
	m.Nonce, m.Challenge = nil, nil // proofs are made once; the rest is to be sent
	return answer{control: m}, nil
}

// tag is the tag of a weight of p that the worker has. Otherwise it is random
// at each call, and no proof matches it.
func (s *Server) tag(p Program, id int) transport.PossessionTag {
	if t := s.opts.Engine.PossessionTag(p, id); t != nil {
		return *t
	}
	v := &p.Plan().Values[id]
	if s.opts.Cache != nil {
		if size, err := wire.WeightBytes(v); err == nil {
			if t, ok := s.opts.Cache.Tag(v.Hash, int64(size)); ok {
				return transport.PossessionTag(t)
			}
		}
	}
	var t transport.PossessionTag
	_, _ = rand.Read(t[:]) // never fails
	return t
}

// tagged gives a file of the cache the tag of its content.
func tagged(w *weightcache.Writer, t *transport.PossessionTag) {
	if w != nil && t != nil {
		w.SetTag(weightcache.Tag(*t))
	}
}
