package spellings

import "math"

// angles are the cosine and the sine of pair i of position t of sequence b, of
// half pairs.
type angles func(in map[string]Value, p map[string]float64, b, t, i, half int) (cos, sin float64)

// given reads them from inputs.
func given(in map[string]Value, _ map[string]float64, b, t, i, half int) (cos, sin float64) {
	at := (b*in["cos"].Shape[1]+t)*half + i
	return in["cos"].Data[at], in["sin"].Data[at]
}

// reversed are the negative angles of [given].
func reversed(in map[string]Value, p map[string]float64, b, t, i, half int) (cos, sin float64) {
	cos, sin = given(in, p, b, t, i, half)
	return cos, -sin
}

// computed takes them from positions.
func computed(in map[string]Value, p map[string]float64, b, t, i, half int) (cos, sin float64) {
	at := b*in["positions"].Shape[1] + t
	a := in["positions"].Data[at] * math.Pow(p["theta"], -float64(i)/float64(half))
	return math.Cos(a), math.Sin(a)
}

// rotate is of x [b, h, t, d]; the tables' width says how many of d elements.
func rotate(interleaved bool, a angles) Reference {
	return func(in map[string]Value, p map[string]float64) map[string]Value {
		x, y := in["x"], like(in["x"])
		copy(y.Data, x.Data)
		h, t, d := x.Shape[1], x.Shape[2], x.Shape[3]
		half := d / 2
		if c, ok := in["cos"]; ok {
			half = c.Shape[2]
		}
		rows(x, func(row []float64, from int) {
			n := from / d
			for i := range half {
				j, k := i, i+half
				if interleaved {
					j, k = 2*i, 2*i+1
				}
				cos, sin := a(in, p, n/(h*t), n%t, i, half)
				y.Data[from+j] = row[j]*cos - row[k]*sin
				y.Data[from+k] = row[k]*cos + row[j]*sin
			}
		})
		return one(y)
	}
}

// rotateHeads is of x [b, t, h*d], to [b, h, t, d].
func rotateHeads(in map[string]Value, p map[string]float64) map[string]Value {
	x := in["x"]
	b, t, d := x.Shape[0], x.Shape[1], 2*in["cos"].Shape[2]
	h := x.Shape[2] / d
	q := Value{DType: x.DType, Shape: []int{b, h, t, d}, Data: make([]float64, len(x.Data))}
	for i := range q.Data {
		e, pos, head, batch := i%d, i/d%t, i/(d*t)%h, i/(d*t*h)
		q.Data[i] = x.Data[((batch*t+pos)*h+head)*d+e]
	}
	return rotate(false, given)(map[string]Value{"x": q, "cos": in["cos"], "sin": in["sin"]}, p)
}

// rotatePart is of the second of three parts of the last axis.
func rotatePart(in map[string]Value, p map[string]float64) map[string]Value {
	x := in["x"]
	d := x.Shape[3] / 3
	k := Value{DType: x.DType, Shape: []int{x.Shape[0], x.Shape[1], x.Shape[2], d}}
	rows(x, func(row []float64, _ int) { k.Data = append(k.Data, row[d:2*d]...) })
	return rotate(false, given)(map[string]Value{"x": k, "cos": in["cos"], "sin": in["sin"]}, p)
}
