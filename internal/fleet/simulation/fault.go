package simulation

import (
	"strconv"

	"github.com/genie-sdk/go/fleet/route"
)

// start brings a worker up, with nothing but its weights.
func (f *fleet) start(w *worker) {
	w.life++
	w.id = "w" + strconv.Itoa(int(w.number)) + "." + strconv.Itoa(int(w.life))
	w.up, w.draining = true, false
	w.held, w.used, w.idle = map[uint64]int32{}, w.weights(f), 0
	w.recent, w.oldest, w.prompting = none, none, none
	w.slots, w.count, w.busy = make([]slot, len(w.kind.models)), 0, false
	w.linkFree, w.prefixes, w.filterAt = 0, nil, 0
	w.epoch++
	for _, m := range w.kind.models {
		f.models[m].places[w.id] = w.number
	}
	f.report(w)
	if w.kind.Fails > 0 {
		d := newDraws(f.seed, 3, uint64(w.number), uint64(w.life))
		f.events.push(f.now+nanoseconds(d.exponential()*3600/w.kind.Fails), workerFails, w.number, w.life)
	}
}

// fail takes a worker down for a while. The clients of its requests notice after
// a time, and compute again elsewhere what was there.
func (f *fleet) fail(w *worker, seconds float64) {
	f.stats.failures++
	for _, m := range w.kind.models {
		f.models[m].table.Remove(w.id)
		delete(f.models[m].places, w.id)
	}
	w.up, w.busy = false, false
	w.epoch++
	if w.prompting != none {
		f.lose(w.prompting, 0, f.sc.Detect)
	}
	for i := range w.slots {
		for _, r := range w.slots[i].running {
			// Its last step would be at r.last; what is left of it is computed again.
			left := r.last - w.steps
			f.lose(r.session, f.session[r.session].output-int32(left), f.sc.Detect)
		}
	}
	f.requeue(w, f.sc.Detect)
	for _, e := range w.held { // in any order: they are only numbers to use again
		f.unused = append(f.unused, e)
	}
	w.held, w.slots = nil, nil
	f.events.push(f.now+nanoseconds(seconds), workerReturns, w.number, 0)
}

// lose sends a request again after a time; what it generated becomes a part of its
// prompt.
func (f *fleet) lose(id, generated int32, seconds float64) {
	s := &f.session[id]
	s.prompt += generated
	s.output -= generated
	s.worker, s.prefixAt, s.home = none, none, none
	f.stats.lost++
	f.events.push(f.now+nanoseconds(seconds), lossNoticed, id, 0)
}

// requeue sends what waits at a worker elsewhere.
func (f *fleet) requeue(w *worker, seconds float64) {
	for c := range w.queue {
		q := &w.queue[c]
		for q.len() > 0 {
			id := q.first()
			q.pop()
			f.session[id].worker = none
			f.events.push(f.now+nanoseconds(seconds), lossNoticed, id, 0)
		}
	}
}

// drain begins a drain: the first workers of a group that are up.
func (f *fleet) drain(d *Drain) {
	left := d.Count
	for i := range f.workers {
		w := &f.workers[i]
		if left == 0 {
			return
		}
		if w.kind.Name != d.Group || !w.up || w.draining {
			continue
		}
		left--
		w.draining, w.absent = true, d.Absent
		f.report(w)
		f.requeue(w, 0)
		f.events.push(f.now+nanoseconds(d.Grace), drainEnds, w.number, w.life)
	}
}

// report puts a worker's facts into the tables.
func (f *fleet) report(w *worker) {
	if !w.up {
		return
	}
	facts := route.Worker{
		ID: w.id, Address: "tcp://" + w.id, Zone: w.kind.Name, Speed: w.kind.speed, Draining: w.draining,
		Link:   route.Link{Rate: w.kind.rate * 1e9, Delay: moment(w.kind.delay).Sub(moment(0))},
		Memory: w.kind.memory, Free: max(w.kind.memory-w.used+w.idle, 0),
	}
	facts.Load.Running = w.count
	if w.prompting != none {
		facts.Load.Running++
	}
	wait := 0.0
	clear(f.counted)
	if w.prompting != none {
		wait = w.promptSeconds(&f.session[w.prompting], f.session[w.prompting].rows)
	}
	for c := range w.queue {
		q := &w.queue[c]
		facts.Load.Waiting[c] = q.len()
		for _, id := range q.list[q.head:] {
			s := &f.session[id]
			wait += w.promptSeconds(s, f.missing(w, s))
		}
		facts.Load.Wait[c] = min(wait, route.MaxSeconds)
	}
	facts.Load.Sessions = facts.Load.Requests()
	f.filter(w)
	for _, m := range w.kind.models {
		facts.Weights, facts.Prefixes = f.models[m].filter(), w.prefixes
		if err := f.models[m].table.Put(facts, moment(f.now)); err != nil && f.stats.err == nil {
			f.stats.err = err
		}
	}
}

// promptSeconds is the time of rows of a prompt, with the decode steps between its
// chunks.
func (w *worker) promptSeconds(s *session, rows int32) float64 {
	step, _ := w.decode()
	chunks := (int(rows) + w.kind.Chunk - 1) / w.kind.Chunk
	return w.times(s).Prefill(int(rows), int(s.tokens()-rows)) + float64(chunks)*step/1e9
}

// missing is the rows of a waiting request's prompt that the worker will compute.
func (f *fleet) missing(w *worker, s *session) int32 {
	rows := s.prompt
	if own := w.find(s.key()); own != none {
		rows += max(s.history-f.entries[own].rows, 0)
	} else {
		rows += s.history - min(s.moved, s.history)
	}
	if s.prefix == none {
		return rows
	}
	if key := s.prefixKey(); w.find(key) == none && !f.counted[key] {
		f.counted[key] = true // the first of those that wait computes it
		rows += s.group.tokens
	}
	return rows
}

// filter is a filter with the model's weights.
func (m *model) filter() *route.Filter {
	if m.resident == nil {
		m.resident = route.NewFilter(1)
		m.resident.Add(m.routed.Weights[0].Key)
	}
	return m.resident
}

// filter makes the filter of the prefixes that a worker holds, when it is time.
func (f *fleet) filter(w *worker) {
	if f.sc.Filter == 0 || f.now < w.filterAt {
		return
	}
	w.filterAt = f.now + nanoseconds(f.sc.Filter)
	blocks := 0
	for _, i := range w.held {
		blocks += int(f.entries[i].rows)/route.BlockTokens + 1
	}
	w.prefixes = route.NewFilter(blocks)
	for _, i := range w.held { // the order does not matter to a filter
		e := &f.entries[i]
		from := 0
		if e.parent != none {
			from = int(f.entries[e.parent].rows)
		}
		for b := from / route.BlockTokens; b < min((from+int(e.rows))/route.BlockTokens, route.MaxBlocks); b++ {
			w.prefixes.Add(route.Key(mix(e.key + uint64(b))))
		}
	}
}
