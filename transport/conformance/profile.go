package conformance

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
)

// testProfile verifies that statistics carry the profile of exactly the runs that
// asked for one, by plan, while their session is open.
func testProfile(f *fixture) {
	b := talking()
	s, other := f.session(), f.session()
	ref, quiet := f.prepare(s, b), f.prepare(other, b)
	f.run(other, quiet, []int{0}, talkingInputs(3, 0)...)
	require.Empty(f, f.profiles(), "no run asked for a profile")

	for i := range 3 {
		_, err := s.Run(f.ctx, transport.Call{Plan: ref, Bindings: []int{i}, Inputs: talkingInputs(3, int32(i)), Profile: i > 0})
		require.NoError(f, err)
	}
	f.requireProfile(b, f.profiles(), 2)
	f.run(s, ref, []int{3}, talkingInputs(3, 3)...)
	f.requireProfile(b, f.profiles(), 2)
	require.NoError(f, other.Close())
	f.requireProfile(b, f.profiles(), 2)
	require.NoError(f, s.Close())
	require.Empty(f, f.profiles(), "the profile is the session's")
}

// testProfiledLoop verifies that a loop's runs are in the profile, and those of
// its opening in that of the opening's plan.
func testProfiledLoop(f *fixture) {
	const runs = 20
	b := talking()
	s := f.session()
	l, ref := f.looper(s), f.prepare(s, b)
	call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0), Profile: true}
	require.NoError(f, l.RunLoop(f.ctx, call, talkingLoop(runs), func([]byte, time.Duration) error { return nil }))
	f.requireProfile(b, f.profiles(), runs)
	o, ok := s.(transport.LoopOpener)
	if !ok {
		return
	}
	call.Bindings, call.Inputs = []int{1}, talkingInputs(3, 1)
	open := transport.Opening{Reset: true, Call: transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0), Profile: true}}
	require.NoError(f, o.OpenLoop(f.ctx, open, call, talkingLoop(runs), func([]byte, time.Duration) error { return nil }))
	f.requireProfile(b, f.profiles(), 2*runs+1)
}

func (f *fixture) profiles() []transport.Profile {
	f.Helper()
	st, err := f.ex.Stats(f.ctx)
	require.NoError(f, err)
	return st.Profiles
}

// requireProfile requires one profile, of the given plan and number of runs, with
// each group's kernel, operators, time and bytes.
func (f *fixture) requireProfile(b *builder, profiles []transport.Profile, runs int64) {
	f.Helper()
	require.Len(f, profiles, 1)
	p := profiles[0]
	require.Equal(f, b.p.Hash(), p.Plan)
	require.Equal(f, b.p.Name, p.Name)
	require.Equal(f, runs, p.Runs)
	count := map[int]int64{}
	var moved int64
	for _, g := range p.Groups {
		require.NotEmpty(f, g.Kernel)
		require.NotEmpty(f, g.Steps)
		require.Equal(f, transport.GroupName(&b.p, g.Steps), g.Name)
		require.GreaterOrEqual(f, g.Time, time.Duration(0))
		moved += g.Bytes
		for _, k := range g.Steps {
			count[k] += g.Count
		}
	}
	require.Positive(f, p.Time())
	require.Positive(f, moved)
	for k, s := range b.p.Steps { // none is a view
		require.Equal(f, runs, count[k], "step %d (%s)", k, s.Op)
	}
}
