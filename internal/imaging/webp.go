package imaging

import (
	"bytes"
	"image"

	"golang.org/x/image/webp"
)

// decodeWebP decodes with golang.org/x/image/webp, but converts lossy pictures
// itself: Go takes their colours to have JPEG's range, and repeats those that
// libwebp interpolates.
func decodeWebP(content []byte, _ image.Config) (*Image, error) {
	m, err := webp.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, err //nolint:wrapcheck // Decode adds the format
	}
	switch m := m.(type) {
	case *image.YCbCr:
		return fromVP8(m), nil
	case *image.NYCbCrA:
		return fromVP8(&m.YCbCr), nil
	}
	return toRGB(m), nil
}

// fromVP8 converts a picture with one colour value for 2 x 2 pixels, which is
// all that the format has.
func fromVP8(m *image.YCbCr) *Image {
	out := NewImage(m.Rect.Dx(), m.Rect.Dy())
	at, width, height := m.COffset(m.Rect.Min.X, m.Rect.Min.Y), (out.Width+1)/2, (out.Height+1)/2
	blue := plane{m.Cb[at:], m.CStride, width, height}
	red := plane{m.Cr[at:], m.CStride, width, height}
	cb, cr := make([]uint8, out.Width), make([]uint8, out.Width)
	for y := range out.Height {
		widenWebP(blue, y, cb)
		widenWebP(red, y, cr)
		luma := m.Y[m.YOffset(m.Rect.Min.X, m.Rect.Min.Y+y):]
		row := out.row(y)
		for x := range out.Width {
			row[3*x], row[3*x+1], row[3*x+2] = webpRGB(luma[x], cb[x], cr[x])
		}
	}
	return out
}

// webpRGB is libwebp's conversion from the studio range of BT.601 (its
// src/dsp/yuv.h): products keep 14 bits, of which 6 are shifted out last.
func webpRGB(y, cb, cr uint8) (r, g, b uint8) {
	l, u, v := int(y)*19077>>8, int(cb), int(cr)
	r = clip8((l + v*26149>>8 - 14234) >> 6)
	g = clip8((l - u*6419>>8 - v*13320>>8 + 8708) >> 6)
	return r, g, clip8((l + u*33050>>8 - 17685) >> 6)
}

// clip8 limits v to a byte.
func clip8(v int) uint8 { return uint8(max(0, min(v, 255))) }
