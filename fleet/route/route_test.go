package route_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/transport/plan"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// model is one of 100 MB whose tokens cost 200 MFLOP and 100 kB of state.
func model() *route.Model {
	m := &route.Model{Key: plan.Hash{1}, Bytes: 100 << 20, FLOPs: 200e6, StateSize: 100 << 10}
	for i := range 10 {
		m.Weights = append(m.Weights, route.Weight{Key: route.Key(1000 + i), Size: m.Bytes / 10})
	}
	return m
}

func holding(m *route.Model) *route.Filter {
	f := route.NewFilter(len(m.Weights))
	for _, w := range m.Weights {
		f.Add(w.Key)
	}
	return f
}

func facts(id string, change ...func(*route.Worker)) route.Worker {
	w := route.Worker{
		ID: id, Address: "tcp://" + id + ":1", Memory: 8 << 30, Free: 8 << 30,
		Speed: route.Speed{FLOPS: 100e9, Read: 10e9},
		Link:  route.Link{Rate: 100e6, Delay: time.Millisecond},
	}
	for _, c := range change {
		c(&w)
	}
	return w
}

func prefix(n, seed int) []route.Key {
	tokens := make([]int, n)
	for i := range tokens {
		tokens[i] = seed*1000 + i%997
	}
	return route.Blocks(plan.Hash{1}, nil, tokens)
}

func table(t *testing.T, ws ...route.Worker) *route.Table {
	tb := route.NewTable(route.TableOptions{})
	for _, w := range ws {
		require.NoError(t, tb.Put(w, start))
	}
	return tb
}

func TestMeaning(t *testing.T) {
	m := model()
	held := func(w *route.Worker) { w.Weights = holding(m) }
	busy := func(s float64) func(w *route.Worker) {
		return func(w *route.Worker) {
			w.Load.Running = 1 + int(s)
			w.Load.Wait = [route.Classes]float64{s, s, s}
		}
	}
	with := func(p []route.Key) func(w *route.Worker) {
		return func(w *route.Worker) {
			w.Prefixes = route.NewFilter(len(p))
			for _, k := range p {
				w.Prefixes.Add(k)
			}
		}
	}
	prompt := prefix(512, 1)
	drain := func(w *route.Worker) { w.Draining = true }
	slow := func(w *route.Worker) { w.Link.Rate = 1e6 }
	path := func(p string) func(w *route.Worker) { return func(w *route.Worker) { w.Path = p } }
	ask := route.Request{Model: m, Prefix: prompt, Tokens: 512, Expected: 20}
	at := func(home string, tokens int) route.Request {
		r := ask
		r.Home, r.HomeTokens = home, tokens
		return r
	}
	tests := []struct {
		name   string
		ws     []route.Worker
		r      route.Request
		want   string
		why    route.Reason
		reused int
		from   string
	}{
		{name: "weights", ws: []route.Worker{facts("a"), facts("b", held)}, r: ask, want: "b", why: route.ByWeights},
		{name: "busy holder of weights", ws: []route.Worker{facts("a"), facts("b", held, busy(20))}, r: ask, want: "a", why: route.ByLoad},
		{name: "prefix", ws: []route.Worker{facts("a", held), facts("b", held, with(prompt))}, r: ask, want: "b", why: route.ByPrefix, reused: 512},
		{name: "longer prefix", ws: []route.Worker{facts("a", held, with(prompt)), facts("b", held, with(prompt[:4]))}, r: ask, want: "a", why: route.ByPrefix, reused: 512},
		{name: "weights before prefix", ws: []route.Worker{facts("a", held), facts("b", slow, with(prompt))}, r: ask, want: "a", why: route.ByWeights},
		{name: "least loaded of equals", ws: []route.Worker{facts("a", held, busy(3)), facts("b", held)}, r: ask, want: "b", why: route.ByWeights},
		{name: "home", ws: []route.Worker{facts("a", held), facts("b", held)}, r: at("b", 480), want: "b", why: route.ByState, reused: 480},
		{name: "home a little busy", ws: []route.Worker{facts("a", held), facts("b", held, busy(0.1))}, r: at("b", 480), want: "b", why: route.ByState, reused: 480},
		{name: "state is sent from a busy home", ws: []route.Worker{facts("a", held), facts("b", held, busy(20))}, r: at("b", 480), want: "a", why: route.ByMove, reused: 480, from: "b"},
		{name: "state is computed again over a slow link", ws: []route.Worker{facts("a", held, slow), facts("b", held, busy(20))}, r: at("b", 480), want: "a", why: route.ByMove},
		{name: "state leaves a draining home", ws: []route.Worker{facts("a", held), facts("b", held, drain)}, r: at("b", 480), want: "a", why: route.ByMove, reused: 480, from: "b"},
		{name: "draining home is all there is", ws: []route.Worker{facts("b", held, drain)}, r: at("b", 480), want: "b", why: route.ByState, reused: 480},
		{name: "kernels", ws: []route.Worker{facts("a", held, path("avx2")), facts("b", path("avx512"))}, r: func() route.Request {
			r := ask
			r.Path = "avx512"
			return r
		}(), want: "b", why: route.ByLoad},
		{name: "saturated filter", ws: []route.Worker{facts("a", held), facts("b", func(w *route.Worker) { w.Weights = full(t) })}, r: ask, want: "a", why: route.ByWeights},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, class := range []route.Class{route.Interactive, route.Standard} {
				tt.r.Class = class
				d, err := route.NewMeaning(route.MeaningOptions{}).Route(table(t, tt.ws...), tt.r, start)
				require.NoError(t, err)
				require.Equal(t, tt.want, d.Worker, "%s: %+v", class, d)
				require.Equal(t, tt.why, d.Reason, "%s: %+v", class, d)
				require.Equal(t, tt.reused, d.Reused)
				require.Equal(t, tt.from, d.From)
			}
		})
	}
}

func full(t *testing.T) *route.Filter {
	data := make([]byte, 4+1024)
	for i := range data {
		data[i] = 0xff
	}
	copy(data, []byte{0xb1, 7, 0, 0})
	f := &route.Filter{}
	require.NoError(t, f.UnmarshalBinary(data))
	return f
}

func TestMeaningLearns(t *testing.T) {
	m, prompt := model(), prefix(512, 1)
	r := route.Request{Model: m, Prefix: prompt, Tokens: 512}
	tb := table(t, facts("a"), facts("b"), facts("c"))
	p := route.NewMeaning(route.MeaningOptions{})
	tb.Learn("b", prompt)
	d, err := p.Route(tb, r, start)
	require.NoError(t, err)
	require.Equal(t, "b", d.Worker)

	tb.Remove("b")
	require.NoError(t, tb.Put(facts("b"), start))
	d, err = p.Route(tb, r, start)
	require.NoError(t, err)
	require.Zero(t, d.Reused, "a worker that came back has nothing")
}

func TestMeaningDistrusts(t *testing.T) {
	m := model()
	liar := facts("a", func(w *route.Worker) { w.Weights, w.Speed.FLOPS = holding(m), 1e15 })
	tb := table(t, liar, facts("b", func(w *route.Worker) { w.Weights = holding(m) }))
	p := route.NewMeaning(route.MeaningOptions{})
	r := route.Request{Model: m, Tokens: 100}
	d, err := p.Route(tb, r, start)
	require.NoError(t, err)
	require.Equal(t, "a", d.Worker)
	tb.Distrust("a", start.Add(time.Minute))
	d, err = p.Route(tb, r, start)
	require.NoError(t, err)
	require.Equal(t, "b", d.Worker)
	d, err = p.Route(tb, r, start.Add(2*time.Minute))
	require.NoError(t, err)
	require.Equal(t, "a", d.Worker)
}

func TestStartedSpreads(t *testing.T) {
	m := model()
	var ws []route.Worker
	for i := range 8 {
		ws = append(ws, facts(fmt.Sprintf("w%d", i), func(w *route.Worker) { w.Weights = holding(m) }))
	}
	tb, got := table(t, ws...), map[string]int{}
	p := route.NewMeaning(route.MeaningOptions{})
	for i := range 80 {
		r := route.Request{Model: m, Prefix: prefix(256, i), Tokens: 256, Expected: 10}
		d, err := p.Route(tb, r, start)
		require.NoError(t, err)
		tb.Started(d, r)
		got[d.Worker]++
	}
	for id, n := range got {
		require.InDelta(t, 10, n, 3, "%s of %v: requests between two facts are spread", id, got)
	}
	require.Len(t, got, 8)
}

func TestDeadline(t *testing.T) {
	m := model()
	tb := table(t, facts("a", func(w *route.Worker) { w.Load.Wait = [route.Classes]float64{5, 5, 5} }))
	r := route.Request{Model: m, Tokens: 10, Deadline: start.Add(time.Second)}
	_, err := route.NewMeaning(route.MeaningOptions{}).Route(tb, r, start)
	require.ErrorIs(t, err, route.ErrLate)
	r.Deadline = start.Add(time.Minute)
	_, err = route.NewMeaning(route.MeaningOptions{}).Route(tb, r, start)
	require.NoError(t, err)
}

func TestClasses(t *testing.T) {
	// One worker answers at once but slowly, the other later and fast.
	m := model()
	soon := facts("soon", func(w *route.Worker) { w.Weights, w.Speed = holding(m), route.Speed{FLOPS: 20e9, Read: 1e9} })
	fast := facts("fast", func(w *route.Worker) {
		w.Weights = holding(m)
		w.Load.Wait = [route.Classes]float64{4, 4, 4}
	})
	for class, want := range map[route.Class]string{route.Interactive: "soon", route.Standard: "soon", route.Batch: "fast"} {
		r := route.Request{Model: m, Tokens: 64, Expected: 30, Class: class}
		d, err := route.NewMeaning(route.MeaningOptions{}).Route(table(t, soon, fast), r, start)
		require.NoError(t, err)
		require.Equal(t, want, d.Worker, class)
		parsed, err := route.ParseClass(class.String())
		require.NoError(t, err)
		require.Equal(t, class, parsed)
	}
	_, err := route.ParseClass("urgent")
	require.ErrorIs(t, err, route.ErrClass)
}

func policies(seed uint64) []route.Policy {
	return []route.Policy{
		route.NewMeaning(route.MeaningOptions{Seed: seed}), route.NewRandom(seed), route.NewRoundRobin(), route.NewLeastLoaded(seed),
		route.NewPowerOfTwo(seed), route.NewPrefixTree(route.PrefixTreeOptions{}, seed), route.NewPrefixCost(0, seed),
	}
}

// TestPoliciesRoute sends requests to a table whose workers come and go, twice: a
// policy gives a worker that takes the request, and the same one again.
func TestPoliciesRoute(t *testing.T) {
	m := model()
	for i, p := range policies(7) {
		t.Run(p.Name(), func(t *testing.T) {
			trace := func(p route.Policy) (out []string) {
				tb := route.NewTable(route.TableOptions{})
				_, err := p.Route(tb, route.Request{Model: m}, start)
				require.ErrorIs(t, err, route.ErrNoWorker)
				for n := range 300 {
					require.NoError(t, tb.Put(facts(fmt.Sprintf("w%d", n), func(w *route.Worker) {
						w.Draining = n%3 == 1
						w.Load.Running = n % 5
					}), start))
					if n%7 == 6 {
						tb.Remove(fmt.Sprintf("w%d", n-5))
					}
					r := route.Request{Model: m, Prefix: prefix(256, n%4), Tokens: 256}
					d, err := p.Route(tb, r, start)
					require.NoError(t, err)
					i, ok := tb.Find(d.Worker)
					require.True(t, ok)
					require.Equal(t, i, d.Index())
					require.False(t, tb.At(i).Draining)
					require.Equal(t, tb.At(i).Address, d.Address)
					tb.Started(d, r)
					tb.Learn(d.Worker, r.Prefix)
					out = append(out, d.Worker)
				}
				return out
			}
			require.Equal(t, trace(p), trace(policies(7)[i]))
		})
	}
}

func TestPrefixPolicies(t *testing.T) {
	for _, p := range policies(1)[5:] {
		t.Run(p.Name(), func(t *testing.T) {
			tb, got := table(t, facts("a"), facts("b"), facts("c"), facts("d")), map[int]map[string]bool{}
			for n := range 40 {
				r := route.Request{Prefix: prefix(256, n%4), Tokens: 256}
				d, err := p.Route(tb, r, start)
				require.NoError(t, err)
				tb.Learn(d.Worker, r.Prefix)
				if got[n%4] == nil {
					got[n%4] = map[string]bool{}
				}
				got[n%4][d.Worker] = true
			}
			for n, ws := range got {
				require.Len(t, ws, 1, "prompts that begin alike meet, %d", n)
			}
		})
	}
}

func TestPrefixTreeBalances(t *testing.T) {
	p := route.NewPrefixTree(route.PrefixTreeOptions{}, 1)
	tb := table(t, facts("a"), facts("b"))
	r := route.Request{Prefix: prefix(256, 1), Tokens: 256}
	first, err := p.Route(tb, r, start)
	require.NoError(t, err)
	for range 65 {
		tb.Started(first, r)
	}
	d, err := p.Route(tb, r, start)
	require.NoError(t, err)
	require.NotEqual(t, first.Worker, d.Worker, "65 requests more than none")
}

func TestCheck(t *testing.T) {
	bad := map[string]func(*route.Worker){
		"no id":          func(w *route.Worker) { w.ID = "" },
		"no address":     func(w *route.Worker) { w.Address = "" },
		"long identity":  func(w *route.Worker) { w.Identity = string(make([]byte, 300)) },
		"control":        func(w *route.Worker) { w.Zone = "a\x1b[2J" },
		"not text":       func(w *route.Worker) { w.Path = "\xff" },
		"NaN speed":      func(w *route.Worker) { w.Speed.FLOPS = math.NaN() },
		"negative speed": func(w *route.Worker) { w.Speed.Read = -1 },
		"infinite rate":  func(w *route.Worker) { w.Link.Rate = math.Inf(1) },
		"negative delay": func(w *route.Worker) { w.Link.Delay = -1 },
		"memory":         func(w *route.Worker) { w.Memory = math.MaxInt64 },
		"free":           func(w *route.Worker) { w.Free = w.Memory + 1 },
		"load":           func(w *route.Worker) { w.Load.Running = -1 },
		"waiting":        func(w *route.Worker) { w.Load.Waiting[2] = math.MaxInt },
		"wait":           func(w *route.Worker) { w.Load.Wait[1] = math.NaN() },
	}
	for name, change := range bad {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, route.NewTable(route.TableOptions{}).Put(facts("a", change), start), route.ErrFacts)
		})
	}
	tb := route.NewTable(route.TableOptions{Workers: 1})
	require.NoError(t, tb.Put(facts("a"), start))
	require.ErrorIs(t, tb.Put(facts("b"), start), route.ErrFull)
	require.NoError(t, tb.Put(facts("a"), start))
}

func TestAvoid(t *testing.T) {
	for _, p := range policies(3) {
		tb := table(t, facts("a"), facts("b"))
		tb.Avoid("a", start.Add(time.Second))
		for range 10 {
			d, err := p.Route(tb, route.Request{Tokens: 1, Home: "a"}, start)
			require.NoError(t, err)
			require.Equal(t, "b", d.Worker, p.Name())
		}
		tb.Avoid("b", start.Add(time.Second))
		_, err := p.Route(tb, route.Request{Tokens: 1}, start)
		require.ErrorIs(t, err, route.ErrNoWorker, p.Name())
		_, err = p.Route(tb, route.Request{Tokens: 1}, start.Add(time.Second))
		require.NoError(t, err)
	}
}

// TestFilterRoom holds the memory of all filters of a table.
func TestFilterRoom(t *testing.T) {
	m := model()
	held := func(w *route.Worker) { w.Weights = holding(m) } // 16 bytes
	tb := route.NewTable(route.TableOptions{FilterBytes: 40})
	for _, id := range []string{"a", "b", "c"} {
		require.NoError(t, tb.Put(facts(id, held), start))
	}
	has := func(id string) bool {
		i, ok := tb.Find(id)
		require.True(t, ok)
		return tb.At(i).Weights != nil
	}
	require.True(t, has("a"))
	require.True(t, has("b"))
	require.False(t, has("c"))
	for range 5 {
		require.NoError(t, tb.Put(facts("a", held), start), "a filter that replaces one takes its room")
	}
	require.True(t, has("a"))
	tb.Remove("a")
	require.NoError(t, tb.Put(facts("c", held), start))
	require.True(t, has("c"))
}
