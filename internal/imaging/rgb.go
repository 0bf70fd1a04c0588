package imaging

import (
	"image"
	"image/color"
)

// toRGB is PIL's convert("RGB") for the results of the decoders except images
// in YCbCr: alpha is dropped, and the high eight of 16 bits remain.
func toRGB(m image.Image) *Image {
	b := m.Bounds()
	out := NewImage(b.Dx(), b.Dy())
	for y := range out.Height {
		row := out.row(y)
		switch m := m.(type) {
		case *image.Gray:
			grayRow(row, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):])
		case *image.RGBA: // decoders return it only for opaque images
			every(row, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):], 4, 1)
		case *image.NRGBA:
			every(row, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):], 4, 1)
		case *image.RGBA64:
			every(row, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):], 8, 2)
		case *image.NRGBA64:
			every(row, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):], 8, 2)
		case *image.CMYK:
			cmykRow(row, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):])
		case *image.Paletted:
			paletteRow(row, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):], m.Palette)
		default:
			for x := range out.Width {
				c := straight(m.At(b.Min.X+x, b.Min.Y+y))
				row[3*x], row[3*x+1], row[3*x+2] = c[0], c[1], c[2]
			}
		}
	}
	return out
}

func grayRow(row, pix []uint8) {
	for x := range len(row) / 3 {
		row[3*x], row[3*x+1], row[3*x+2] = pix[x], pix[x], pix[x]
	}
}

// every copies three channels that are step bytes apart out of pixels of size
// bytes.
func every(row, pix []uint8, size, step int) {
	for x := range len(row) / 3 {
		p := pix[size*x : size*x+2*step+1]
		row[3*x], row[3*x+1], row[3*x+2] = p[0], p[step], p[2*step]
	}
}

// cmykRow is PIL's conversion of inks to light: each channel is what the key
// leaves, less the ink's share of that, rounded.
func cmykRow(row, pix []uint8) {
	for x := range len(row) / 3 {
		left := 255 - int(pix[4*x+3])
		for c := range 3 {
			row[3*x+c] = uint8(left - divide255(int(pix[4*x+c])*left))
		}
	}
}

// divide255 is v/255 rounded, for v in 0..255*255.
func divide255(v int) int {
	v += 128
	return (v>>8 + v) >> 8
}

func paletteRow(row, pix []uint8, palette color.Palette) {
	for x := range len(row) / 3 {
		var c [3]uint8
		if i := int(pix[x]); i < len(palette) {
			c = straight(palette[i])
		}
		row[3*x], row[3*x+1], row[3*x+2] = c[0], c[1], c[2]
	}
}

// straight is a colour without its alpha, and not multiplied by it.
func straight(c color.Color) [3]uint8 {
	switch c := c.(type) {
	case color.RGBA:
		if c.A == 255 {
			return [3]uint8{c.R, c.G, c.B}
		}
	case color.NRGBA:
		return [3]uint8{c.R, c.G, c.B}
	}
	n, _ := color.NRGBAModel.Convert(c).(color.NRGBA)
	return [3]uint8{n.R, n.G, n.B}
}

// clipGray16 is PIL's conversion of 16-bit grey, which clips instead of
// scaling.
func clipGray16(m image.Image) *Image {
	b := m.Bounds()
	out := NewImage(b.Dx(), b.Dy())
	for y := range out.Height {
		row := out.row(y)
		for x := range out.Width {
			var v uint16
			switch c := m.At(b.Min.X+x, b.Min.Y+y).(type) {
			case color.Gray16:
				v = c.Y
			case color.NRGBA64: // with a transparent level
				v = c.R
			}
			g := uint8(min(v, 255))
			row[3*x], row[3*x+1], row[3*x+2] = g, g, g
		}
	}
	return out
}
