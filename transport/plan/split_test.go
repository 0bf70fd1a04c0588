package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// chained is x, and n steps each of the one before, with a state that the first
// and the step at reader read; -1 for none.
func chained(n, reader int) *Plan {
	spec := Spec{DType: F32, Shape: Shape{Sym("n")}}
	p := &Plan{Version: Version, Name: "chained", Inputs: []Port{{Name: "x"}}, Buffers: n}
	p.Values = []Value{{Kind: KindInput, Spec: spec, Buffer: NoBuffer}}
	if reader >= 0 {
		p.Values = append(p.Values, Value{Kind: KindState, Spec: spec, Buffer: NoBuffer})
	}
	at := 0
	for i := range n {
		in := []int{at, 0}
		if reader >= 0 && (i == 0 || i == reader) {
			in[1] = 1
		}
		p.Values = append(p.Values, Value{Kind: KindTemp, Spec: spec, Buffer: i})
		at = len(p.Values) - 1
		p.Steps = append(p.Steps, Step{Op: "add", In: in, Out: at})
	}
	if reader >= 0 {
		p.States = []State{{Name: "s", Mode: StateReplace, In: 1, Out: 2}}
	}
	p.Outputs = []Output{{Name: "y", Value: at, Place: Download, Cause: CauseActivation}}
	return p
}

func TestSplitRounds(t *testing.T) {
	type part struct{ device, round, steps int }
	for name, tt := range map[string]struct {
		reader  int
		devices []int
		homes   map[string]int
		want    []part
	}{
		"stages":                            {-1, []int{0, 0, 1, 1}, nil, []part{{0, 0, 2}, {1, 1, 2}}},
		"there and back":                    {-1, []int{0, 1, 0, 1}, nil, []part{{0, 0, 1}, {1, 1, 1}, {0, 2, 1}, {1, 3, 1}}},
		"steps between readers of a state":  {2, []int{1, 0, 0, 0}, nil, []part{{1, 0, 3}, {0, 1, 1}}},
		"a state that is somewhere already": {2, []int{1, 0, 0, 1}, map[string]int{"s": 2}, []part{{2, 0, 3}, {1, 1, 1}}},
		"one device":                        {2, []int{3, 3, 3, 3}, nil, []part{{3, 0, 4}}},
		"one device in the end":             {3, []int{1, 0, 2, 0}, nil, []part{{1, 0, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := SplitBy(chained(4, tt.reader), tt.devices, tt.homes)
			require.NoError(t, err)
			var got []part
			for _, p := range s.Parts {
				got = append(got, part{p.Device, p.Round, len(p.Steps)})
				require.NoError(t, p.Plan.Validate())
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, len(tt.want) > 1, len(s.Edges) > 0)
		})
	}
}

// TestSplitWhole verifies that a plan on its own device is not copied, and that one on
// another device is, for device 0.
func TestSplitWhole(t *testing.T) {
	p := chained(2, -1)
	s, err := NewSplit(p)
	require.NoError(t, err)
	require.Same(t, p, s.Parts[0].Plan)
	for i := range p.Steps {
		p.Steps[i].Device = 1
	}
	s, err = NewSplit(p)
	require.NoError(t, err)
	require.Equal(t, 1, s.Parts[0].Device)
	require.NoError(t, s.Parts[0].Plan.OneDevice())
	require.Equal(t, 1, p.Steps[0].Device, "the plan is the caller's")
}

// TestSplitSaves verifies that a replaced state is kept where a later part may fail,
// and only there.
func TestSplitSaves(t *testing.T) {
	s, err := SplitBy(chained(4, 1), []int{0, 0, 1, 1}, nil)
	require.NoError(t, err)
	require.Len(t, s.Parts[0].Saves, 1)
	save := s.Parts[0].Saves[0]
	require.Equal(t, Retain, s.Parts[0].Plan.Outputs[save.Output].Place)
	require.Equal(t, s.Parts[0].Plan.States[save.State].In, s.Parts[0].Plan.Outputs[save.Output].Value)
	p := chained(4, 3)
	p.Steps[0].In[1], p.States[0].Out = 0, 5 // the last steps have the state
	s, err = SplitBy(p, []int{0, 0, 0, 1}, nil)
	require.NoError(t, err)
	require.Empty(t, s.Parts[1].Saves)
}

func TestBadSplits(t *testing.T) {
	p := chained(2, -1)
	for name, devices := range map[string][]int{"too few": {0}, "negative": {0, -1}, "too large": {0, MaxDevices}} {
		_, err := SplitBy(p, devices, nil)
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	two := chained(4, 1)
	two.Values = append(two.Values, Value{Kind: KindState, Spec: two.Values[0].Spec, Buffer: NoBuffer})
	other := len(two.Values) - 1
	two.Steps[1].In = []int{1, other}
	two.States = append(two.States, State{Name: "t", Mode: StateReplace, In: other, Out: other})
	_, err := SplitBy(two, []int{0, 0, 1, 1}, map[string]int{"s": 0, "t": 1})
	require.ErrorIs(t, err, ErrInvalid, "two states of one step on two devices")
	p.Values[0].Spec.DType = 99
	_, err = NewSplit(p)
	require.ErrorIs(t, err, ErrInvalid)
}
