package semantic

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

func placements() []Placement {
	return []Placement{
		PlaceSingle(), PlaceRandom(1), PlaceRandom(7), PlaceRoundRobin(), PlacePipeline(), PlaceBranches(), PlaceHome(PlacePipeline(), 64),
	}
}

// TestPlacements places the labelled programs in all ways: the schedule is
// accepted and always the same, the units can run in their order, the division of
// the plan agrees about each step, and the parts compute every step once.
func TestPlacements(t *testing.T) {
	for name, f := range loadGraphs(t) {
		if len(f.Runs) == 0 {
			continue
		}
		p, err := f.build(nil)
		require.NoError(t, err)
		c, err := p.capture(nil)
		require.NoError(t, err)
		s := analysed(t, c.graph)
		sizes := maps.Clone(f.Runs[len(f.Runs)-1].Bind)
		for _, in := range s.Graph.Inputs() {
			for _, d := range in.Shape() {
				for _, symbol := range d.Symbols(nil) {
					if _, ok := sizes[symbol]; !ok {
						sizes[symbol] = 3
					}
				}
			}
		}
		for _, placement := range placements() {
			for _, policy := range []Policy{Full(), Blind()} {
				t.Run(name+"/"+placement.Name()+"/"+policy.Name(), func(t *testing.T) {
					r := requestFor(t, s, clusterOf(3, fast), placement, sizes)
					sch, err := policy.Schedule(s, r)
					require.NoError(t, err)
					require.NoError(t, sch.Check(s, r))
					require.Equal(t, placement.Name(), sch.PlacedBy)
					again, err := policy.Schedule(s, r)
					require.NoError(t, err)
					require.Equal(t, sch.Placed, again.Placed)
					divided(t, sch.Plan)
				})
			}
		}
	}
}

// divided checks that a plan's division has each step once, where the plan says.
func divided(t *testing.T, p *plan.Plan) {
	t.Helper()
	split, err := plan.NewSplit(p)
	require.NoError(t, err)
	seen := 0
	for _, part := range split.Parts {
		for _, i := range part.Steps {
			seen++
			require.Equal(t, p.Steps[i].Device, part.Device, "step %d", i)
		}
	}
	require.Equal(t, len(p.Steps), seen)
}

func TestUnits(t *testing.T) {
	in := inputFor(t, decoder(t, 3, 32, 2, 97), clusterOf(2, fast), decodeSizes)
	seen, states := map[int]bool{}, map[int]int{}
	for u := range in.Units {
		x := &in.Units[u]
		for _, step := range x.Steps {
			require.False(t, seen[step], "step %d is in two units", step)
			seen[step] = true
		}
		for _, v := range x.Reads {
			require.Less(t, in.maker[v], u, "unit %d reads what is computed later", u)
		}
		for _, s := range x.States {
			states[s]++
		}
	}
	require.Len(t, seen, len(in.Plan.Steps))
	require.Len(t, states, 6)
	for s, n := range states {
		require.Equal(t, 1, n, "units of state %q", in.Plan.States[s].Name)
	}
	require.Greater(t, len(in.Units), 3*5, "layers are not one unit")
}

// TestStateStays places the plan of a decode where the cache of a prefill is.
func TestStateStays(t *testing.T) {
	s := decoder(t, 4, 32, 2, 97)
	c := clusterOf(2, fast)
	first, err := Full().Schedule(s, requestFor(t, s, c, PlacePipeline(), prefillSizes))
	require.NoError(t, err)
	at := map[string]int{}
	in := inputFor(t, s, c, prefillSizes)
	for u := range in.Units {
		for _, st := range in.Units[u].States {
			at[in.Plan.States[st].Name] = first.Placed.Device[in.Units[u].Steps[0]]
		}
	}
	require.Len(t, at, 8)
	require.Contains(t, slices.Collect(maps.Values(at)), 1)
	for _, p := range placements() {
		r := requestFor(t, s, c, p, decodeSizes)
		r.StateAt = at
		sch, err := Full().Schedule(s, r)
		if p.Name() == "single" {
			require.ErrorIs(t, err, ErrPlacement, "the state is on two devices")
			continue
		}
		require.NoError(t, err, p.Name())
		home := inputFor(t, s, c, decodeSizes)
		for u := range home.Units {
			for _, st := range home.Units[u].States {
				require.Equal(t, at[home.Plan.States[st].Name], sch.Placed.Device[home.Units[u].Steps[0]], p.Name())
			}
		}
	}
	r := requestFor(t, s, c, PlaceHome(PlaceSingle(), 1), decodeSizes)
	r.StateAt = map[string]int{}
	for name := range at {
		r.StateAt[name] = 1
	}
	sch, err := Full().Schedule(s, r)
	require.NoError(t, err)
	require.NotContains(t, sch.Placed.Device, 0, "everything is where the cache is")

	// A state that can move does so when that pays within the runs to come: away
	// from a device that is a hundred times slower, unless the link is.
	r.Movable, r.Cluster = true, clusterOf(2, fast)
	slower := ReferenceDevice()
	slower.FLOPS, slower.Bandwidth = slower.FLOPS/100, slower.Bandwidth/100
	r.Cluster.Devices[1].Device = slower
	r.Placement = PlaceHome(PlaceSingle(), 1000)
	sch, err = Full().Schedule(s, r)
	require.NoError(t, err)
	require.NotContains(t, sch.Placed.Device, 1)
	r.Cluster.Links[1][0] = Link{Rate: 100, Direct: true}
	sch, err = Full().Schedule(s, r)
	require.NoError(t, err)
	require.NotContains(t, sch.Placed.Device, 0)
}

// TestPlacementsThatAreRefused: what a third party's placement may not decide.
func TestPlacementsThatAreRefused(t *testing.T) {
	s := decoder(t, 2, 32, 2, 97)
	c := clusterOf(2, fast)
	for name, f := range map[string]placeFunc{
		"too few steps": func(PlaceInput) (Placed, error) { return Placed{Device: []int{0}}, nil },
		"no device": func(in PlaceInput) (Placed, error) {
			return in.Placed(everywhere(&in, 2), nil), nil
		},
		"negative": func(in PlaceInput) (Placed, error) { return in.Placed(everywhere(&in, -1), nil), nil },
		"half a unit": func(in PlaceInput) (Placed, error) {
			p := in.Placed(everywhere(&in, 0), nil)
			for _, u := range in.Units {
				if len(u.Steps) > 1 {
					p.Device[u.Steps[0]] = 1
				}
			}
			return p, nil
		},
		"reasons":      func(in PlaceInput) (Placed, error) { return in.Placed(everywhere(&in, 0), make([]string, 3)), nil },
		"away from it": func(in PlaceInput) (Placed, error) { return in.Placed(everywhere(&in, 0), nil), nil },
	} {
		r := requestFor(t, s, c, f, decodeSizes)
		if name == "away from it" {
			r.StateAt = map[string]int{StateOf(s.Graph) + "/k0": 1}
		}
		_, err := Full().Schedule(s, r)
		require.ErrorIs(t, err, ErrPlacement, name)
		require.ErrorIs(t, err, ErrPolicy, name)
	}
	small := clusterOf(2, fast)
	small.Devices[0].Memory, small.Devices[1].Memory = 1000, 1000
	for _, p := range placements() {
		_, err := Full().Schedule(s, requestFor(t, s, small, p, decodeSizes))
		require.ErrorIs(t, err, ErrPlacement, p.Name())
	}
	for name, bad := range map[string]*Cluster{
		"empty":  {},
		"rate":   {Devices: make([]ClusterDevice, 1), Client: []Link{{Rate: -1}}},
		"delay":  {Devices: make([]ClusterDevice, 1), Links: [][]Link{{{Delay: -1}}}},
		"memory": {Devices: []ClusterDevice{{Memory: -1}}},
		"many":   {Devices: make([]ClusterDevice, MaxClusterDevices+1)},
	} {
		_, err := Full().Schedule(s, requestFor(t, s, bad, nil, decodeSizes))
		require.ErrorIs(t, err, ErrPlacement, name)
	}
	r := requestFor(t, s, c, nil, decodeSizes)
	r.Sizes = plan.Bindings{"batch": 1}
	_, err := Full().Schedule(s, r)
	require.ErrorIs(t, err, ErrPlacement, "sizes are missing")
	_, err = PlacementNamed("nearest")
	require.ErrorIs(t, err, ErrPlacement)
	for _, name := range PlacementNames() {
		p, err := PlacementNamed(name)
		require.NoError(t, err)
		require.Equal(t, name, p.Name())
	}
}

// TestCheckFindsDevices: schedules that a policy placed by itself.
func TestCheckFindsDevices(t *testing.T) {
	s := decoder(t, 2, 32, 2, 97)
	r := requestFor(t, s, clusterOf(2, fast), PlaceSingle(), decodeSizes)
	sch, err := Full().Schedule(s, r)
	require.NoError(t, err)
	require.NoError(t, sch.Check(s, r))
	sch.Plan.Steps[0].Device = 2
	require.ErrorIs(t, sch.Check(s, r), ErrPlacement)
	sch.Plan.Steps[0].Device = 0
	for i := range sch.Plan.Steps {
		if sch.Plan.Steps[i].Op == "append" {
			sch.Plan.Steps[i].Device = 1 - sch.Plan.Steps[i].Device
			break
		}
	}
	require.ErrorIs(t, sch.Check(s, r), ErrPlacement, "a cache on two devices")
}

func TestExplainPlaced(t *testing.T) {
	s := decoder(t, 4, 32, 2, 97)
	c := clusterOf(2, Link{Rate: 1e9, Direct: false})
	c.Devices[1].Name = "tcp://b:7000"
	e, err := ExplainPlaced(c, PlacePipeline(), s, Full(), decodeSizes)
	require.NoError(t, err)
	text := e.Text()
	require.Contains(t, text, "placement pipeline over 2 devices")
	require.Contains(t, text, "stage 1 of 2")
	require.Contains(t, text, "1 tcp://b:7000")
	require.Contains(t, text, "through the client")
	require.Contains(t, text, "with the run")
	dot := e.Dot()
	require.Contains(t, dot, `fillcolor="#cfe2f3"`)
	require.Contains(t, dot, `fillcolor="#d9ead3"`)
	require.Contains(t, dot, "dev0 -> dev1")
	b, err := json.Marshal(e)
	require.NoError(t, err)
	var back struct {
		Placement struct {
			Name   string   `json:"name"`
			Device []int    `json:"device"`
			Why    []string `json:"why"`
			Pred   struct {
				Seconds float64      `json:"seconds"`
				Edges   []PlacedEdge `json:"edges"`
			} `json:"predicted"`
		} `json:"placement"`
	}
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, "pipeline", back.Placement.Name)
	require.Len(t, back.Placement.Device, len(e.Plan.Steps))
	require.NotEmpty(t, back.Placement.Why[1])
	require.Positive(t, back.Placement.Pred.Seconds)
	require.NotEmpty(t, back.Placement.Pred.Edges)
	_, err = ExplainPlaced(&Cluster{}, nil, s, Full(), decodeSizes)
	require.ErrorIs(t, err, ErrPlacement)
}
