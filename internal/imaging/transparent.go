package imaging

import (
	"bytes"
	"encoding/binary"
	"image/color"
)

// An image without alpha may have one colour that its file calls transparent.
// PIL remembers it when the image becomes RGB, and transformers' processors
// that convert to RGB (do_convert_rgb) draw the image on white.

// onWhite is the image with white for its transparent colour.
func (m *Image) onWhite() *Image {
	if m.transparent == nil {
		return m
	}
	out := &Image{Width: m.Width, Height: m.Height, Pix: bytes.Clone(m.Pix)}
	for at := 0; at < len(out.Pix); at += 3 {
		if p := out.Pix[at : at+3]; [3]uint8(p) == *m.transparent {
			p[0], p[1], p[2] = 255, 255, 255
		}
	}
	return out
}

// paletteColour is an entry of a palette, black where it has none.
func paletteColour(palette color.Palette, index int) *[3]uint8 {
	var c [3]uint8
	if index < len(palette) {
		c = straight(palette[index])
	}
	return &c
}

// The types of colour of a PNG file that can have a transparent one.
const (
	pngGrey    = 0
	pngColour  = 2
	pngPalette = 3
)

// pngTransparent reads tRNS like PIL: of a palette only one entry that is fully
// transparent among others that are all opaque, since a single colour cannot
// say more; of 16 bits the low eight; of 1-bit or 16-bit grey it makes a red
// instead of a grey, which only black matches.
func pngTransparent(content []byte) *[3]uint8 {
	var palette, alphas []byte
	pngChunks(content, func(kind string, data []byte) bool {
		switch kind {
		case "PLTE":
			palette = data
		case "tRNS":
			alphas = data
		}
		return kind != "IDAT"
	})
	const header = 33
	if len(content) < header {
		return nil
	}
	bits, form := content[24], content[25]
	switch {
	case form == pngGrey && len(alphas) >= 2:
		v := binary.BigEndian.Uint16(alphas)
		switch bits {
		case 1:
			return &[3]uint8{uint8(min(v, 1) * 255)}
		case 16:
			return &[3]uint8{uint8(v)}
		}
		g := uint8(min(v, 255))
		return &[3]uint8{g, g, g}
	case form == pngColour && len(alphas) >= 6:
		return &[3]uint8{alphas[1], alphas[3], alphas[5]}
	case form == pngPalette:
		index := bytes.IndexByte(alphas, 0)
		if index < 0 || bytes.Count(alphas, []byte{255}) != len(alphas)-1 {
			return nil
		}
		var c [3]uint8
		copy(c[:], palette[min(3*index, len(palette)):])
		return &c
	}
	return nil
}
