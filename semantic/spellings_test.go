package semantic

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// cacheConcepts are the concepts of carried rows, and what their caches are.
var cacheConcepts = map[string]struct {
	mode     CacheMode
	new      plan.Dim
	query    plan.Dim
	inMemory bool // rows are added in the state's own memory
}{
	"kv_append":       {CacheAppend, lazy.Dim("t"), lazy.Dim("t"), true},
	"kv_static":       {CacheWrite, plan.C(1), plan.C(1), true},
	"kv_slice_update": {CacheWrite, lazy.Dim("t"), lazy.Dim("t"), true},
	"kv_window":       {CacheRoll, lazy.Dim("t"), lazy.Dim("t"), false},
}

// TestCacheSpellings: every spelling of a cache is one, whatever it carries, and
// rows are added in the memory of the state; no trap is one.
func TestCacheSpellings(t *testing.T) {
	concepts, err := spellings.Load("../testdata/spellings/caches")
	require.NoError(t, err)
	for _, c := range concepts {
		want, ok := cacheConcepts[c.Name]
		if !ok {
			continue // rows that nothing reads
		}
		for _, s := range c.Spellings {
			g, srg := spelledProgram(t, c, s)
			if !assert.Len(t, srg.Caches, len(g.Carries()), "%s: notes %v", s.Name, srg.Notes) {
				continue
			}
			for _, k := range srg.Caches {
				assert.Equal(t, want.mode, k.Mode, s.Name)
				assert.True(t, want.new.Equal(k.New), "%s adds %v", s.Name, k.New)
				assert.True(t, want.query.Equal(k.Query), "%s reads by %v", s.Name, k.Query)
				pair := g.Carries()[k.Carry]
				assert.True(t, k.Old.Equal(pair.In.Dim(k.Axis)), s.Name)
				for _, x := range []*lazy.Tensor{pair.In, pair.Out} {
					assert.Equal(t, StatefulKVCache, srg.Nodes[x.ID()].Residency, "%s: %v", s.Name, x)
				}
			}
			p, err := srg.ProfileOf(plan.Bindings{"b": 2, "t": 1, "past": 3})
			require.NoError(t, err)
			assert.Equal(t, PhaseDecode, p.Phase, s.Name)
			checkStates(t, srg, want.inMemory, s.Name)
		}
		for _, s := range c.Traps {
			_, srg := spelledProgram(t, c, s)
			assert.Empty(t, srg.Caches, s.Name)
		}
	}
}

func spelledProgram(t *testing.T, c *spellings.Concept, s *spellings.Spelling) (*lazy.Graph, *SRG) {
	t.Helper()
	g, _, err := c.Program(s, spellings.Args{})
	require.NoError(t, err)
	srg, err := Analyze(g)
	require.NoError(t, err)
	return g, srg
}

// checkStates checks how the plan of a program updates its states.
func checkStates(t *testing.T, srg *SRG, inMemory bool, name string) {
	t.Helper()
	sched, err := Full().Schedule(srg, Request{Profile: Profile{Phase: PhaseDecode}})
	require.NoError(t, err)
	require.NotEmpty(t, sched.Plan.States, name)
	for _, st := range sched.Plan.States {
		assert.Equal(t, inMemory, st.Mode != plan.StateReplace, "%s: %v", name, st.Mode)
	}
}

// TestRecurrentSpellings: what a recurrent cell carries is recurrent state in
// every spelling, and no cache.
func TestRecurrentSpellings(t *testing.T) {
	concepts, err := spellings.Load("../testdata/spellings/recurrent")
	require.NoError(t, err)
	for _, c := range concepts {
		for _, s := range c.Spellings {
			g, srg := spelledProgram(t, c, s)
			assert.Empty(t, srg.Caches, s.Name)
			require.NotEmpty(t, g.Carries())
			for _, p := range g.Carries() {
				for _, x := range []*lazy.Tensor{p.In, p.Out} {
					assert.Equal(t, RecurrentState, srg.Nodes[x.ID()].Residency, "%s, %s: %v", c.Name, s.Name, x)
				}
			}
			p, err := srg.ProfileOf(plan.Bindings{"b": 2})
			require.NoError(t, err)
			assert.Equal(t, PhaseForward, p.Phase, s.Name)
		}
		for _, s := range c.Traps {
			g, srg := spelledProgram(t, c, s)
			for _, p := range g.Carries() {
				assert.NotEqual(t, RecurrentState, srg.Nodes[p.In.ID()].Residency, "%s, %s", c.Name, s.Name)
			}
		}
	}
}
