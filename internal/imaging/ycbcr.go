package imaging

import "image"

// chroma writes a row of the two colour planes at full width: row y of cb and
// cr, a value for each pixel.
type chroma func(m *image.YCbCr, y int, cb, cr []uint8)

// fromYCbCr converts planes. Go's own conversion repeats each value of a
// colour plane that has fewer pixels; the references interpolate.
func fromYCbCr(m *image.YCbCr, rows chroma, pixel func(y, cb, cr uint8) (r, g, b uint8)) *Image {
	out := NewImage(m.Rect.Dx(), m.Rect.Dy())
	cb, cr := make([]uint8, out.Width), make([]uint8, out.Width)
	for y := range out.Height {
		rows(m, y, cb, cr)
		luma := m.Y[m.YOffset(m.Rect.Min.X, m.Rect.Min.Y+y):]
		row := out.row(y)
		for x := range out.Width {
			row[3*x], row[3*x+1], row[3*x+2] = pixel(luma[x], cb[x], cr[x])
		}
	}
	return out
}

// clip8 limits v to a byte.
func clip8(v int) uint8 { return uint8(max(0, min(v, 255))) } //nolint:gosec // 0..255

// jpegRGB is the colour conversion of JFIF in 16-bit fixed point, each term
// rounded as libjpeg does.
func jpegRGB(y, cb, cr uint8) (r, g, b uint8) {
	const half = 1 << 15
	l, u, v := int(y), int(cb)-128, int(cr)-128
	r = clip8(l + (91881*v+half)>>16)           // 1.402
	g = clip8(l + (-22554*u-46802*v+half)>>16)  // 0.344136, 0.714136
	return r, g, clip8(l + (116130*u+half)>>16) // 1.772
}

// webpRGB is libwebp's conversion from the studio range of BT.601 (its
// src/dsp/yuv.h): products keep 14 bits, of which 6 are shifted out last.
func webpRGB(y, cb, cr uint8) (r, g, b uint8) {
	l, u, v := int(y)*19077>>8, int(cb), int(cr)
	r = clip8((l + v*26149>>8 - 14234) >> 6)
	g = clip8((l - u*6419>>8 - v*13320>>8 + 8708) >> 6)
	return r, g, clip8((l + u*33050>>8 - 17685) >> 6)
}

// plane is a colour plane of width x height values.
type plane struct {
	pix                   []uint8
	stride, width, height int
}

// planes are the two of a picture, with one value for each h x v pixels.
func planes(m *image.YCbCr, h, v int) (cb, cr plane) {
	at := m.COffset(m.Rect.Min.X, m.Rect.Min.Y)
	width, height := (m.Rect.Dx()+h-1)/h, (m.Rect.Dy()+v-1)/v
	return plane{m.Cb[at:], m.CStride, width, height}, plane{m.Cr[at:], m.CStride, width, height}
}

// row is row y, the nearest one outside the plane.
func (p plane) row(y int) []uint8 {
	y = max(0, min(y, p.height-1))
	return p.pix[y*p.stride : y*p.stride+p.width]
}

// neighbour is the row or column, in a plane with half as many, that is the
// second nearest to i.
func neighbour(i int) int { return i/2 - 1 + i%2*2 }

// jpegChroma chooses how libjpeg would widen a picture's colour planes: by a
// triangle filter for one value for two pixels in either direction or both,
// if there are more than two in a row; else by repeating them.
func jpegChroma(m *image.YCbCr) chroma {
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
		return repeated(1, 1)
	case image.YCbCrSubsampleRatio422:
		if m.Rect.Dx() > 4 {
			return jpegChroma422
		}
		return repeated(2, 1)
	case image.YCbCrSubsampleRatio440:
		return jpegChroma440
	case image.YCbCrSubsampleRatio420:
		if m.Rect.Dx() > 4 {
			return jpegChroma420
		}
		return repeated(2, 2)
	case image.YCbCrSubsampleRatio411:
		return repeated(4, 1)
	default:
		return repeated(4, 2)
	}
}

// repeated uses each value for h x v pixels.
func repeated(h, v int) chroma {
	return func(m *image.YCbCr, y int, cb, cr []uint8) {
		b, r := planes(m, h, v)
		for x := range cb {
			cb[x], cr[x] = b.row(y / v)[x/h], r.row(y / v)[x/h]
		}
	}
}

// jpegChroma422 weighs the nearest value by 3/4 and the next by 1/4. The
// rounding alternates, so that there is no drift.
func jpegChroma422(m *image.YCbCr, y int, cb, cr []uint8) {
	b, r := planes(m, 2, 1)
	widen := func(out, in []uint8) {
		for x := range out {
			i := neighbour(x)
			if i < 0 || i >= len(in) {
				out[x] = in[x/2]
				continue
			}
			out[x] = uint8((3*int(in[x/2]) + int(in[i]) + 1 + x%2) >> 2) //nolint:gosec // a mean of bytes
		}
	}
	widen(cb, b.row(y))
	widen(cr, r.row(y))
}

// jpegChroma440 is the same from row to row.
func jpegChroma440(m *image.YCbCr, y int, cb, cr []uint8) {
	b, r := planes(m, 1, 2)
	blend := func(out, near, far []uint8) {
		for x := range out {
			out[x] = uint8((3*int(near[x]) + int(far[x]) + 1 + y%2) >> 2) //nolint:gosec // a mean of bytes
		}
	}
	blend(cb, b.row(y/2), b.row(neighbour(y)))
	blend(cr, r.row(y/2), r.row(neighbour(y)))
}

// jpegChroma420 weighs rows first, without rounding, and columns then.
func jpegChroma420(m *image.YCbCr, y int, cb, cr []uint8) {
	b, r := planes(m, 2, 2)
	widen := func(out, near, far []uint8) {
		sum := func(i int) int { return 3*int(near[i]) + int(far[i]) }
		for x := range out {
			i := max(0, min(neighbour(x), len(near)-1))
			out[x] = uint8((3*sum(x/2) + sum(i) + 8 - x%2) >> 4) //nolint:gosec // a mean of bytes
		}
	}
	widen(cb, b.row(y/2), b.row(neighbour(y)))
	widen(cr, r.row(y/2), r.row(neighbour(y)))
}

// webpChroma is libwebp's upsampling with weights 9, 3, 3 and 1 of 16, in the
// steps that it rounds in (its src/dsp/upsampling.c).
func webpChroma(m *image.YCbCr, y int, cb, cr []uint8) {
	b, r := planes(m, 2, 2)
	widen := func(out, near, far []uint8) {
		for x := range out {
			i := max(0, min(neighbour(x), len(near)-1))
			a, beside, below, across := int(near[x/2]), int(near[i]), int(far[x/2]), int(far[i])
			diagonal := (a + 3*beside + 3*below + across + 8) >> 3
			out[x] = uint8((diagonal + a) >> 1) //nolint:gosec // a mean of bytes
		}
	}
	widen(cb, b.row(y/2), b.row(neighbour(y)))
	widen(cr, r.row(y/2), r.row(neighbour(y)))
}
