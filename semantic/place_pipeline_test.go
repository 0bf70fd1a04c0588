package semantic

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

// chainOf is a made-up plan of units in a row, some of whose values are read
// later, on devices of different speeds and memory.
func chainOf(rng *rand.Rand, units, devices int) PlaceInput {
	p := &plan.Plan{}
	in := PlaceInput{Plan: p, Cluster: &Cluster{Devices: make([]ClusterDevice, devices), Links: make([][]Link, devices)}}
	speeds := make([]float64, devices)
	total := int64(0)
	for d := range devices {
		speeds[d] = 1 + rng.Float64()
		in.Cluster.Client = append(in.Cluster.Client, Link{Rate: 1e6 * rng.Float64()})
		for e := range devices {
			in.Cluster.Links[d] = append(in.Cluster.Links[d], Link{Rate: 1e5 + 1e6*rng.Float64(), Direct: d != e && rng.IntN(4) > 0})
		}
	}
	for u := range units {
		weight, value := len(p.Values), len(p.Values)+1
		p.Values = append(p.Values, plan.Value{Kind: plan.KindWeight, Hash: plan.HashEncoded([]byte{byte(rng.IntN(units))})}, plan.Value{Kind: plan.KindTemp})
		p.Steps = append(p.Steps, plan.Step{Out: value})
		x := Unit{Steps: []int{u}, Weights: []int{weight}, Scratch: int64(rng.IntN(100))}
		if u > 0 {
			x.Reads = append(x.Reads, 2*(u-1)+1)
			if back := rng.IntN(u); back != u-1 && rng.IntN(3) == 0 {
				x.Reads = append(x.Reads, 2*back+1)
			}
		}
		seconds := rng.Float64()
		for d := range devices {
			x.Seconds = append(x.Seconds, seconds/speeds[d])
		}
		in.Units = append(in.Units, x)
		in.bytes = append(in.bytes, 1000, float64(rng.IntN(400e3)))
		in.maker = append(in.maker, -1, u)
		total += 1000 + int64(in.bytes[value])
	}
	for i := range p.Values { // one content has one size
		if p.Values[i].Kind == plan.KindWeight {
			in.bytes[i] = 1000 + float64(p.Values[i].Hash[0])
		}
	}
	for d := range devices {
		if rng.IntN(2) == 0 {
			in.Cluster.Devices[d].Memory = total/int64(devices) + rng.Int64N(total)
		}
	}
	return in
}

// slowest is the interval of a placement into stages by its definition, and
// infinite if a stage does not have the memory.
func slowest(in *PlaceInput, stage []int) float64 {
	worst := 0.0
	for a := 0; a < len(stage); {
		b := a
		for b < len(stage) && stage[b] == stage[a] {
			b++
		}
		d, sum, memory, largest := stage[a], 0.0, 0.0, int64(0)
		held := map[plan.Hash]bool{}
		for u := a; u < b; u++ {
			sum += in.Units[u].Seconds[d]
			largest = max(largest, in.Units[u].Scratch)
			for _, w := range in.Units[u].Weights {
				if !held[in.Plan.Values[w].Hash] {
					held[in.Plan.Values[w].Hash] = true
					memory += in.bytes[w]
				}
			}
		}
		before, after := crossed(in, a), crossed(in, b)
		memory += float64(largest) + before + after
		if limit := in.Cluster.Devices[d].Memory; limit > 0 && memory > float64(limit) {
			return math.Inf(1)
		}
		worst = max(worst, sum)
		if a > 0 {
			worst = max(worst, in.Cluster.Between(stage[a-1], d).occupied(before))
		}
		a = b
	}
	return worst
}

// crossed adds up, value by value, what units before a position make for units
// after it.
func crossed(in *PlaceInput, at int) (sum float64) {
	for v, from := range in.maker {
		if from < 0 || from >= at {
			continue
		}
		for u := at; u < len(in.Units); u++ {
			if slices.Contains(in.Units[u].Reads, v) {
				sum += in.bytes[v]
				break
			}
		}
	}
	return sum
}

// eachStaging calls f with every way to run the units as stages.
func eachStaging(units, devices int, stage []int, f func([]int)) {
	if len(stage) == units {
		f(stage)
		return
	}
	for d := range devices {
		n := len(stage)
		if n > 0 && stage[n-1] != d && slices.Contains(stage, d) {
			continue // a device has one stage
		}
		eachStaging(units, devices, append(stage, d), f)
	}
}

// TestPipelineIsTheBest compares the dynamic programming with all placements.
func TestPipelineIsTheBest(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		devices := 2 + rng.IntN(2)
		in := chainOf(rng, 3+rng.IntN(6), devices)
		best := math.Inf(1)
		eachStaging(len(in.Units), devices, nil, func(stage []int) { best = min(best, slowest(&in, stage)) })
		placed, err := PlacePipeline().Place(in)
		if math.IsInf(best, 1) {
			require.ErrorIs(t, err, ErrPlacement, "seed %d", seed)
			continue
		}
		require.NoError(t, err, "seed %d", seed)
		got := slowest(&in, placed.Device)
		require.LessOrEqual(t, got, best*pipelineSlack*(1+1e-9), "seed %d", seed)
		require.NoError(t, in.room(in.Predict(placed.Device)), "seed %d", seed)
	}
}

// gpt2XL has the sizes of GPT-2 XL, with other numbers of layers.
func gpt2XL(t testing.TB, layers int) *SRG { return decoder(t, layers, 1600, 25, 50257) }

// TestPipelineOfGPT2XL places GPT-2 XL, which is larger than each of three
// devices, and counts the search: twice the layers are at most four times the
// work, and beyond the most cuts it grows as the plan does.
func TestPipelineOfGPT2XL(t *testing.T) {
	search := func(layers int) (work int, elapsed time.Duration) {
		c := clusterOf(3, fast)
		in := inputFor(t, gpt2XL(t, layers), c, decodeSizes)
		for d := range c.Devices {
			c.Devices[d].Memory = int64(layers) * 60e6 // a layer has 123 MB
			c.Devices[d].Memory += 400e6               // the table of tokens
		}
		in.work = &work
		begin := time.Now()
		placed, err := PlacePipeline().Place(in)
		elapsed = time.Since(begin)
		require.NoError(t, err)
		of := make([]int, len(in.Units))
		for u := range of {
			of[u] = placed.Device[in.Units[u].Steps[0]]
		}
		p := in.Predict(of)
		require.NoError(t, in.room(p))
		total := 0.0
		for d := range p.Devices {
			total += p.Devices[d].Seconds
			require.Positive(t, p.Devices[d].Steps, "device %d", d)
		}
		require.Less(t, p.Interval, 0.37*total, "the stages are balanced")
		for _, e := range p.Edges {
			require.LessOrEqual(t, e.Bytes, 2*1600.*4, "stages exchange rows between layers")
		}
		return work, elapsed
	}
	work48, elapsed := search(48)
	work96, _ := search(96)
	work192, _ := search(192)
	t.Logf("48 layers: %d steps of search in %v; 96: %d; 192: %d", work48, elapsed, work96, work192)
	require.Less(t, work48, 1_000_000)
	require.LessOrEqual(t, work96, 4*work48)
	require.Less(t, work192, 1_000_000)
}
