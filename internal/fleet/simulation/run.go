package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/genie-sdk/go/fleet/route"
)

// Options configure a run.
type Options struct {
	// Routers are compared; those of the scenario, or all, when empty.
	Routers []string
	// Times of models by name, in place of the cost model's.
	Times map[string]Times
	// Pace multiplies the rate and the number of sessions, at most MaxPace and at
	// least its inverse; 1 when 0.
	Pace float64
	// Search looks for the highest rate of sessions at which the 99th percentile of
	// the time to the first token is at most the scenario's target.
	Search bool
	// Parallel is how many routers are simulated at once; 1 when 0.
	Parallel int
}

// Result is what became of a scenario under each router.
type Result struct {
	Scenario string       `json:"scenario"`
	About    string       `json:"about,omitempty"`
	Seed     uint64       `json:"seed"`
	Workers  int          `json:"workers"`
	Sessions int          `json:"sessions"`
	Target   float64      `json:"target_p99_seconds,omitempty"`
	Routers  []RouterStat `json:"routers"`
}

// RouterStat is what a router achieved. Times are in virtual seconds.
type RouterStat struct {
	Router   string             `json:"router"`
	Pace     float64            `json:"pace"`
	Seconds  float64            `json:"seconds"` // until the last request ended
	Requests int64              `json:"requests"`
	Done     int64              `json:"done"`
	Failed   int64              `json:"failed"`
	Resumed  int64              `json:"resumed"`  // requests that a failure hit, and were sent again
	Failures int64              `json:"failures"` // of workers, drains included
	Tokens   float64            `json:"tokens_per_second"`
	All      float64            `json:"all_tokens_per_second"` // those of prompts included
	P50      float64            `json:"first_token_p50"`
	P99      float64            `json:"first_token_p99"`
	Classes  map[string]Latency `json:"classes"`
	Answer   Latency            `json:"answer"` // to the last token
	HitRate  float64            `json:"hit_rate"`
	Moved    Moved              `json:"bytes_moved"`
	Moves    int64              `json:"moves"` // of sessions with their state
	Busy     float64            `json:"busy"`  // share of the workers' time
	Fairness float64            `json:"fairness"`
	Reasons  map[string]int64   `json:"reasons"`
	Events   int64              `json:"events"`
	Capacity *Capacity          `json:"capacity,omitempty"`
}

// Latency is percentiles, in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Moved is bytes over links, by what they are.
type Moved struct {
	Prompts int64 `json:"prompts"`
	Answers int64 `json:"answers"`
	State   int64 `json:"state"`
}

// Capacity is the highest rate of sessions that meets the target.
type Capacity struct {
	Pace   float64 `json:"pace"`
	Tokens float64 `json:"tokens_per_second"`
	P99    float64 `json:"first_token_p99"`
}

// checkEvery is the number of events between two looks at the context.
const checkEvery = 1 << 14

// Run simulates the scenario under each router.
func (s *Scenario) Run(ctx context.Context, o Options) (*Result, error) {
	names := o.Routers
	if len(names) == 0 {
		names = s.Router
	}
	if len(names) == 0 {
		names = Routers()
	}
	for _, n := range names {
		if !slices.Contains(Routers(), n) {
			return nil, fmt.Errorf("%w: there is no router %.40q; there is %v", ErrScenario, n, Routers())
		}
	}
	r := &Result{Scenario: s.Name, About: s.About, Seed: s.Seed, Target: s.Target, Routers: make([]RouterStat, len(names))}
	for _, w := range s.Workers {
		r.Workers += w.Count
	}
	r.Sessions = s.sessions()
	pace := o.Pace
	if pace == 0 {
		pace = 1
	}
	if !(pace >= 1/MaxPace && pace <= MaxPace) || pace*float64(r.Sessions) > MaxSessions {
		return nil, fmt.Errorf("%w: pace is %v, want %v to %v and at most %d sessions", ErrScenario, pace, 1/MaxPace, MaxPace, MaxSessions)
	}
	times, err := s.times(o.Times)
	if err != nil {
		return nil, err
	}
	errs, places := make([]error, len(names)), make(chan struct{}, max(o.Parallel, 1))
	done := make(chan int)
	for i, name := range names {
		go func() {
			defer func() { done <- i }()
			places <- struct{}{}
			defer func() { <-places }()
			r.Routers[i], errs[i] = s.router(ctx, name, pace, o.Search, times)
		}()
	}
	for range names {
		<-done
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (s *Scenario) sessions() int {
	n := 0
	for i := range s.Sessions {
		n += s.Sessions[i].Count
	}
	return n
}

// router simulates one router, and looks for its capacity.
func (s *Scenario) router(ctx context.Context, name string, pace float64, search bool, times stepTimes) (RouterStat, error) {
	stat, err := s.simulate(ctx, name, pace, times)
	if err != nil || !search || s.Target == 0 {
		return stat, err
	}
	stat.Capacity, err = s.search(ctx, name, times)
	return stat, err
}

// simulate runs the scenario once.
func (s *Scenario) simulate(ctx context.Context, name string, pace float64, times stepTimes) (RouterStat, error) {
	f, err := newFleet(s, name, pace, times)
	if err != nil {
		return RouterStat{}, err
	}
	for f.open > 0 {
		e, ok := f.events.pop()
		if !ok {
			break
		}
		if f.stats.events++; f.stats.events%checkEvery == 0 && ctx.Err() != nil {
			return RouterStat{}, fmt.Errorf("simulation: %w", context.Cause(ctx))
		}
		if e.at > longest {
			return RouterStat{}, fmt.Errorf("%w: router %s: %d sessions are left after %v", ErrScenario, name, f.open, time.Duration(longest))
		}
		f.handle(e)
		if f.stats.err != nil {
			return RouterStat{}, f.stats.err
		}
	}
	return f.result(name), nil
}

// Factors of the search for the highest rate.
const (
	searchTop   = 64.0 // of the scenario's rate, at most and its inverse at least
	searchSteps = 9    // the rate is known to a few percent then
)

// search halves the interval of rates, on a logarithmic scale, in which the target
// is just met.
func (s *Scenario) search(ctx context.Context, name string, times stepTimes) (*Capacity, error) {
	meets := func(pace float64) (*Capacity, error) {
		r, err := s.simulate(ctx, name, pace, times)
		if err != nil || r.P99 > s.Target || r.Failed > 0 {
			return nil, err
		}
		return &Capacity{Pace: pace, Tokens: r.Tokens, P99: r.P99}, nil
	}
	best := &Capacity{}
	low, high := 0.0, 0.0
	for pace := 1.0; low == 0 || high == 0; {
		c, err := meets(pace)
		switch {
		case err != nil:
			return nil, err
		case c != nil:
			best, low, pace = c, pace, pace*2
		default:
			high, pace = pace, pace/2
		}
		if pace > searchTop || pace < 1/searchTop || pace*float64(s.sessions()) > MaxSessions {
			return best, nil
		}
		if low > 0 && high > 0 {
			break
		}
	}
	for range searchSteps - 4 {
		pace := (low + high) / 2
		c, err := meets(pace)
		if err != nil {
			return nil, err
		}
		if c != nil {
			best, low = c, pace
		} else {
			high = pace
		}
	}
	return best, nil
}

// result is what the statistics say.
func (f *fleet) result(name string) RouterStat {
	s := &f.stats
	seconds := max(float64(s.last)/1e9, 1e-9)
	r := RouterStat{
		Router: name, Pace: f.pace, Seconds: seconds, Requests: s.requests, Done: s.done, Failed: s.failed, Resumed: s.lost, Failures: s.failures,
		Tokens: float64(s.answered) / seconds, All: float64(s.answered+s.looked) / seconds,
		P50: s.all.quantile(0.5), P99: s.all.quantile(0.99), Answer: Latency{s.answer.quantile(0.5), s.answer.quantile(0.99)},
		Moved: Moved{Prompts: s.prompts, Answers: s.answers, State: s.state}, Moves: s.moves,
		Busy: float64(s.busy) / float64(len(f.workers)) / 1e9 / seconds, Fairness: s.fairness(), Events: s.events,
		Classes: map[string]Latency{}, Reasons: map[string]int64{},
	}
	if s.looked > 0 {
		r.HitRate = float64(s.reused) / float64(s.looked)
	}
	for c := range s.first {
		if s.first[c].n > 0 {
			r.Classes[route.Class(c).String()] = Latency{s.first[c].quantile(0.5), s.first[c].quantile(0.99)}
		}
	}
	for why, n := range s.reasons {
		if n > 0 {
			r.Reasons[route.Reason(why).String()] = n
		}
	}
	return r
}
