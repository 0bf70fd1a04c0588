package families_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// onFastLinks is a placement that assumes devices and links which make it divide
// even a small model, so that the test does not depend on what was measured.
type onFastLinks struct{ semantic.Placement }

func (p onFastLinks) Place(in semantic.PlaceInput) (semantic.Placed, error) {
	c := semantic.UniformCluster(len(in.Cluster.Devices), semantic.ReferenceDevice(), semantic.Link{Rate: 1e15, Direct: true})
	in.Cluster = c
	for u := range in.Units { // alike, whatever was measured
		for d := range in.Units[u].Seconds {
			in.Units[u].Seconds[d] = in.Units[u].Seconds[0]
		}
	}
	return p.Placement.Place(in)
}

// feedFor makes an input for each that is not carried.
func feedFor(t *testing.T, g *lazy.Graph, sizes plan.Bindings) genie.Feed {
	t.Helper()
	carried := map[*lazy.Tensor]bool{}
	for _, c := range g.Carries() {
		carried[c.In] = true
	}
	rng, feed := rand.New(rand.NewPCG(1, 2)), genie.Feed{}
	for _, in := range g.Inputs() {
		if carried[in] {
			continue
		}
		shape, err := in.Shape().Eval(sizes)
		require.NoError(t, err)
		n := 1
		for _, d := range shape {
			n *= d
		}
		if in.DType() == lazy.I32 {
			data := make([]int32, n)
			for i := range data {
				data[i] = int32(i % 2)
			}
			feed[in.Name()] = genie.Int32s(data, shape...)
			continue
		}
		if in.DType() == lazy.I64 {
			feed[in.Name()] = genie.Int64s(make([]int64, n), shape...)
			continue
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = rng.Float32()
		}
		feed[in.Name()] = genie.Float32s(data, shape...)
	}
	return feed
}

// results runs the model twice in one session, the second time with carried state
// if it has some, and reads its outputs.
func results(t *testing.T, c *genie.Client, f *workloads.Family, m *workloads.FamilyModel) (out [][]byte) {
	t.Helper()
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	outputs := m.Outputs
	if len(outputs) == 0 {
		outputs = m.Graph.Outputs()
	}
	var tensors []*lazy.Tensor
	for _, o := range outputs {
		tensors = append(tensors, o.Tensor)
	}
	for _, sizes := range []workloads.Sizes{{Batch: 2, Texts: 3, Seq: 7}, {Batch: 2, Texts: 3, Seq: 1, Past: 7}} {
		if !f.Takes(workloads.SizePast) {
			sizes.Seq, sizes.Past = 0, 0
		}
		bound, err := m.Bind(sizes)
		require.NoError(t, err)
		values, err := s.Run(t.Context(), feedFor(t, m.Graph, bound), tensors...)
		require.NoError(t, err)
		for _, v := range values {
			x, err := v.Tensor(t.Context())
			require.NoError(t, err)
			out = append(out, x.Data)
		}
	}
	return out
}

// TestPlaced divides GPT-2, ResNet and CLIP over two workers in all ways: outputs
// have the bits of one executor, and both workers computed.
func TestPlaced(t *testing.T) {
	models := map[string]bool{"gpt2/basic": true, "resnet/basic": true, "resnet/bottleneck": true, "clip/plain": true}
	found := 0
	for _, c := range familytest.Checkpoints(t, filepath.Join("..", "..")) {
		name := filepath.Base(filepath.Dir(c.Dir)) + "/" + filepath.Base(c.Dir)
		if !models[name] {
			continue
		}
		found++
		m, err := c.Family.Load(t.Context(), c.Dir, workloads.FamilyOptions{Hashes: "off"})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		alone, err := genie.Open(t.Context(), "local:")
		require.NoError(t, err)
		want := results(t, alone, &c.Family, m)
		require.NoError(t, alone.Close())
		for _, p := range []semantic.Placement{
			semantic.PlacePipeline(), semantic.PlaceBranches(), semantic.PlaceHome(semantic.PlacePipeline(), 10),
			semantic.PlaceRoundRobin(), semantic.PlaceRandom(3), semantic.PlaceSingle(),
		} {
			for kind, list := range map[string]func() string{
				"local": func() string { return "local:,local:" },
				"remote": func() string {
					return "tcp://" + workertest.Start(t, nil).TCP + ",grpc://" + workertest.Start(t, nil).GRPC
				},
			} {
				t.Run(name+"/"+p.Name()+"/"+kind, func(t *testing.T) {
					client, err := genie.Open(t.Context(), list(), genie.WithPlacement(onFastLinks{p}))
					require.NoError(t, err)
					defer func() { require.NoError(t, client.Close()) }()
					before := runs(t, client)
					require.Equal(t, want, results(t, client, &c.Family, m))
					used := 0
					for i, n := range runs(t, client) {
						if n > before[i] {
							used++
						}
					}
					one := p.Name() == "single" || p.Name() == "branches" && name != "clip/plain"
					require.Equal(t, one, used == 1, "%d workers computed", used)
				})
			}
		}
	}
	require.Equal(t, len(models), found)
}

// runs is the number of runs of each member.
func runs(t *testing.T, c *genie.Client) (out []int64) {
	t.Helper()
	for _, m := range c.Executor().(*cluster.Executor).Members() {
		st, err := m.Executor.Stats(t.Context())
		require.NoError(t, err)
		out = append(out, st.Runs)
	}
	return out
}

// TestMeasured: a client that joins workers knows their speed, memory and links,
// and says how a plan is divided.
func TestMeasured(t *testing.T) {
	list := "tcp://" + workertest.Start(t, nil).TCP + ",grpc://" + workertest.Start(t, nil).GRPC
	client, err := genie.Open(t.Context(), list, genie.WithPlacement(semantic.PlacePipeline()))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	c := client.Cluster()
	require.NoError(t, c.Check())
	require.Len(t, c.Devices, 2)
	for i := range c.Devices {
		require.Positive(t, c.Devices[i].Device.FLOPS)
		require.Positive(t, c.Client[i].Rate)
		require.Positive(t, c.Client[i].Delay)
		require.Less(t, c.Client[i].Delay, 10*time.Second)
	}
	alone, err := genie.Open(t.Context(), "local:", genie.WithPlacement(semantic.PlacePipeline()))
	require.NoError(t, err)
	require.Nil(t, alone.Cluster())
	require.NoError(t, alone.Close())
	_, err = genie.Open(t.Context(), list+",tcp://127.0.0.1:1", genie.WithPlacement(semantic.PlacePipeline()), genie.WithReconnect(time.Millisecond))
	require.ErrorIs(t, err, genie.ErrUnreachable)
}
