package semantic

import (
	"cmp"
	"math"
	"slices"
)

// Point is a measurement: an amount of work, in FLOPs or bytes, and the time it
// took.
type Point struct {
	Work    float64 `json:"work"`
	Seconds float64 `json:"seconds"`
}

// Curve is the time that work takes, measured at increasing amounts of it.
// Between two points time is affine, a constant plus a rate, so every pair of
// neighbours is a regime of its own: in and out of a cache, one packet and a
// stream. [FitCurve] makes one.
type Curve []Point

// Seconds is the time of an amount of work. Below the first point it
// extrapolates the line through the first two, but not below zero. Above the
// last point time grows proportionally. An empty curve gives 0.
func (c Curve) Seconds(work float64) float64 {
	switch {
	case len(c) == 0 || work < 0:
		return 0
	case len(c) == 1 || work >= c[len(c)-1].Work:
		last := c[len(c)-1]
		if last.Work <= 0 {
			return last.Seconds
		}
		return last.Seconds * work / last.Work
	}
	i, _ := slices.BinarySearchFunc(c, work, func(p Point, w float64) int { return cmp.Compare(p.Work, w) })
	i = max(i, 1)
	a, b := c[i-1], c[i]
	return max(a.Seconds+(work-a.Work)*(b.Seconds-a.Seconds)/(b.Work-a.Work), 0)
}

// FitCurve fits a curve to measurements in any order. It takes the median of
// several measurements of one amount. More work never takes less time:
// measurements that contradict this are noise, and neighbours are pooled until
// they rise (the pool adjacent violators algorithm of isotonic regression:
// Ayer, Brunk, Ewing, Reid and Silverman, 1955). Points without a finite amount
// and time are ignored.
func FitCurve(points ...Point) Curve {
	points = slices.DeleteFunc(slices.Clone(points), func(p Point) bool {
		return p.Work < 0 || math.IsNaN(p.Work+p.Seconds) || math.IsInf(p.Work+p.Seconds, 0)
	})
	slices.SortFunc(points, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Work, b.Work), cmp.Compare(a.Seconds, b.Seconds))
	})
	type pool struct {
		seconds float64 // mean of the pool
		n       int
	}
	var c Curve
	var pools []pool
	for len(points) > 0 {
		n := 1
		for n < len(points) && points[n].Work == points[0].Work {
			n++
		}
		p := pool{(points[(n-1)/2].Seconds + points[n/2].Seconds) / 2, 1}
		c = append(c, Point{Work: points[0].Work})
		points = points[n:]
		for len(pools) > 0 && pools[len(pools)-1].seconds > p.seconds {
			q := pools[len(pools)-1]
			pools = pools[:len(pools)-1]
			p = pool{(p.seconds*float64(p.n) + q.seconds*float64(q.n)) / float64(p.n+q.n), p.n + q.n}
		}
		pools = append(pools, p)
	}
	at := 0
	for _, p := range pools {
		for range p.n {
			c[at].Seconds = p.seconds
			at++
		}
	}
	return c
}
