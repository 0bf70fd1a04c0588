package route

import (
	"fmt"
	"slices"
	"time"
)

// MeaningOptions configure [Meaning]. Zero values mean the defaults.
type MeaningOptions struct {
	// Candidates bounds the workers whose cost is predicted for one request; 64 when
	// 0. In a fleet of more workers they are: the session's home, those that got the
	// prefix from this client, those next to model and prefix on a ring, and a sample.
	Candidates int
	// Stay is by how much another worker has to be faster before a session leaves the
	// worker with its state; 1.25 when 0.
	Stay float64
	// Seed of the sample.
	Seed uint64
	// Between is the link between two workers; that of the slower of their links to
	// the client when nil.
	Between func(from, to *Worker) Link
}

// Meaning is routing by meaning: it predicts what the request costs on each candidate
// from what its tensors are. Weights are where their hashes are, or are sent; carried
// state is where the session or its prefix ran last, or is sent, or is computed again,
// whichever is cheaper; what is left of the prompt is computed, and the answer
// generated, at the worker's speed, after the work that waits there. The cheapest
// candidate wins: by the time to the first token for interactive requests, by the time
// to the last for standard ones, and by the worker's own time for batch.
type Meaning struct {
	o     MeaningOptions
	draw  uint64
	cands []int
	known []holder
}

// NewMeaning makes the policy.
func NewMeaning(o MeaningOptions) *Meaning {
	if o.Candidates <= 0 {
		o.Candidates = 64
	}
	if o.Stay <= 0 {
		o.Stay = 1.25
	}
	return &Meaning{o: o, draw: mix(o.Seed)}
}

// Name is "meaning".
func (*Meaning) Name() string { return "meaning" }

// tied is by how much a cost may be larger than the least and count as equal: the
// prediction is not better than that, and among equals the load decides.
const tied = 1.02

// Route implements [Policy].
func (m *Meaning) Route(t *Table, r Request, now time.Time) (Decision, error) {
	m.known = t.known.longest(r.Prefix, m.known[:0])
	m.candidates(t, &r)
	home := -1
	if i, ok := t.index[r.Home]; ok && r.Home != "" {
		home = i
	}
	best, late := Decision{index: -1}, 0
	bestScore := 0.0
	for _, i := range m.cands {
		d, ok := m.predict(t, &r, i, home, now)
		if !ok {
			continue
		}
		if !r.Deadline.IsZero() && d.Cost.First() > r.Deadline.Sub(now).Seconds() {
			late++
			continue
		}
		score := score(r.Class, d.Cost) + t.entries[i].crowding(d.Cost, r.Class, now)
		if home >= 0 && i != home {
			score *= m.o.Stay
		}
		switch {
		case best.index < 0, score*tied < bestScore:
		case score > bestScore*tied:
			continue
		case t.entries[i].requests() >= t.entries[best.index].requests():
			continue
		}
		best, bestScore = d, score
	}
	switch {
	case best.index >= 0:
		return best, nil
	case late > 0:
		return Decision{}, fmt.Errorf("%w: %s from now, %d workers", ErrLate, r.Deadline.Sub(now).Round(time.Millisecond), late)
	default:
		return Decision{}, fmt.Errorf("%w: of %d workers", ErrNoWorker, t.Len())
	}
}

// score is what a request's class wants to be small.
func score(c Class, cost Cost) float64 {
	switch c {
	case Interactive:
		// The rest of the answer counts too, or one slow worker would keep a session
		// for a first token that came a little earlier.
		return cost.First() + cost.Decode/2
	case Standard:
		return cost.Total()
	default:
		return cost.Work() + cost.Wait/2
	}
}

// crowding is what a request costs others: where requests wait, those that come after
// it wait for its work too, about as many as wait now. So the busier a fleet is, the
// more counts work that need not be done again, and the less who is idle first.
func (e *entry) crowding(cost Cost, c Class, now time.Time) float64 {
	all := e.w.Load.Wait[c] + e.wait[c]
	if all <= 0 {
		return 0
	}
	waiting := e.started
	for _, n := range e.w.Load.Waiting {
		waiting += n
	}
	return cost.Delays() * float64(waiting) * e.waits(c, now) / all
}

// candidates are the workers to look at.
func (m *Meaning) candidates(t *Table, r *Request) {
	m.cands = m.cands[:0]
	n := t.Len()
	if n <= m.o.Candidates {
		for i := range n {
			m.cands = append(m.cands, i)
		}
		return
	}
	if i, ok := t.index[r.Home]; ok {
		m.add(i)
	}
	for _, h := range m.known {
		if i := t.bySerial(h.serial); i >= 0 {
			m.add(i)
		}
	}
	quarter := m.o.Candidates / 4
	if r.Model != nil {
		m.cands = t.onRing(KeyOf(r.Model.Key), quarter, m.cands)
	}
	if len(r.Prefix) > 0 {
		m.cands = t.onRing(r.Prefix[0], quarter, m.cands)
		m.cands = t.onRing(r.Prefix[len(r.Prefix)-1], quarter/2, m.cands)
	}
	for tries := 0; len(m.cands) < m.o.Candidates && tries < 2*m.o.Candidates; tries++ {
		m.draw = mix(m.draw)
		m.add(int(within(m.draw, uint64(n))))
	}
}

func (m *Meaning) add(i int) {
	if !slices.Contains(m.cands, i) {
		m.cands = append(m.cands, i)
	}
}

// predict is what the request costs on a worker, and whether the worker can take it.
func (m *Meaning) predict(t *Table, r *Request, i, home int, now time.Time) (Decision, bool) {
	e := &t.entries[i]
	if i != home && !e.takes(r, now) || i == home && now.Before(e.avoid) {
		return Decision{}, false
	}
	d := Decision{Worker: e.w.ID, Address: e.w.Address, index: i}
	missing := t.lacks(e, r.Model, now)
	if missing > e.w.Memory && e.w.Memory > 0 {
		return Decision{}, false
	}
	if missing > 0 {
		d.Cost.Weights = seconds(missing, e.w.Link.Rate)
	}
	d.Cost.Wait = e.waits(r.Class, now)
	m.state(t, r, &d, home, now)
	left := max(r.Tokens-d.Reused, 0)
	d.Cost.Prefill = e.prefill(r.Model, left)
	d.Cost.Decode = e.decode(r.Model, r.Expected, r.Tokens)
	d.Cost.Link = 2 * e.w.Link.Delay.Seconds() // tokens follow each other without waiting for an answer
	if d.Reason == ByLoad && missing == 0 && r.Model != nil && len(r.Model.Weights) > 0 {
		d.Reason = ByWeights
	}
	if i == home && e.w.Draining { // stays only where nobody else can take it
		d.Cost.Wait += 60
	}
	return d, true
}

// state finds how the state of the prompt gets to the worker: it is there, it is
// sent, or it is computed again.
func (m *Meaning) state(t *Table, r *Request, d *Decision, home int, now time.Time) {
	e := &t.entries[d.index]
	if d.index == home && r.HomeTokens > 0 {
		d.Reused, d.Reason = max(r.HomeTokens, e.reuses(r, m.known, now)), ByState
		return
	}
	if n := e.reuses(r, m.known, now); n > 0 {
		d.Reused, d.Reason = n, ByPrefix
	}
	if home < 0 || r.Model == nil || r.HomeTokens <= d.Reused {
		return
	}
	h := &t.entries[home]
	l := m.between(&h.w, &e.w)
	more := r.HomeTokens - d.Reused
	send := seconds(int64(more)*r.Model.StateSize, l.Rate) + l.Delay.Seconds()
	d.Reason = ByMove
	if l.Rate > 0 && send < e.prefill(r.Model, more) {
		d.Cost.State, d.Reused, d.From = send, r.HomeTokens, h.w.ID
	}
}

func (m *Meaning) between(from, to *Worker) Link {
	if m.o.Between != nil {
		return m.o.Between(from, to)
	}
	return Link{Rate: min(from.Link.Rate, to.Link.Rate), Delay: from.Link.Delay + to.Link.Delay}
}

// prefill is the time of n tokens at once.
func (e *entry) prefill(m *Model, n int) float64 {
	if m == nil || n <= 0 {
		return 0
	}
	return max(seconds(int64(float64(n)*m.FLOPs), e.w.Speed.FLOPS), seconds(m.Bytes, e.w.Speed.Read))
}

// decode is the time of n tokens one after the other, generated together with the
// worker's other sequences: they share the reading of the weights, and each reads its
// own state, taken to be as long as this one's.
func (e *entry) decode(m *Model, n, tokens int) float64 {
	if m == nil || n <= 0 {
		return 0
	}
	others := float64(e.requests() + 1)
	read := float64(m.Bytes) + others*float64(tokens+n/2)*float64(m.StateSize)
	return float64(n) * max(seconds(int64(others*m.FLOPs), e.w.Speed.FLOPS), seconds(int64(read), e.w.Speed.Read))
}

// seconds is the time for n at a rate; an unknown rate costs nothing.
func seconds(n int64, rate float64) float64 {
	if rate <= 0 {
		return 0
	}
	return float64(n) / rate
}
