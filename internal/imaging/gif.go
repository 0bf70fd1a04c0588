package imaging

import (
	"bytes"
	"image"
	"image/gif"
	"slices"
)

// decodeGIF reads the first frame. It may cover a part of the screen; as in
// PIL, the rest is the transparent colour or, without one, colour 0. The
// decoder forgets the colour of the transparent index, so transparency is
// switched off first.
func decodeGIF(content []byte, config image.Config) (*Image, error) {
	content, transparent, keyed := withoutTransparency(content)
	m, err := gif.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, err //nolint:wrapcheck // Decode adds the format
	}
	frame, ok := m.(*image.Paletted)
	screen := image.Rect(0, 0, config.Width, config.Height)
	if !ok {
		return toRGB(m), nil
	}
	var key *[3]uint8
	if keyed {
		key = paletteColour(frame.Palette, int(transparent))
	}
	if frame.Bounds() == screen {
		out := toRGB(m)
		out.transparent = key
		return out, nil
	}
	canvas := image.NewPaletted(screen, frame.Palette)
	for i := range canvas.Pix {
		canvas.Pix[i] = transparent
	}
	b := frame.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		copy(canvas.Pix[canvas.PixOffset(b.Min.X, y):], frame.Pix[frame.PixOffset(b.Min.X, y):][:b.Dx()])
	}
	out := toRGB(canvas)
	out.transparent = key
	return out, nil
}

// The parts of a GIF file (CompuServe, Graphics Interchange Format 89a).
const (
	gifHeader     = 13 // signature and screen descriptor
	gifFlags      = 10 // of the screen descriptor
	gifExtension  = 0x21
	gifControl    = 0xf9
	hasColorTable = 0x80
	isTransparent = 0x01
)

// withoutTransparency returns the file with the first frame's transparency
// switched off, the index that it had, and whether it had one. The decoder
// reports broken files.
func withoutTransparency(content []byte) (_ []byte, index uint8, keyed bool) {
	if len(content) < gifHeader {
		return content, 0, false
	}
	at := gifHeader
	if flags := content[gifFlags]; flags&hasColorTable != 0 {
		at += 3 << (flags&7 + 1)
	}
	for at+7 < len(content) && content[at] == gifExtension {
		// Extension, label, 4 bytes of data: flags, delay (2), index.
		if content[at+1] == gifControl && content[at+2] == 4 && content[at+3]&isTransparent != 0 {
			index, keyed = content[at+6], true
			content = slices.Clone(content)
			content[at+3] &^= isTransparent
		}
		at += 2
		for at < len(content) && content[at] != 0 {
			at += 1 + int(content[at])
		}
		at++
	}
	return content, index, keyed
}
