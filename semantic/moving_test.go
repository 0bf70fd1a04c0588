package semantic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

// The rates over which moves are compared: 10 Mbit/s to 10 Gbit/s, in bytes.
const (
	slowest10M = 10e6 / 8
	fastest10G = 10e9 / 8
)

// moveCosts is the seconds of every way by its definition: use by use.
func moveCosts(in MoveInput, rate float64) map[string]float64 {
	l := Link{Rate: rate, Delay: in.Link.Delay}
	out := map[string]float64{}
	get := func(i int) float64 {
		switch {
		case i < 0:
			return l.Seconds(in.Bytes)
		case in.Ancestors[i].Bytes == 0:
			return in.Ancestors[i].Seconds
		}
		return l.Seconds(in.Ancestors[i].Bytes) + in.Ancestors[i].Seconds
	}
	for i := -1; i < len(in.Ancestors); i++ {
		each, kept, size := 0.0, 0.0, in.Bytes
		for use := range max(in.Uses, 1) {
			each += get(i)
			switch {
			case use == 0:
				kept += get(i)
			case in.Grows > 0:
				kept += l.Seconds(in.Grows)
				size += in.Grows
			}
		}
		move := MoveSend
		if i >= 0 {
			move = MoveRecompute
		}
		out[fmt.Sprint(move, i)] = each
		if in.Uses > 1 && size <= in.Room {
			out[fmt.Sprint(MoveKeep, i)] = kept
		}
	}
	return out
}

func randomMove(rng *rand.Rand) MoveInput {
	in := MoveInput{
		Bytes: math.Pow(10, 2+6*rng.Float64()), Uses: rng.IntN(4), Room: math.Pow(10, 9*rng.Float64()),
		Link: Link{Delay: time.Duration(rng.IntN(1e6))},
	}
	if rng.IntN(2) == 0 {
		in.Grows = in.Bytes * rng.Float64()
	}
	for range rng.IntN(5) {
		in.Ancestors = append(in.Ancestors, Ancestor{Bytes: in.Bytes * rng.Float64() * float64(rng.IntN(2)), Seconds: math.Pow(10, -6+6*rng.Float64())})
	}
	return in
}

// TestMoveIsTheCheapest compares the choice and the regimes with all ways, at many
// rates.
func TestMoveIsTheCheapest(t *testing.T) {
	crossovers := 0
	for seed := range uint64(300) {
		in := randomMove(rand.New(rand.NewPCG(seed, 5)))
		regimes := MoveRegimes(in, slowest10M, fastest10G)
		require.InEpsilon(t, slowest10M, regimes[0].From, 1e-12)
		require.InEpsilon(t, fastest10G, regimes[len(regimes)-1].To, 1e-12)
		for i := 1; i < len(regimes); i++ {
			require.InEpsilon(t, regimes[i-1].To, regimes[i].From, 1e-9, "seed %d: regimes meet", seed)
		}
		crossovers += len(regimes) - 1
		at := 0
		for k := range 301 {
			in.Link.Rate = slowest10M * math.Pow(fastest10G/slowest10M, float64(k)/300)
			costs := moveCosts(in, in.Link.Rate)
			least := math.Inf(1)
			for _, c := range costs {
				least = min(least, c)
			}
			got := ChooseMove(in)
			require.InEpsilon(t, least, got.Seconds, 1e-9, "seed %d", seed)
			require.InEpsilon(t, least, costs[fmt.Sprint(got.Move, got.Ancestor)], 1e-9, "seed %d", seed)
			for at < len(regimes)-1 && regimes[at].To < in.Link.Rate {
				at++
			}
			r := regimes[at]
			require.InEpsilon(t, least, costs[fmt.Sprint(r.Move, r.Ancestor)], 1e-9, "seed %d: the regime at %g B/s", seed, in.Link.Rate)
		}
	}
	require.Greater(t, crossovers, 50)
}

// TestCrossover: a cache of 36 MB, or 4 kB of tokens and half a second of prefill.
func TestCrossover(t *testing.T) {
	in := MoveInput{Bytes: 36e6, Link: Link{Delay: time.Millisecond}, Ancestors: []Ancestor{{Bytes: 4e3, Seconds: .5}}}
	regimes := MoveRegimes(in, slowest10M, fastest10G)
	require.Len(t, regimes, 2)
	require.Equal(t, MoveRecompute, regimes[0].Move)
	require.Equal(t, MoveSend, regimes[1].Move)
	require.InEpsilon(t, (36e6-4e3)/.5, regimes[1].From, 1e-9)
	in.Link.Rate = regimes[1].From * 1.01
	require.Equal(t, MoveSend, ChooseMove(in).Move)
	in.Link.Rate = regimes[1].From * .99
	require.Equal(t, MoveRecompute, ChooseMove(in).Move)
	in.Uses, in.Room = 10, 36e6
	require.Equal(t, MoveKeep, ChooseMove(in).Move)
	in.Room--
	require.NotEqual(t, MoveKeep, ChooseMove(in).Move)
}

// TestAncestors: the caches of the last two of four layers come from the rows
// before the third layer, or from the tokens.
func TestAncestors(t *testing.T) {
	s := decoder(t, 4, 64, 2, 97)
	sizes := plan.Bindings{"batch": 1, "seq": 40, "past": 0}
	list, err := s.RecomputeState(ReferenceDevice(), sizes, 4, 5, 6, 7)
	require.NoError(t, err)
	require.Greater(t, len(list), 1)
	rows := 40 * 64 * 4.
	has := false
	for i, a := range list {
		if i > 0 {
			require.Greater(t, a.Seconds, list[i-1].Seconds)
			require.Less(t, a.Bytes, list[i-1].Bytes)
		}
		has = has || a.Bytes == rows && len(a.Values) == 1
	}
	require.True(t, has, "the rows between two layers: %v", list)
	require.InDelta(t, 40*4, list[len(list)-1].Bytes, 0, "the tokens")

	last, err := s.RecomputeState(ReferenceDevice(), sizes, 6, 7)
	require.NoError(t, err)
	require.Less(t, last[0].Seconds, list[0].Seconds, "less to compute for one layer")
	_, err = s.RecomputeState(ReferenceDevice(), sizes, 8)
	require.ErrorIs(t, err, ErrPlacement)
}
