package results

import (
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// Confidence is the level of every interval.
const Confidence = 0.95

// Summary summarises the samples of a unit. All values are in the base unit.
type Summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	// Lo and Hi bound the 95% interval of the median; both are absent with too
	// few samples (fewer than 6).
	Lo  *float64 `json:"lo,omitempty"`
	Hi  *float64 `json:"hi,omitempty"`
	Min float64  `json:"min"`
	Max float64  `json:"max"`
}

// Low is the lower end of the interval or, without one, of the samples.
func (s Summary) Low() float64 {
	if s.Lo != nil {
		return *s.Lo
	}
	return s.Min
}

// High is the upper end of the interval or, without one, of the samples.
func (s Summary) High() float64 {
	if s.Hi != nil {
		return *s.Hi
	}
	return s.Max
}

// sample copies the values of a unit: benchmath sorts them in place.
func (c *Case) sample(unit string) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(c.samples[unit]), thresholds())
}

func thresholds() *benchmath.Thresholds {
	t := benchmath.DefaultThresholds
	return &t
}

// Summary summarises a unit's samples; false without samples.
func (c *Case) Summary(unit string) (Summary, bool) {
	if len(c.samples[unit]) == 0 {
		return Summary{}, false
	}
	sample := c.sample(unit)
	// The median under any assumption: an exact unit that varies has no other
	// centre either.
	sum := benchmath.AssumeNothing.Summary(sample, Confidence)
	s := Summary{
		N: len(sample.Values), Median: sum.Center,
		Min: sample.Values[0], Max: sample.Values[len(sample.Values)-1],
	}
	if !math.IsInf(sum.Lo, 0) && !math.IsInf(sum.Hi, 0) {
		s.Lo, s.Hi = &sum.Lo, &sum.Hi
	}
	return s, true
}

// Ratio is how many times as good a value is as a base: value/base where higher
// is better, base/value where lower is, and value/base where neither is. It is
// absent if the divisor is zero.
func Ratio(value, base float64, direction int) *float64 {
	if direction < 0 {
		value, base = base, value
	}
	if base == 0 || value == 0 || math.IsNaN(value) || math.IsNaN(base) {
		return nil
	}
	r := value / base
	return &r
}

// Change is the change of a unit of a case from one recording to the next.
type Change struct {
	Old Summary `json:"old"`
	New Summary `json:"new"`
	// Percent is the change of the median; absent when the old one is 0.
	Percent *float64 `json:"percent,omitempty"`
	// P is the probability of such samples if nothing had changed.
	P float64 `json:"p"`
	// Significant is P < 0.05.
	Significant bool `json:"significant"`
	// TooFew means that samples of these numbers can never be significant.
	TooFew bool `json:"too_few,omitempty"`
}

// Compare compares the samples of a unit; false when one side has none.
func Compare(before, after *Case, unit string) (Change, bool) {
	if before == nil || after == nil {
		return Change{}, false
	}
	o, ok := before.Summary(unit)
	n, also := after.Summary(unit)
	if !ok || !also {
		return Change{}, false
	}
	a, b := before.sample(unit), after.sample(unit)
	c := benchmath.AssumeNothing.Compare(a, b)
	change := Change{Old: o, New: n, P: c.P, Significant: c.P < c.Alpha, TooFew: tooFew(o.N, n.N, c.Alpha)}
	if o.Median != 0 {
		pct := 100 * (n.Median/o.Median - 1)
		change.Percent = &pct
	}
	return change, true
}

// tooFew reports whether even disjoint samples have P at or above alpha: the
// two-sided rank test gives them 2 in (n+m choose n).
func tooFew(n, m int, alpha float64) bool {
	ways := 1.0
	for i := 1; i <= n; i++ {
		ways *= float64(m+i) / float64(i)
	}
	return 2/ways >= alpha
}
