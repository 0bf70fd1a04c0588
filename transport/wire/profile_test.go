package wire

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// profiledPlan has n steps.
func profiledPlan(n int) *plan.Plan {
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(2)}}
	p := &plan.Plan{Version: plan.Version, Name: "profiled", Values: []plan.Value{{Kind: plan.KindInput, Spec: spec, Buffer: plan.NoBuffer}}}
	p.Inputs = []plan.Port{{Name: "x"}}
	for i := range n {
		p.Values = append(p.Values, plan.Value{Kind: plan.KindTemp, Spec: spec, Buffer: i % 2})
		p.Steps = append(p.Steps, plan.Step{Op: "relu", In: []int{i}, Out: i + 1})
	}
	p.Outputs, p.Buffers = []plan.Output{{Name: "y", Value: n, Place: plan.Download}}, 2
	return p
}

// TestProfileMessage: a profile arrives as it was sent, and of one that is too
// large its slowest groups do, with the sum of the others.
func TestProfileMessage(t *testing.T) {
	for _, n := range []int{0, 1, 100, 2 * MaxProfileGroups} {
		p := profiledPlan(n)
		sent := &transport.Profile{Plan: p.Hash(), Name: p.Name, Runs: 7}
		for i := range n {
			sent.Groups = append(sent.Groups, transport.GroupProfile{
				Kernel: []string{"gemm", "reference"}[i%2], Steps: []int{i}, Name: "relu",
				Time: time.Duration(1 + i%3), Count: 7, Bytes: int64(i),
			})
		}
		m := ProfileMessage(sent)
		require.LessOrEqual(t, proto.Size(m), MaxControl)
		got, err := ProfileFrom(m, p)
		require.NoError(t, err)
		if n <= 100 {
			require.Equal(t, sent, got)
			continue
		}
		require.LessOrEqual(t, len(got.Groups), MaxProfileGroups)
		require.Equal(t, sent.Time(), got.Time())
		rest := got.Groups[len(got.Groups)-1]
		require.Empty(t, rest.Steps)
		require.Equal(t, "others", rest.Kernel)
		var moved, kept, slow int64
		for i, g := range sent.Groups {
			moved += g.Bytes
			if i%3 == 2 {
				slow++
			}
		}
		for _, g := range got.Groups {
			kept += g.Bytes
			if len(g.Steps) == 1 && g.Time == 3 {
				slow--
			}
		}
		require.Equal(t, moved, kept)
		require.Zero(t, slow, "the slowest groups are there")
	}
	require.Nil(t, ProfileMessage(nil))
}

// TestProfileKernels: names of kernels are cut, and their number is bounded.
func TestProfileKernels(t *testing.T) {
	p := profiledPlan(1000)
	sent := &transport.Profile{Runs: 1}
	for i := range 1000 {
		sent.Groups = append(sent.Groups, transport.GroupProfile{Kernel: fmt.Sprintf("%0100d", i), Steps: []int{i}, Count: 1})
		sent.Groups[i].Kernel = fmt.Sprintf("%d-%0100d", i, i)
	}
	m := ProfileMessage(sent)
	require.LessOrEqual(t, len(m.GetKernels()), MaxProfileKernels)
	got, err := ProfileFrom(m, p)
	require.NoError(t, err)
	require.Len(t, got.Groups, 1000)
	require.Equal(t, "others", got.Groups[999].Kernel)
}

// TestProfileLimits: what a worker may not say.
func TestProfileLimits(t *testing.T) {
	p := profiledPlan(3)
	group := func(kernel uint32, steps ...uint32) *wirepb.GroupProfile {
		return &wirepb.GroupProfile{Kernel: kernel, Steps: steps}
	}
	many := func(n int, g *wirepb.GroupProfile) (out []*wirepb.GroupProfile) {
		for range n {
			out = append(out, g)
		}
		return out
	}
	for name, m := range map[string]*wirepb.Profile{
		"groups":        {Kernels: []string{"a"}, Groups: many(MaxProfileGroups+1, group(0))},
		"kernels":       {Kernels: make([]string, MaxProfileKernels+1)},
		"name":          {Kernels: []string{fmt.Sprintf("%065d", 0)}},
		"kernel":        {Kernels: []string{"a"}, Groups: many(1, group(1))},
		"no kernel":     {Groups: many(1, group(0))},
		"step":          {Kernels: []string{"a"}, Groups: many(1, group(0, 3))},
		"largest step":  {Kernels: []string{"a"}, Groups: many(1, group(0, math.MaxUint32))},
		"step twice":    {Kernels: []string{"a"}, Groups: many(1, group(0, 1, 1))},
		"order":         {Kernels: []string{"a"}, Groups: many(1, group(0, 2, 1))},
		"steps of plan": {Kernels: []string{"a"}, Groups: many(7, group(0, 1))},
	} {
		_, err := ProfileFrom(m, p)
		require.ErrorIs(t, err, transport.ErrProtocol, name)
	}
	got, err := ProfileFrom(&wirepb.Profile{
		Runs: math.MaxUint64, Kernels: []string{"a\x1b[2J"},
		Groups: []*wirepb.GroupProfile{{Ns: math.MaxUint64, Count: math.MaxUint64, Bytes: math.MaxUint64}},
	}, p)
	require.NoError(t, err)
	require.Equal(t, int64(math.MaxInt64), got.Runs)
	require.Equal(t, time.Duration(math.MaxInt64), got.Groups[0].Time)
	require.NotContains(t, got.Groups[0].Kernel, "\x1b")
}

// FuzzProfile: whatever a worker sends is refused with a cause, or is a profile
// within the limits that can be sent again.
func FuzzProfile(f *testing.F) {
	p := profiledPlan(5)
	m := ProfileMessage(&transport.Profile{Runs: 2, Groups: []transport.GroupProfile{
		{Kernel: "gemm", Steps: []int{0, 1}, Time: 5, Count: 2, Bytes: 9}, {Kernel: "reference", Steps: []int{2}, Count: 1},
	}})
	seed, err := proto.Marshal(m)
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x12, 0x01, 'x', 0x1a, 0x02, 0x10, 0x09})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m wirepb.Profile
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		got, err := ProfileFrom(&m, p)
		if err != nil {
			require.ErrorIs(t, err, transport.ErrProtocol)
			return
		}
		require.LessOrEqual(t, len(got.Groups), MaxProfileGroups)
		for _, g := range got.Groups {
			require.GreaterOrEqual(t, g.Time, time.Duration(0))
			require.LessOrEqual(t, len(g.Steps), len(p.Steps))
		}
		_, err = ProfileFrom(ProfileMessage(got), p)
		require.NoError(t, err)
	})
}
