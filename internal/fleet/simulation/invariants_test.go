package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fleet/simulation"
)

// small is a fleet of two kinds with prefixes and several turns; its steps take
// steady.
const small = `{"name": "small", "seed": 7, "seconds": 20, "filter_seconds": 2, "target_p99_seconds": 1,
 "models": [{"name": "m", "layers": 2, "hidden": 64, "heads": 4, "vocab": 1000}],
 "workers": [
  {"name": "a", "count": 3, "device": "h100", "memory_gib": 0.02, "models": ["m"], "link": {"gbit": 10, "delay_ms": 1}, "max_batch": 8, "chunk": 64},
  {"name": "b", "count": 2, "device": "l4", "memory_gib": 0.02, "models": ["m"], "link": {"gbit": 1, "delay_ms": 5}, "max_batch": 8, "chunk": 64}],
 "sessions": [
  {"name": "chat", "model": "m", "count": 120, "tenants": 4, "prefixes": {"count": 10, "tokens": 128, "skew": 1},
   "turns": {"min": 1, "max": 4}, "prompt": {"min": 8, "max": 64}, "output": {"min": 2, "max": 32}, "think_seconds": {"min": 0, "max": 2}},
  {"name": "nightly", "model": "m", "class": "batch", "count": 20,
   "turns": {"min": 1, "max": 1}, "prompt": {"min": 100, "max": 300}, "output": {"min": 1, "max": 8}}]}`

// steady is times that a person can add up.
type steady struct{}

func (steady) Decode(int) float64           { return 0.01 }
func (steady) Row(int) float64              { return 0 }
func (steady) Prefill(n, _ int) float64     { return 0.001 * float64(n) }
func steadily() map[string]simulation.Times { return map[string]simulation.Times{"m": steady{}} }

func parse(t *testing.T, text string) *simulation.Scenario {
	t.Helper()
	s, err := simulation.Parse(strings.NewReader(text))
	require.NoError(t, err)
	return s
}

func run(t *testing.T, s *simulation.Scenario, o simulation.Options) *simulation.Result {
	t.Helper()
	o.Times = steadily()
	r, err := s.Run(t.Context(), o)
	require.NoError(t, err)
	return r
}

func text(t *testing.T, r *simulation.Result) string {
	t.Helper()
	b, err := json.Marshal(r)
	require.NoError(t, err)
	return string(b)
}

// disturbed is small with failures and a drain.
func disturbed(t *testing.T) *simulation.Scenario {
	t.Helper()
	s := parse(t, small)
	s.Workers[0].Fails, s.Workers[0].Repair = 360, 2
	s.Workers[1].Fails, s.Workers[1].Repair = 360, 2
	s.Drains = []simulation.Drain{{At: 5, Group: "a", Count: 2, Grace: 0.05, Absent: 5}}
	return s
}

func TestOneSeedGivesOneResult(t *testing.T) {
	for name, s := range map[string]*simulation.Scenario{"undisturbed": parse(t, small), "disturbed": disturbed(t)} {
		first := text(t, run(t, s, simulation.Options{}))
		require.Equal(t, first, text(t, run(t, s, simulation.Options{})), name)
		require.Equal(t, first, text(t, run(t, s, simulation.Options{Parallel: 2})), name)
		s.Seed++
		other := run(t, s, simulation.Options{})
		s.Seed--
		other.Seed--
		require.NotEqual(t, first, text(t, other), name)
	}
}

func TestEveryRequestEnds(t *testing.T) {
	undisturbed := run(t, parse(t, small), simulation.Options{})
	require.Len(t, undisturbed.Routers, len(simulation.Routers()))
	for _, r := range undisturbed.Routers {
		require.Equal(t, r.Requests, r.Done, r.Router)
		require.Equal(t, undisturbed.Routers[0].Requests, r.Requests, "all routers get the same sessions")
		require.Zero(t, r.Failed+r.Resumed+r.Failures, r.Router)
		total := int64(0)
		for _, n := range r.Reasons {
			total += n
		}
		require.Equal(t, r.Requests, total, "each was routed once")
		require.Greater(t, r.Busy, 0.0)
		require.LessOrEqual(t, r.Busy, 1.0)
		require.LessOrEqual(t, r.P50, r.P99)
		require.True(t, r.HitRate > 0 && r.HitRate < 1, "%v", r.HitRate)
		require.True(t, r.Fairness > 0 && r.Fairness <= 1, "%v", r.Fairness)
	}
	resumed := int64(0)
	for _, r := range run(t, disturbed(t), simulation.Options{}).Routers {
		require.Equal(t, r.Requests, r.Done+r.Failed, r.Router)
		require.Zero(t, r.Failed, "others took what was lost")
		require.GreaterOrEqual(t, r.Failures, int64(2), "the drain at least")
		resumed += r.Resumed
	}
	require.Positive(t, resumed)
}

func TestRequestsWithoutAWorkerFail(t *testing.T) {
	s := parse(t, small)
	s.Drains = []simulation.Drain{{Group: "a", Count: 3, Absent: 3600}, {Group: "b", Count: 2, Absent: 3600}}
	for _, r := range run(t, s, simulation.Options{}).Routers {
		require.Equal(t, r.Requests, r.Failed+r.Done, r.Router)
		require.Equal(t, int64(140), r.Failed, "each session's first request")
	}
}

// One session on one worker can be computed by hand: 100 tokens of prompt in two
// chunks take 0.1 s, 400 bytes over 1 Mbit/s 3.2 ms, the link 10 ms each way, and
// ten more tokens 0.1 s.
func TestOneRequestTakesWhatItsPartsTake(t *testing.T) {
	s := parse(t, `{"name": "one", "seconds": 1,
	 "models": [{"name": "m", "layers": 2, "hidden": 64, "heads": 4, "vocab": 1000}],
	 "workers": [{"name": "a", "count": 1, "device": "cpu", "memory_gib": 1, "models": ["m"], "link": {"gbit": 0.001, "delay_ms": 10}, "chunk": 64}],
	 "sessions": [{"name": "s", "model": "m", "count": 1, "turns": {"min": 1, "max": 1}, "prompt": {"min": 100, "max": 100}, "output": {"min": 11, "max": 11}}]}`)
	for _, r := range run(t, s, simulation.Options{}).Routers {
		require.Equal(t, int64(1), r.Done)
		require.InEpsilon(t, 0.1232, r.P50, 0.02, "histograms are that fine")
		require.InEpsilon(t, 0.2232, r.Answer.P50, 0.02)
		require.InEpsilon(t, 0.2, r.Busy*r.Seconds, 1e-6)
		require.InEpsilon(t, 11, r.Tokens*r.Seconds, 1e-6)
		require.InEpsilon(t, 111, r.All*r.Seconds, 1e-6)
		require.Equal(t, simulation.Moved{Prompts: 400, Answers: 44}, r.Moved)
		require.Zero(t, r.HitRate)
		require.InDelta(t, 1, r.Fairness, 1e-12)
	}
}

func TestMoreSessionsTakeLonger(t *testing.T) {
	s := parse(t, small)
	var before *simulation.Result
	for _, pace := range []float64{1, 4, 16} {
		r := run(t, s, simulation.Options{Pace: pace})
		for i := range r.Routers {
			if before != nil {
				require.GreaterOrEqual(t, r.Routers[i].P99, before.Routers[i].P99, r.Routers[i].Router)
				require.GreaterOrEqual(t, r.Routers[i].Busy, before.Routers[i].Busy, r.Routers[i].Router)
			}
		}
		before = r
	}
}

func TestSearchFindsAPaceThatMeetsTheTarget(t *testing.T) {
	s := parse(t, small)
	r := run(t, s, simulation.Options{Routers: []string{"meaning"}, Search: true}).Routers[0]
	require.NotNil(t, r.Capacity)
	require.LessOrEqual(t, r.Capacity.P99, s.Target)
	at := run(t, s, simulation.Options{Routers: []string{"meaning"}, Pace: r.Capacity.Pace}).Routers[0]
	require.InDelta(t, r.Capacity.P99, at.P99, 0)
	beyond := run(t, s, simulation.Options{Routers: []string{"meaning"}, Pace: 1.2 * r.Capacity.Pace}).Routers[0]
	require.Greater(t, beyond.P99, s.Target)
}

func TestRunRefuses(t *testing.T) {
	s := parse(t, small)
	nan := 0.0
	nan /= nan
	for _, o := range []simulation.Options{{Pace: -1}, {Pace: nan}, {Pace: 1e6}, {Pace: 1e-6}, {Routers: []string{"best"}}} {
		_, err := s.Run(t.Context(), o)
		require.ErrorIs(t, err, simulation.ErrScenario)
	}
	s.Sessions[0].Count = simulation.MaxSessions
	_, err := s.Run(t.Context(), simulation.Options{Pace: 2})
	require.ErrorIs(t, err, simulation.ErrScenario, "more sessions than may be")
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := parse(t, small)
	s.Sessions[0].Count = 1 << 20
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := s.Run(ctx, simulation.Options{Times: steadily()})
	require.ErrorIs(t, err, why)
}
