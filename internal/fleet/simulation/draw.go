package simulation

import (
	"math"
	"sort"
)

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014): neighbouring
// numbers become unrelated ones.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draws is a sequence of random numbers. What has one of its own does not change
// when others draw more or less.
type draws struct{ state uint64 }

func newDraws(seed uint64, of ...uint64) draws {
	x := mix(seed)
	for _, n := range of {
		x = mix(x ^ n)
	}
	return draws{x}
}

// unit is in [0, 1).
func (d *draws) unit() float64 {
	d.state += 0x9e3779b97f4a7c15
	return float64(mix(d.state)>>11) / (1 << 53)
}

func (d *draws) in(r Range) int32 {
	return int32(r.Min + int(d.unit()*float64(r.Max-r.Min+1)))
}

func (d *draws) inF(r FRange) float64 { return r.Min + d.unit()*(r.Max-r.Min) }

// exponential has mean 1.
func (d *draws) exponential() float64 { return -math.Log(1 - d.unit()) }

// shares are cumulative shares, in proportion to n^-skew.
func shares(n int, skew float64) []float64 {
	out, sum := make([]float64, n), 0.0
	for i := range out {
		sum += math.Pow(float64(i+1), -skew)
		out[i] = sum
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func (d *draws) of(shares []float64) int32 {
	x := d.unit()
	return int32(min(sort.SearchFloat64s(shares, x), len(shares)-1))
}
