package genie_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// everywhere is the policy full with an operator behind each operator, which copies or
// does nothing: wherever a rewrite can be made, the values stay.
func everywhere() semantic.Rules {
	return semantic.Rules{Features: semantic.Full().(semantic.Features), Rewrite: func(g *semantic.Rewriter) error {
		for i, v := range g.Values() {
			if v.Op() == nil {
				continue
			}
			same, err := g.Insert([]string{"identity", "contiguous"}[i%2], nil, v)
			if err != nil {
				return err
			}
			if err := g.Replace(v, same); err != nil {
				return err
			}
		}
		return nil
	}}
}

// TestRulesGenerate verifies that rewrites and placements of all kinds leave a
// language model's tokens unchanged, in process and on a worker.
func TestRulesGenerate(t *testing.T) {
	m, err := gpt2.Load(t.Context(), "../testdata/gpt2/basic", gpt2.LoadOptions{Hashes: "off"})
	require.NoError(t, err)
	defer m.Close()
	full := semantic.Full().(semantic.Features)
	carries := 0
	worker := "tcp://" + workertest.Start(t, nil).TCP
	var want []int
	for name, p := range map[string]semantic.Policy{
		"full":       full,
		"everywhere": everywhere(),
		"half of the weights": semantic.Rules{Features: full, KeepWeight: func(w *lazy.Tensor) bool {
			return w.ID()%2 == 0
		}},
		"half of the caches": semantic.Rules{Features: full, KeepState: func(carry int) bool {
			carries++
			return carry%2 == 0
		}},
		"tokens here": semantic.Rules{Features: semantic.Features{Label: "x", Weights: true, State: true}},
	} {
		for _, executor := range []string{"local:", worker} {
			client, err := genie.Open(t.Context(), executor, genie.WithPolicy(p))
			require.NoError(t, err)
			session, err := client.NewSession(t.Context())
			require.NoError(t, err)
			out, err := genie.Generate(t.Context(), session, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 2, 3}, {4, 5}}, MaxNew: 6, IgnoreEOS: true})
			require.NoError(t, err, name)
			got := slices.Concat(out.Tokens...)
			require.Len(t, got, 12)
			if want == nil {
				want = got
			}
			require.Equal(t, want, got, "%s on %s", name, executor)
			require.NoError(t, session.Close())
			require.NoError(t, client.Close())
		}
	}
	require.Positive(t, carries)
}

// tally is a program that adds to a carried value.
func tally() (x, sum *lazy.Tensor) {
	g := lazy.NewGraph("tally")
	x = g.Input("x", lazy.F32, 2)
	old := g.Input("old", lazy.F32, 2)
	sum = g.Output("sum", lazy.Add(old, x))
	g.Carry(old, sum)
	return x, sum
}

// policyFunc is a policy of one function.
type policyFunc func(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error)

func (policyFunc) Name() string { return "mine" }

func (f policyFunc) Schedule(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
	return f(s, r)
}

// TestPolicyContradictsItself runs under policies whose plans do not agree on where a
// carried value is, or not with the caller: they would begin again from zeros.
func TestPolicyContradictsItself(t *testing.T) {
	full := semantic.Full()
	keep := func(is bool) semantic.Policy {
		return semantic.Rules{Features: full.(semantic.Features), KeepState: func(int) bool { return is }}
	}
	for name, p := range map[string]func(calls int) semantic.Policy{
		"first there, then here": func(calls int) semantic.Policy { return keep(calls == 1) },
		"first here, then there": func(calls int) semantic.Policy {
			return policyFunc(func(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
				r.Fed = nil // what the caller has is not looked at
				return keep(calls != 1).Schedule(s, r)
			})
		},
		"another name": func(calls int) semantic.Policy {
			return policyFunc(func(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
				if calls > 1 {
					r.State = "another"
				}
				return full.Schedule(s, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			client, err := genie.Open(t.Context(), "local:", genie.WithPolicy(policyFunc(func(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
				calls++
				return p(calls).Schedule(s, r)
			})))
			require.NoError(t, err)
			defer client.Close()
			session, err := client.NewSession(t.Context())
			require.NoError(t, err)
			defer session.Close()
			x, sum := tally()
			feed := genie.Feed{x.Name(): genie.Float32s([]float32{1, 2}, 2)}
			_, err = session.Run(t.Context(), feed, sum)
			require.NoError(t, err)
			_, err = session.Run(t.Context(), feed, sum, lazy.Identity(sum)) // another plan
			if err == nil {
				_, err = session.RunRetain(t.Context(), feed, sum)
			}
			require.ErrorIs(t, err, semantic.ErrPolicy)
		})
	}
}

// TestScheduleIsChecked takes a plan of a policy apart before the client has it.
func TestScheduleIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(sch *semantic.Schedule) *semantic.Schedule{
		"none":         func(*semantic.Schedule) *semantic.Schedule { return nil },
		"no result":    func(sch *semantic.Schedule) *semantic.Schedule { sch.Results = nil; return sch },
		"no source":    func(sch *semantic.Schedule) *semantic.Schedule { sch.Inputs = nil; return sch },
		"no carries":   func(sch *semantic.Schedule) *semantic.Schedule { sch.Carries = nil; return sch },
		"it stays":     func(sch *semantic.Schedule) *semantic.Schedule { sch.Plan.Outputs[0].Place = plan.Retain; return sch },
		"no such step": func(sch *semantic.Schedule) *semantic.Schedule { sch.Plan.Steps[0].Op = "nothing"; return sch },
	} {
		t.Run(name, func(t *testing.T) {
			client, err := genie.Open(t.Context(), "local:", genie.WithPolicy(policyFunc(func(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
				sch, err := semantic.Full().Schedule(s, r)
				if err != nil {
					return nil, err
				}
				return spoil(sch), nil
			})))
			require.NoError(t, err)
			defer client.Close()
			session, err := client.NewSession(t.Context())
			require.NoError(t, err)
			defer session.Close()
			x, sum := tally()
			_, err = session.Run(t.Context(), genie.Feed{x.Name(): genie.Float32s([]float32{1, 2}, 2)}, sum)
			require.ErrorIs(t, err, semantic.ErrPolicy)
		})
	}
}
