package imaging

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"

	"golang.org/x/image/webp"
)

// The parts of a WebP file (its container specification).
const (
	webpHeader   = 12 // RIFF, size, WEBP
	webpExif     = 1 << 3
	webpXMP      = 1 << 2
	webpAnimated = 1 << 1
)

// webpChunks calls see with each chunk of a file, up to a truncated one or
// until see returns that it is enough. flags are those of the extended header,
// 0 without one.
func webpChunks(content []byte, see func(kind string, data []byte, flags byte) (more bool)) {
	var flags byte
	if len(content) < webpHeader {
		return
	}
	at, end := webpHeader, min(len(content), 8+int(binary.LittleEndian.Uint32(content[4:])))
	for at+8 <= end {
		kind, size := string(content[at:at+4]), int(binary.LittleEndian.Uint32(content[at+4:]))
		if at += 8; size > end-at {
			return
		}
		data := content[at : at+size]
		if kind == "VP8X" && at == webpHeader+8 && size > 0 {
			flags = data[0]
		}
		if !see(kind, data, flags) {
			return
		}
		at += size + size%2
	}
}

func webpConfig(content []byte) (image.Config, error) {
	animated := false
	webpChunks(content, func(kind string, _ []byte, flags byte) bool {
		animated = flags&webpAnimated != 0 || kind == "ANIM" || kind == "ANMF"
		return !animated && kind != "VP8 " && kind != "VP8L"
	})
	if animated {
		return image.Config{}, errAnimated
	}
	return webp.DecodeConfig(bytes.NewReader(content)) //nolint:wrapcheck // Decode adds the format
}

// errAnimated marks a WebP file with frames.
var errAnimated = fmt.Errorf("an animated image %w", errUnread)

// decodeWebP decodes with golang.org/x/image/webp, but converts lossy images
// itself: Go assumes JPEG's range for their colours, and repeats those that
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

// fromVP8 converts an image with one colour value for 2 x 2 pixels, the only
// format of VP8.
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
// src/dsp/yuv.h): products have 14 fraction bits, of which the last 6 are
// shifted out at the end.
func webpRGB(y, cb, cr uint8) (r, g, b uint8) {
	l, u, v := int(y)*19077>>8, int(cb), int(cr)
	r = clip8((l + v*26149>>8 - 14234) >> 6)
	g = clip8((l - u*6419>>8 - v*13320>>8 + 8708) >> 6)
	return r, g, clip8((l + u*33050>>8 - 17685) >> 6)
}

// clip8 limits v to a byte.
func clip8(v int) uint8 { return uint8(max(0, min(v, 255))) }
