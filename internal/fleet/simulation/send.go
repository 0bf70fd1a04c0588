package simulation

import "github.com/genie-sdk/go/fleet/route"

// mostTries is how often a request is sent before it fails, and retryAfter the
// seconds between two tries for which there was no worker.
const (
	mostTries  = 64
	retryAfter = 1.0
)

// send routes a session's request and sends it, or, as a client does when there is
// no worker, tries again later.
func (f *fleet) send(id int32) {
	s := &f.session[id]
	m := s.group.model
	if s.tries++; s.tries > mostTries {
		f.refuse(id)
		return
	}
	r := route.Request{
		Model: &m.routed, Class: s.group.class, Prefix: f.blocks(s), Tokens: int(s.tokens()), Expected: int(s.output),
	}
	if s.home != none && f.workers[s.home].id == s.homeID {
		r.Home, r.HomeTokens = s.homeID, int(s.held)
	}
	d, err := m.policy.Route(m.table, r, moment(f.now))
	to, known := m.places[d.Worker]
	if err != nil || !known {
		f.events.push(f.now+nanoseconds(retryAfter), lossNoticed, id, 0)
		return
	}
	m.table.Started(d, r)
	if m.learns {
		m.table.Learn(d.Worker, r.Prefix)
	}
	f.stats.reasons[d.Reason]++
	w := &f.workers[to]
	s.worker, s.decision, s.moved = to, d, 0
	up := int64(s.tokens()) * 4
	f.stats.prompts += up
	f.events.push(max(f.move(s, w), f.now)+w.kind.delay+nanoseconds(float64(up)/w.kind.rate/1e9), requestArrives, id, 0)
}

// move sends a session's state from its home to another worker where the decision
// says so, and returns when it is there. A worker sends and receives one state at
// a time.
func (f *fleet) move(s *session, to *worker) int64 {
	d := &s.decision
	if d.From == "" || s.home == none || s.home == to.number {
		return f.now
	}
	from := &f.workers[s.home]
	e := from.find(s.key())
	if !from.up || from.id != d.From || e == none {
		return f.now
	}
	rows := min(f.entries[e].rows, s.history)
	size := int64(rows) * s.group.model.row
	if p := s.group.prefixTokens(s); p > 0 && to.find(s.prefixKey()) == none {
		size += int64(p) * s.group.model.row // sent too, and kept there
		f.adopt(to, s)
	}
	f.drop(from, e)
	begin := max(f.now, from.linkFree, to.linkFree)
	sending := nanoseconds(float64(size) / min(from.kind.rate, to.kind.rate) / 1e9)
	done := min(begin+from.kind.delay+to.kind.delay+sending, longest)
	from.linkFree, to.linkFree = done, done
	f.stats.state += size
	f.stats.moves++
	s.moved = rows
	return done
}

// arrive puts a request in its worker's queue.
func (f *fleet) arrive(id int32) {
	s := &f.session[id]
	w := &f.workers[s.worker]
	if !w.up || w.id != s.decision.Worker || w.draining {
		s.worker = none
		if w.up { // it says so at once
			f.send(id)
			return
		}
		s.group.model.table.Avoid(s.decision.Worker, moment(f.now+nanoseconds(10*f.sc.Detect)))
		f.events.push(f.now+nanoseconds(f.sc.Detect), lossNoticed, id, 0)
		return
	}
	w.queue[s.group.class].push(id)
	f.interrupt(w)
}

// refuse ends a session whose request no worker takes.
func (f *fleet) refuse(id int32) {
	f.stats.failed++
	f.end(id)
}
