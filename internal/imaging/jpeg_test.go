package imaging

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
)

// photo is an image with all kinds of content.
func photo(width, height int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, color.RGBA{
				R: uint8(x * 255 / width), G: uint8(127 + 120*math.Sin(float64(x*y)/5000)), B: uint8((x ^ y) & 255), A: 255,
			})
		}
	}
	return m
}

// TestJPEGAgreesWithGo compares this decoder with Go's, which rounds
// differently, on another encoder's images: every difference is arithmetic, and
// so small.
func TestJPEGAgreesWithGo(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {8, 8}, {17, 5}, {100, 67}} {
		for _, quality := range []int{1, 50, 100} {
			var b bytes.Buffer
			require.NoError(t, jpeg.Encode(&b, photo(size.X, size.Y), &jpeg.Options{Quality: quality}))
			want, err := jpeg.Decode(bytes.NewReader(b.Bytes()))
			require.NoError(t, err)
			d := &jpegDecoder{bits: jpegBits{data: b.Bytes(), at: 2}}
			require.NoError(t, d.segments(false))
			luma := d.plane(&d.channels[0], false)
			reference := want.(*image.YCbCr)
			for y := range size.Y {
				for x, v := range luma.row(y) {
					require.InDelta(t, reference.Y[reference.YOffset(x, y)], v, 1, "%v quality %d at %d,%d", size, quality, x, y)
				}
			}
		}
	}
}

// TestJPEGWithoutItsEnd: a file that lacks only the end marker is whole, one
// that lacks more is not.
func TestJPEGWithoutItsEnd(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, photo(40, 30), nil))
	whole, err := Decode(bytes.NewReader(b.Bytes()), Limits{})
	require.NoError(t, err)
	cut, err := Decode(bytes.NewReader(b.Bytes()[:b.Len()-2]), Limits{})
	require.NoError(t, err)
	require.Equal(t, whole, cut)
	for n := 2; n < b.Len()-12; n += 7 {
		_, err := Decode(bytes.NewReader(b.Bytes()[:n]), Limits{})
		require.ErrorIs(t, err, ErrCorrupt, "%d bytes", n)
	}
}

// FuzzDecode: any bytes give an image of the stated size or an error.
func BenchmarkDecodeJPEG(b *testing.B) {
	var content bytes.Buffer
	require.NoError(b, jpeg.Encode(&content, photo(2000, 1500), &jpeg.Options{Quality: 90}))
	for name, decode := range map[string]func() error{
		"genie": func() error { _, err := Decode(bytes.NewReader(content.Bytes()), Limits{}); return err },
		"go":    func() error { _, err := jpeg.Decode(bytes.NewReader(content.Bytes())); return err },
	} {
		b.Run(benchname.Of("decode-jpeg", name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := decode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
