package imaging

import "fmt"

// Image is an image of Width x Height pixels, 8-bit RGB: Pix has 3 bytes per
// pixel, row by row from the top.
type Image struct {
	Width, Height int
	Pix           []uint8

	transparent *[3]uint8 // the transparent colour of the file
}

// NewImage returns a black image.
func NewImage(width, height int) *Image {
	return &Image{Width: width, Height: height, Pix: make([]uint8, 3*width*height)}
}

// row is row y's bytes.
func (m *Image) row(y int) []uint8 { return m.Pix[3*y*m.Width : 3*(y+1)*m.Width] }

// check finds an inconsistent image.
func (m *Image) check() error {
	if m == nil || m.Width < 1 || m.Height < 1 || len(m.Pix) != 3*m.Width*m.Height {
		return fmt.Errorf("%w: an empty or inconsistent image", ErrCorrupt)
	}
	return nil
}

// centerCrop cuts width x height pixels out of the middle. A smaller image gets
// black borders, the wider ones at the left and the top (transformers,
// image_transforms.center_crop).
func (m *Image) centerCrop(width, height int) *Image {
	if width == m.Width && height == m.Height {
		return m
	}
	out := NewImage(width, height)
	left, x, columns := cropSpan(m.Width, width)
	top, y, rows := cropSpan(m.Height, height)
	for r := range rows {
		copy(out.row(y + r)[3*x:3*(x+columns)], m.row(top + r)[3*left:3*(left+columns)])
	}
	return out
}

// cropSpan is where a crop of size n begins in an axis of size have, the
// corresponding position in the crop, and the length.
func cropSpan(have, n int) (from, to, count int) {
	if have >= n {
		return (have - n) / 2, 0, n
	}
	return 0, (n - have + 1) / 2, have
}
