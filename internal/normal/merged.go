package normal

import "github.com/genie-sdk/go/transport/plan"

// mergedAxis reports whether a reshape merges the axes a and a+1 of a shape into
// one, at and otherwise only adds and drops axes of size one.
func mergedAxis(from, to plan.Shape, a int) (at int, ok bool) {
	if a < 0 || a+1 >= len(from) {
		return 0, false
	}
	want := append(append(plan.Shape{}, from[:a]...), from[a].Mul(from[a+1]))
	want = append(want, from[a+2:]...)
	return matchAxes(want, to, a)
}

// matchAxes finds the axis of to that is axis a of from, if the shapes are the
// same but for axes of size one.
func matchAxes(from, to plan.Shape, a int) (at int, ok bool) {
	at = -1
	j := 0
	for i, d := range from {
		if d.Is(1) && i != a {
			continue
		}
		for j < len(to) && to[j].Is(1) && !d.Is(1) {
			j++
		}
		if j == len(to) || !to[j].Equal(d) {
			return 0, false
		}
		if i == a {
			at = j
		}
		j++
	}
	for _, d := range to[j:] {
		if !d.Is(1) {
			return 0, false
		}
	}
	return at, at >= 0
}

// withAxis is a shape whose axis at has another size.
func withAxis(s plan.Shape, at int, d plan.Dim) plan.Shape {
	out := append(plan.Shape{}, s...)
	out[at] = d
	return out
}
