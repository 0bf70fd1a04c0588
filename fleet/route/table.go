package route

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// ErrFull is a table that has no place for another worker.
var ErrFull = fmt.Errorf("%w: the table is full", ErrFacts)

// MaxWorkers is the most workers that a table has.
const MaxWorkers = 1 << 16

// ringPoints is how often a worker is on the ring: enough that shares are even
// within a few percent.
const ringPoints = 8

// TableOptions configure a table. Zero values mean the defaults.
type TableOptions struct {
	Workers   int // at most; [MaxWorkers] when 0
	Knowledge int // prefix blocks that are remembered; 65,536 when 0
	// FilterBytes bounds the memory of all filters; 256 MiB when 0. Workers beyond
	// have facts without filters, and requests go there by load.
	FilterBytes int
}

// Table is what a client knows of a fleet: the facts of its workers, what it sent
// them since these facts, and which prefixes it sent where. It is used by one
// goroutine at a time.
type Table struct {
	most    int
	room    int // bytes of filters
	entries []entry
	index   map[string]int
	serials map[int64]int
	known   *knowledge
	ring    []point // sorted; nil after a change
	serial  int64   // of names in known
	models  map[plan.Hash]map[int64]struct{}
}

// entry is one worker.
type entry struct {
	w      Worker
	serial int64
	since  time.Time

	started  int              // requests since the facts
	wait     [Classes]float64 // seconds of work that they add, for requests of a class
	distrust time.Time        // filters are not believed before
	avoid    time.Time        // gets nothing before

	weights, prefixes bool // the filters are believed
}

type point struct {
	at    uint64
	index int
}

// NewTable makes an empty table.
func NewTable(o TableOptions) *Table {
	if o.Workers <= 0 || o.Workers > MaxWorkers {
		o.Workers = MaxWorkers
	}
	if o.Knowledge <= 0 {
		o.Knowledge = 1 << 16
	}
	if o.FilterBytes <= 0 {
		o.FilterBytes = 256 << 20
	}
	return &Table{most: o.Workers, room: o.FilterBytes, index: map[string]int{}, serials: map[int64]int{}, known: newKnowledge(o.Knowledge), models: map[plan.Hash]map[int64]struct{}{}}
}

// Put adds a worker, or replaces its facts. What was sent to it before is in the
// facts now and is no longer counted. Facts that cannot be are [ErrFacts]; a worker
// too many is [ErrFull].
func (t *Table) Put(w Worker, now time.Time) error {
	if err := w.Check(); err != nil {
		return err
	}
	i, ok := t.index[w.ID]
	if !ok {
		if len(t.entries) >= t.most {
			return fmt.Errorf("%w: %d workers", ErrFull, t.most)
		}
		i = len(t.entries)
		t.serial++
		t.entries = append(t.entries, entry{serial: t.serial})
		t.index[w.ID], t.serials[t.serial] = i, i
		t.ring = nil
	}
	e := &t.entries[i]
	t.fit(&e.w, &w)
	fresh := e.w.Weights != w.Weights || e.w.Prefixes != w.Prefixes
	e.w, e.since, e.started, e.wait = w, now, 0, [Classes]float64{}
	if fresh {
		e.weights = w.Weights != nil && !w.Weights.Saturated()
		e.prefixes = w.Prefixes != nil && !w.Prefixes.Saturated()
	}
	return nil
}

// fit drops the filters of facts for which there is no room; before are the facts
// that they replace.
func (t *Table) fit(before, w *Worker) {
	t.room += before.Weights.size() + before.Prefixes.size()
	if n := w.Weights.size() + w.Prefixes.size(); n <= t.room {
		t.room -= n
		return
	}
	w.Weights, w.Prefixes = nil, nil
}

// Remove forgets a worker, and what it held.
func (t *Table) Remove(id string) {
	i, ok := t.index[id]
	if !ok {
		return
	}
	last := len(t.entries) - 1
	t.fit(&t.entries[i].w, &Worker{})
	delete(t.serials, t.entries[i].serial)
	for _, at := range t.models {
		delete(at, t.entries[i].serial)
	}
	t.entries[i] = t.entries[last]
	t.entries[last] = entry{}
	t.entries = t.entries[:last]
	delete(t.index, id)
	if i != last {
		t.index[t.entries[i].w.ID], t.serials[t.entries[i].serial] = i, i
	}
	t.ring = nil
}

// Len is the number of workers.
func (t *Table) Len() int { return len(t.entries) }

// At is the i-th worker's facts, which are not to be changed. Places change when
// workers are added and removed.
func (t *Table) At(i int) *Worker { return &t.entries[i].w }

// Find is the place of a worker.
func (t *Table) Find(id string) (int, bool) {
	i, ok := t.index[id]
	return i, ok
}

// Since is when the i-th worker's facts arrived.
func (t *Table) Since(i int) time.Time { return t.entries[i].since }

// Started counts a request that was sent where the decision says, until the
// worker's next facts count it. Without it all requests between two facts would go
// to the worker that was idle at the first.
func (t *Table) Started(d Decision, r Request) {
	i, ok := t.index[d.Worker]
	if !ok {
		return
	}
	e := &t.entries[i]
	e.started++
	for c := r.Class; c < classes; c++ { // it delays its own class and those behind
		e.wait[c] += d.Cost.Delays()
	}
}

// Finished takes back what [Table.Started] counted for a request that ended before
// the worker's next facts.
func (t *Table) Finished(d Decision, r Request) {
	i, ok := t.index[d.Worker]
	if !ok || t.entries[i].started == 0 {
		return
	}
	e := &t.entries[i]
	e.started--
	for c := r.Class; c < classes; c++ {
		e.wait[c] = max(e.wait[c]-d.Cost.Delays(), 0)
	}
}

// Learn says that a worker holds the state of a prefix, because a request with it was
// sent there.
func (t *Table) Learn(id string, prefix []Key) {
	if i, ok := t.index[id]; ok {
		t.known.learn(prefix, t.entries[i].serial)
	}
}

// maxModels bounds the models whose places are remembered.
const maxModels = 1 << 10

// LearnModel says that a worker holds the weights of a model, because they were sent
// there or found there.
func (t *Table) LearnModel(id string, m *Model) {
	i, ok := t.index[id]
	if !ok || m == nil {
		return
	}
	at := t.models[m.Key]
	if at == nil {
		if len(t.models) >= maxModels {
			clear(t.models)
		}
		at = map[int64]struct{}{}
		t.models[m.Key] = at
	}
	at[t.entries[i].serial] = struct{}{}
}

// SetLink is what this client measured of the way to a worker.
func (t *Table) SetLink(id string, l Link) {
	if i, ok := t.index[id]; ok && rate(l.Rate) && l.Delay >= 0 {
		t.entries[i].w.Link = l
	}
}

// Distrust says that a worker lacked what its facts said it holds: until then only
// what this client sent there counts.
func (t *Table) Distrust(id string, until time.Time) {
	i, ok := t.index[id]
	if !ok {
		return
	}
	t.entries[i].distrust = until
	for _, at := range t.models {
		delete(at, t.entries[i].serial)
	}
}

// bySerial is the place of a worker, or -1 of one that left.
func (t *Table) bySerial(serial int64) int {
	if i, ok := t.serials[serial]; ok {
		return i
	}
	return -1
}

// Avoid says that a worker could not be reached: until then it gets nothing, whatever
// its facts say.
func (t *Table) Avoid(id string, until time.Time) {
	if i, ok := t.index[id]; ok {
		t.entries[i].avoid = until
	}
}

// requests is how many requests a worker has, those it does not count yet included.
func (e *entry) requests() int { return e.w.Load.Requests() + e.started }

// waits is the time until a request of the class would start, in seconds: the
// worker has worked since its facts.
func (e *entry) waits(c Class, now time.Time) float64 {
	return max(e.w.Load.Wait[c]+e.wait[c]-now.Sub(e.since).Seconds(), 0)
}

// takes reports whether a worker may get a request of a session that it does not
// have.
func (e *entry) takes(r *Request, now time.Time) bool {
	return !e.w.Draining && !now.Before(e.avoid) && (r.Path == "" || e.w.Path == "" || r.Path == e.w.Path)
}

// Lacks is the bytes of a model's weights that would have to be sent to a worker: all
// of one that is not there.
func (t *Table) Lacks(id string, m *Model, now time.Time) int64 {
	if i, ok := t.index[id]; ok {
		return t.lacks(&t.entries[i], m, now)
	}
	return m.Bytes
}

// lacks is the bytes of weights that would have to be sent to the worker.
func (t *Table) lacks(e *entry, m *Model, now time.Time) int64 {
	if m == nil {
		return 0
	}
	if _, ok := t.models[m.Key][e.serial]; ok {
		return 0
	}
	if !e.weights || now.Before(e.distrust) {
		return m.Bytes
	}
	missing := int64(0)
	for _, w := range m.Weights {
		if !e.w.Weights.Has(w.Key) {
			missing += w.Size
		}
	}
	return missing
}

// reuses is the number of tokens whose state the worker has: of the session, by what
// this client sent there, or by its filter.
func (e *entry) reuses(r *Request, known []holder, now time.Time) int {
	for _, h := range known {
		if h.serial == e.serial {
			return h.blocks * BlockTokens
		}
	}
	if !e.prefixes || now.Before(e.distrust) {
		return 0
	}
	return e.w.Prefixes.held(r.Prefix) * BlockTokens
}

// onRing appends up to n workers that follow the key on a ring of all workers: the
// same key gives the same workers, for as long as they are there.
func (t *Table) onRing(k Key, n int, to []int) []int {
	if len(t.entries) == 0 {
		return to
	}
	if t.ring == nil {
		t.buildRing()
	}
	x := mix(uint64(k))
	at := sort.Search(len(t.ring), func(i int) bool { return t.ring[i].at >= x })
	for i := 0; i < len(t.ring) && n > 0; i++ {
		p := t.ring[(at+i)%len(t.ring)]
		if !slices.Contains(to, p.index) {
			to = append(to, p.index)
			n--
		}
	}
	return to
}

func (t *Table) buildRing() {
	t.ring = make([]point, 0, ringPoints*len(t.entries))
	for i := range t.entries {
		x := hashName(t.entries[i].w.ID)
		for range ringPoints {
			x = mix(x)
			t.ring = append(t.ring, point{at: x, index: i})
		}
	}
	slices.SortFunc(t.ring, func(a, b point) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		default:
			return a.index - b.index
		}
	})
}

// hashName is FNV-1a.
func hashName(s string) uint64 {
	x := uint64(14695981039346656037)
	for i := range len(s) {
		x = (x ^ uint64(s[i])) * 1099511628211
	}
	return x
}
