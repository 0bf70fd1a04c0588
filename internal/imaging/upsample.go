package imaging

// plane is a channel of width x height values, possibly fewer than the image
// has pixels.
type plane struct {
	pix                   []uint8
	stride, width, height int
}

// row is row y, or the nearest one if y is outside the plane.
func (p plane) row(y int) []uint8 {
	y = max(0, min(y, p.height-1))
	return p.pix[y*p.stride : y*p.stride+p.width]
}

// upsampler writes row y of a plane at the image's width.
type upsampler func(p plane, y int, out []uint8)

// neighbour is the row or column, in a plane with half as many, that is the
// second nearest to i.
func neighbour(i int) int { return i/2 - 1 + i%2*2 }

// jpegUpsampler selects how libjpeg widens a plane with one value for h x v
// pixels: with a triangle filter ("fancy upsampling") if the factor is 2 in
// either direction or both, and a row has more than two values; else by
// repeating.
func jpegUpsampler(p plane, h, v int) upsampler {
	switch {
	case h == 2 && v == 1 && p.width > 2:
		return widen2x1
	case h == 1 && v == 2:
		return widen1x2
	case h == 2 && v == 2 && p.width > 2:
		return widen2x2
	}
	return repeated(h, v)
}

// repeated uses each value for h x v pixels.
func repeated(h, v int) upsampler {
	return func(p plane, y int, out []uint8) {
		in := p.row(y / v)
		if h == 1 {
			copy(out, in)
			return
		}
		for x := range out {
			out[x] = in[x/h]
		}
	}
}

// widen2x1 weights the nearest value by 3/4 and the next by 1/4. The rounding
// alternates, so there is no drift.
func widen2x1(p plane, y int, out []uint8) {
	in := p.row(y)
	for x := range out {
		i := neighbour(x)
		if i < 0 || i >= len(in) {
			out[x] = in[x/2]
			continue
		}
		out[x] = uint8((3*int(in[x/2]) + int(in[i]) + 1 + x%2) >> 2)
	}
}

// widen1x2 is the same from row to row.
func widen1x2(p plane, y int, out []uint8) {
	near, far := p.row(y/2), p.row(neighbour(y))
	for x := range out {
		out[x] = uint8((3*int(near[x]) + int(far[x]) + 1 + y%2) >> 2)
	}
}

// widen2x2 weights rows first, without rounding, and then columns.
func widen2x2(p plane, y int, out []uint8) {
	near, far := p.row(y/2), p.row(neighbour(y))
	sum := func(i int) int { return 3*int(near[i]) + int(far[i]) }
	for x := range out {
		i := max(0, min(neighbour(x), len(near)-1))
		out[x] = uint8((3*sum(x/2) + sum(i) + 8 - x%2) >> 4)
	}
}

// widenWebP is libwebp's upsampling with weights 9, 3, 3 and 1 of 16, in the
// steps in which it rounds (its src/dsp/upsampling.c).
func widenWebP(p plane, y int, out []uint8) {
	near, far := p.row(y/2), p.row(neighbour(y))
	for x := range out {
		i := max(0, min(neighbour(x), len(near)-1))
		a, beside, below, across := int(near[x/2]), int(near[i]), int(far[x/2]), int(far[i])
		diagonal := (a + 3*beside + 3*below + across + 8) >> 3
		out[x] = uint8((diagonal + a) >> 1)
	}
}
