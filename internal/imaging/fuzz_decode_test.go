package imaging

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
)

// FuzzDecode: bytes are a consistent image, or an error. Its seeds have a few
// pixels and at most 220 bytes: the fuzzer minimises an interesting input byte
// by byte, in time quadratic in its length, which is a minute for a kilobyte.
func FuzzDecode(f *testing.F) {
	const pixels = 1 << 12
	for name, content := range smallPictures(f) {
		require.LessOrEqual(f, len(content), 220, name)
		_, err := Decode(bytes.NewReader(content), Limits{Pixels: pixels})
		require.NoError(f, err, name)
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := Decode(bytes.NewReader(content), Limits{Pixels: pixels})
		if err == nil {
			err = m.check()
		}
		if m != nil && err != nil {
			t.Fatal(err)
		}
	})
}

// smallPictures are images of every format and variant, by name.
func smallPictures(t testing.TB) map[string][]byte {
	all := map[string][]byte{
		"JPEG grey":          smallJPEG{components: []byte{0x11}}.bytes(),
		"JPEG restarts":      smallJPEG{components: []byte{0x11}, restart: true}.bytes(),
		"JPEG 420":           smallJPEG{components: []byte{0x22, 0x11, 0x11}}.bytes(),
		"JPEG 422":           smallJPEG{components: []byte{0x21, 0x11, 0x11}}.bytes(),
		"JPEG odd":           smallJPEG{components: []byte{0x41, 0x11, 0x11}}.bytes(),
		"JPEG CMYK":          smallJPEG{components: []byte{0x11, 0x11, 0x11, 0x11}, adobe: true}.bytes(),
		"JPEG progressive":   smallJPEG{components: []byte{0x11}, progressive: true}.bytes(),
		"JPEG progressive 3": smallJPEG{components: []byte{0x22, 0x11, 0x11}, progressive: true}.bytes(),
		"JPEG 3x1":           smallJPEG{components: []byte{0x31, 0x11, 0x11}}.bytes(),
		"JPEG mixed":         smallJPEG{components: []byte{0x22, 0x21, 0x12}}.bytes(),
		"JPEG means":         smallJPEG{components: []byte{0x12}, progressive: true, means: true}.bytes(),
		"JPEG means 3":       smallJPEG{components: []byte{0x22, 0x11, 0x11}, progressive: true, means: true}.bytes(),
		"JPEG turned":        withSegment(smallJPEG{components: []byte{0x11}}.bytes(), append([]byte("Exif\x00\x00"), exif6()...)),
	}
	// One pixel each: Google's images for testing the features of a browser.
	for name, text := range map[string]string{
		"WebP lossless": "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==",
		"WebP lossy":    "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA",
		"WebP alpha":    "UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA==",
	} {
		content, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		all[name] = content
	}
	size := image.Rect(0, 0, 3, 2)
	colours := color.Palette{color.NRGBA{1, 2, 3, 255}, color.NRGBA{200, 100, 0, 255}, color.NRGBA{0, 0, 0, 0}}
	paletted := image.NewPaletted(size, colours)
	copy(paletted.Pix, []byte{0, 1, 2, 1, 0, 2})
	wide := image.NewNRGBA(size)
	for i := range wide.Pix {
		wide.Pix[i] = byte(i * 23)
	}
	deep, grey := image.NewGray16(size), image.NewGray(size)
	copy(deep.Pix, wide.Pix)
	copy(grey.Pix, wide.Pix)
	opaque := image.NewRGBA(size)
	for i := range opaque.Pix {
		opaque.Pix[i] = byte(i*23) | byte(i%4/3*255)
	}
	for name, m := range map[string]image.Image{
		"PNG palette": paletted, "PNG alpha": wide, "PNG 16 bits": deep, "PNG grey": grey, "PNG opaque": opaque,
	} {
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, m))
		all[name] = b.Bytes()
	}
	all["PNG turned"] = withChunk(all["PNG grey"], "eXIf", exif6())
	all["PNG profile"] = withChunk(all["PNG grey"], "zTXt", append([]byte("Raw profile type exif\x00\x00"),
		deflated(t, fmt.Appendf(nil, "\nexif\n 26\n%x\n", exif6()))...))
	all["WebP turned"] = turnedWebP(all["WebP lossless"])
	var b bytes.Buffer
	require.NoError(t, bmp.Encode(&b, opaque))
	all["BMP"] = b.Bytes()
	all["BMP palette"] = smallBMP()
	for name, g := range map[string]*gif.GIF{
		"GIF":        {Image: []*image.Paletted{paletted}, Delay: []int{0}},
		"GIF canvas": {Image: []*image.Paletted{paletted}, Delay: []int{0}, Config: image.Config{ColorModel: colours, Width: 5, Height: 4}},
	} {
		var b bytes.Buffer
		require.NoError(t, gif.EncodeAll(&b, g))
		all[name] = b.Bytes()
	}
	return all
}

// turnedWebP is a WebP image of one pixel with Exif data.
func turnedWebP(simple []byte) []byte {
	le := binary.LittleEndian
	chunk := func(kind string, data []byte) []byte {
		return append(le.AppendUint32([]byte(kind), uint32(len(data))), data...)
	}
	body := slices.Concat([]byte("WEBP"), chunk("VP8X", []byte{webpExif, 9: 0}), simple[webpHeader:], chunk("EXIF", exif6()))
	return append(le.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// smallBMP is 2 x 2 pixels of a palette of two.
func smallBMP() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("BM"), 70) // of the file
	b = le.AppendUint32(le.AppendUint32(b, 0), 62)
	for _, v := range []uint32{40, 2, 2} {
		b = le.AppendUint32(b, v)
	}
	b = le.AppendUint16(le.AppendUint16(b, 1), 8)
	for _, v := range []uint32{0, 8, 0, 0, 2, 0} { // plain, bytes of pixels, a palette of 2
		b = le.AppendUint32(b, v)
	}
	return append(b, 1, 2, 3, 0, 250, 20, 9, 0, 0, 1, 0, 0, 1, 0, 0, 0)
}

// smallJPEG is a JPEG file with codes for a handful of values.
type smallJPEG struct {
	components  []byte // how often each is sampled, the width first
	progressive bool
	means       bool // and nothing else
	restart     bool
	adobe       bool
}

func (j smallJPEG) bytes() []byte {
	b := []byte{0xff, 0xd8}
	segment := func(marker byte, content ...byte) {
		b = append(b, 0xff, marker, 0, byte(len(content)+2))
		b = append(b, content...)
	}
	if j.adobe {
		segment(0xee, append([]byte("Adobe"), 0, 100, 0, 0, 0, 0, 2)...)
	}
	segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{3}, 64)...)...)
	frame, all := []byte{8, 0, 9, 0, 10, byte(len(j.components))}, []byte{byte(len(j.components))}
	for i, sampling := range j.components {
		frame = append(frame, byte(i+1), sampling, 0)
		all = append(all, byte(i+1), 0)
	}
	start := byte(0xc0)
	if j.progressive {
		start = 0xc2
	}
	segment(start, frame...)
	codes := func(class byte, values ...byte) { // of 1, 2, ... bits
		counts := append(bytes.Repeat([]byte{1}, len(values)), make([]byte, 16-len(values))...)
		segment(0xc4, slices.Concat([]byte{class << 4}, counts, values)...)
	}
	codes(0, 0, 2, 5)
	codes(1, 0, 0x01, 0x12, 0xf0)
	if j.restart {
		segment(0xdd, 0, 1)
	}
	scan := func(components []byte, from, to, bits byte, data ...byte) {
		segment(0xda, append(slices.Clone(components), from, to, bits)...)
		b = append(b, data...)
	}
	data := []byte{0x5a, 0x26, 0, 0, 0, 0, 0, 0}
	switch {
	case j.means:
		scan(all, 0, 0, 0x01, data...)
	case j.progressive:
		scan(all, 0, 0, 0x01, data...)
		scan(all, 0, 0, 0x10, 0x50, 0)
		scan([]byte{1, 1, 0}, 1, 5, 0x01, data...)
		scan([]byte{1, 1, 0}, 1, 63, 0x10, 0, 0, 0)
	case j.restart:
		for i := range byte(4) {
			if i == 0 {
				scan(all, 0, 63, 0, 0x5a, 0x26)
			} else {
				b = append(b, 0xff, 0xd0+i-1, 0x5a, 0x26)
			}
		}
	default:
		scan(all, 0, 63, 0, data...)
	}
	return append(b, 0xff, 0xd9)
}
