package simulation

import (
	"fmt"
	"time"

	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/internal/fleet/steptime"
	"github.com/genie-sdk/go/transport/plan"
)

// Times are how long a worker's steps take, in seconds; [steptime.Times] and
// measured ones are.
type Times interface {
	// Decode is the time of one token of each of n sequences, without the rows of
	// their caches, of which each adds Row.
	Decode(n int) float64
	Row(cached int) float64
	// Prefill is the time of n rows of a prompt after cached ones.
	Prefill(n, cached int) float64
}

// model is a decoder, with a table of the workers that hold it.
type model struct {
	number   int
	weights  int64
	row      int64 // bytes of state of a token
	routed   route.Model
	table    *route.Table
	policy   route.Policy
	learns   bool // the policy reads what the table learned
	places   map[string]int32
	prefixes int32 // of the groups so far
	resident *route.Filter
}

// group is sessions alike.
type group struct {
	Sessions
	number   int
	model    *model
	class    route.Class
	shares   []float64 // of prefixes
	prefix   int32     // the number of the first one
	tokens   int32     // of a prefix
	tenant   int32     // the number of the first one
	begun    int
	arrivals draws
}

// fleet is a simulation under way.
type fleet struct {
	sc      *Scenario
	seed    uint64
	pace    float64
	now     int64
	events  events
	models  []*model
	kinds   []*workerKind
	workers []worker
	groups  []*group
	session []session
	free    []int32 // sessions that ended
	entries []entry
	unused  []int32 // entries
	open    int     // sessions that have begun and not ended, and those to come
	stats   stats
	keys    []route.Key
	counted map[uint64]bool // prefixes, for a report
}

// workerKind is what workers of a group have in common.
type workerKind struct {
	Workers
	first  int32
	speed  route.Speed
	delay  int64
	rate   float64 // bytes a nanosecond
	memory int64
	models []int // by slot
	slot   []int // by model, -1 for none
	times  []Times
}

// longest is the virtual time, in nanoseconds, at which a simulation gives up.
const longest = 400 * 24 * int64(time.Hour)

// nanoseconds are at most what ends a simulation: more would not be a moment.
func nanoseconds(seconds float64) int64 { return int64(min(seconds*1e9, float64(longest))) }

func moment(at int64) time.Time { return time.Unix(0, at).UTC() }

// decoder is the model's sizes.
func (m *Model) decoder() (steptime.Decoder, error) {
	d := steptime.Decoder{Layers: m.Layers, Hidden: m.Hidden, Heads: m.Heads, KVHeads: m.KVHeads, Inner: m.Inner, Vocab: m.Vocab}
	switch m.Storage {
	case "f32":
		d.Storage = plan.F32
	case "f16":
		d.Storage = plan.F16
	case "bf16":
		d.Storage = plan.BF16
	default:
		return d, fmt.Errorf("storage is %.40q, want f32, f16 or bf16", m.Storage)
	}
	return d, nil
}

// of is a model on a device, by name.
type of struct{ model, device string }

// stepTimes are the times of all models on the devices that hold them. They do not
// change, so that routers share them.
type stepTimes map[of]Times

// times predicts the times of steps, but of models whose times were measured.
func (s *Scenario) times(measured map[string]Times) (stepTimes, error) {
	out := stepTimes{}
	for i := range s.Workers {
		w := &s.Workers[i]
		device, err := s.device(w.Device)
		if err != nil {
			return nil, err
		}
		for _, name := range w.Models {
			at := of{name, w.Device}
			if t := measured[name]; t != nil {
				out[at] = t
			}
			if out[at] == nil {
				d, err := s.Models[s.model(name)].decoder()
				if err != nil {
					return nil, err
				}
				if out[at], err = d.Times(device); err != nil {
					return nil, fmt.Errorf("model %q on %q: %w", name, w.Device, err)
				}
			}
			if err := checkTimes(out[at], w); err != nil {
				return nil, fmt.Errorf("model %q on %q: %w", name, w.Device, err)
			}
		}
	}
	return out, nil
}

// stateElement is the bytes of a number in a KV cache: engines store f32.
const stateElement = 4

// newFleet makes the fleet before the first event. There are pace times as many
// sessions as the scenario says, in the same time.
func newFleet(sc *Scenario, router string, pace float64, times stepTimes) (*fleet, error) {
	f := &fleet{sc: sc, seed: sc.Seed, pace: pace, counted: map[uint64]bool{}}
	for i := range sc.Models {
		d, err := sc.Models[i].decoder()
		if err != nil {
			return nil, err
		}
		m := &model{number: i, weights: d.WeightBytes(), row: d.RowBytes(stateElement), places: map[string]int32{}}
		m.routed = route.Model{Bytes: m.weights, FLOPs: 2 * float64(m.weights) / float64(d.Storage.Size()), StateSize: m.row}
		m.routed.Key[0], m.routed.Key[1] = byte(i), 1
		m.routed.Weights = []route.Weight{{Key: route.KeyOf(m.routed.Key), Size: m.weights}}
		m.table = route.NewTable(route.TableOptions{Knowledge: 1 << 20})
		m.policy, m.learns = newPolicy(router, mix(sc.Seed+uint64(i)))
		f.models = append(f.models, m)
	}
	for i := range sc.Workers {
		f.addWorkers(&sc.Workers[i], times)
	}
	tenants := int32(0)
	for i := range sc.Sessions {
		g := f.addGroup(i, tenants)
		tenants += int32(g.Tenants)
	}
	f.stats.tenants = make([]tenant, tenants)
	f.schedule()
	return f, nil
}

func (f *fleet) addWorkers(w *Workers, times stepTimes) {
	k := &workerKind{
		Workers: *w, first: int32(len(f.workers)), delay: nanoseconds(w.Link.Delay / 1e3), rate: w.Link.Gbit / 8,
		memory: int64(w.Memory * (1 << 30)), slot: make([]int, len(f.models)),
	}
	for i := range k.slot {
		k.slot[i] = -1
	}
	for slot, name := range w.Models {
		i := f.sc.model(name)
		k.models, k.times, k.slot[i] = append(k.models, i), append(k.times, times[of{name, w.Device}]), slot
	}
	k.speed = f.speed(k)
	for range w.Count {
		f.workers = append(f.workers, worker{number: int32(len(f.workers)), kind: k, prompting: none, recent: none, oldest: none})
	}
	f.kinds = append(f.kinds, k)
}

// speed is what a worker measures of itself and says: a chunk of a prompt, and a
// decode step, of its first model.
func (f *fleet) speed(k *workerKind) route.Speed {
	const rows = 512
	m, t := f.models[k.models[0]], k.times[0]
	return route.Speed{FLOPS: rows * m.routed.FLOPs / max(t.Prefill(rows, rows), 1e-9), Read: float64(m.weights) / max(t.Decode(1), 1e-9)}
}

func (f *fleet) addGroup(i int, tenant int32) *group {
	g := &group{Sessions: f.sc.Sessions[i], number: i, tenant: tenant, arrivals: newDraws(f.seed, 1, uint64(i))}
	g.model = f.models[f.sc.model(g.Model)]
	g.class, _ = route.ParseClass(g.Class)
	if p := g.Prefixes; p != nil {
		g.shares, g.tokens, g.prefix = shares(p.Count, p.Skew), int32(p.Tokens), g.model.prefixes
		g.model.prefixes += int32(p.Count)
	}
	g.Count = min(max(int(float64(g.Count)*f.pace), 1), MaxSessions)
	f.groups = append(f.groups, g)
	f.open += g.Count
	return g
}

// schedule makes the first events.
func (f *fleet) schedule() {
	for i := range f.workers {
		w := &f.workers[i]
		f.start(w)
		// Workers do not all report at one moment.
		f.events.push(nanoseconds(f.sc.Report*float64(i+1)/float64(len(f.workers))), workerReports, w.number, 0)
	}
	for i := range f.groups {
		f.next(f.groups[i])
	}
	for i := range f.sc.Drains {
		f.events.push(nanoseconds(f.sc.Drains[i].At), drainBegins, int32(i), 0)
	}
}

// handle does what happens at an event.
func (f *fleet) handle(e event) {
	f.now = e.at
	switch e.kind {
	case sessionBegins:
		f.begin(f.groups[e.who])
	case turnBegins:
		f.turn(e.who)
	case requestArrives:
		f.arrive(e.who)
	case stepEnds:
		if w := &f.workers[e.who]; w.epoch == e.epoch {
			f.stepped(w)
		}
	case workerReports:
		w := &f.workers[e.who]
		f.report(w)
		f.events.push(f.now+nanoseconds(f.sc.Report), workerReports, w.number, 0)
	case workerFails:
		if w := &f.workers[e.who]; w.life == e.epoch && w.up {
			f.fail(w, w.kind.Repair)
		}
	case workerReturns:
		f.start(&f.workers[e.who])
	case drainBegins:
		f.drain(&f.sc.Drains[e.who])
	case drainEnds:
		if w := &f.workers[e.who]; w.life == e.epoch && w.up {
			f.fail(w, w.absent)
		}
	case lossNoticed:
		f.send(e.who)
	}
}
